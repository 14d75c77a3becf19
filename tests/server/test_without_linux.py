"""What the gateway asks the kernel for, where the kernel is not Linux: without /proc, TCP_INFO and POLLRDHUP."""

import asyncio
import errno
import os
import re
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.exec_client import Request
from support.peer import PONG, V5, once, peer

import gateway
from gateway import fd_limits
from gateway.server.peer_closed import _at_end
from gateway.settings.config import Limits

MIB = 1 << 20
LINUX = re.compile(
    r"""["'(]/proc\b|TCP_INFO|POLLRDHUP|SO_PEERCRED|\bepoll\(|pidfd|prctl\(|O_TMPFILE|memfd|sched_|/sys/"""
)
IMPORTED = """
import sys
import gateway.cli.commands.session, gateway.cli.main, gateway.client, gateway.server.run
print(*sorted(name for name in sys.modules if name.startswith("gateway.relay.")))
"""


def command(*argv):
    return Request(argv, pod="web-0", streams=("stdin", "stdout")).path()


@pytest.fixture
def without(monkeypatch):
    """Call it with the directories that do not exist."""
    found = os.listdir

    def take_away(*gone, number=errno.ENOENT):
        def listdir(path="."):
            if str(path).startswith(gone):
                raise OSError(number, os.strerror(number), path)
            return found(path)

        monkeypatch.setattr(os, "listdir", listdir)

    return take_away


# descriptors


def test_descriptors_are_counted_without_proc(without):
    there = fd_limits.used()
    without("/proc")
    assert fd_limits.used() == there
    assert fd_limits.room(1)


def test_descriptors_are_counted_where_nothing_names_them(without):
    """Within those that are free below the highest."""
    there = fd_limits.used()
    without("/proc", "/dev/fd")
    first = fd_limits.used()
    more = [os.open(os.devnull, os.O_RDONLY) for _ in range(200)]
    try:
        assert 199 <= fd_limits.used() - first <= 200 + abs(there - first)
        assert fd_limits.room(1)
    finally:
        for one in more:
            os.close(one)
    without("/proc", "/dev/fd", number=errno.EMFILE)
    assert not fd_limits.room(1), "none is left to look with"


async def test_a_gateway_serves_without_proc(edge, without):
    without("/proc", "/dev/fd")
    assert (await once(edge.url, "GET", "/healthz")).code == 200
    async with peer(edge.url) as client:
        assert (await client.upgrade(command("echo", "hi"), (V5, edge.proof))).code == 101
        assert b"\1hi" in [payload for _, payload in await client.rest()]


def test_nothing_that_needs_prctl_or_proc_is_loaded():
    """Of what runs in the runner, the gateway and dap use what any system has."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"gateway.relay.{name}" for name in ("journal", "spool", "wire", "writer")]


def test_few_ask_what_only_linux_knows():
    """Each has another way, which a test here or of its own shows. The relay, shell scripts and the demo are for Linux."""
    root = Path(gateway.__file__).parent
    asking = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.relative_to(root).parts[0] not in ("relay", "demo") and LINUX.search(path.read_text("utf-8"))
    }
    assert asking == {
        "backends/ssh/tcp.py", "fd_limits.py", "peer_credentials.py", "server/peer_closed.py", "server/websocket/socket.py",
    }  # fmt: skip


# connections


@pytest.fixture
def less(monkeypatch):
    """The kernel of another system, as far as Python knows it."""
    monkeypatch.delattr(socket, "TCP_INFO")
    monkeypatch.delattr(select, "POLLRDHUP")


@pytest.mark.usefixtures("less")
async def test_a_client_that_is_silent_stays_and_one_that_leaves_is_noticed(edge_with):
    edge = await edge_with(Limits(ping=0.2, silence=0.5))
    async with peer(edge.url) as client:
        assert (await client.upgrade(command("cat"), (V5, edge.proof))).code == 101
        await edge.backend.until(running=1)
        await asyncio.sleep(1.5)  # its pings have no answer, and its kernel takes them
        client.say(b"\0still here")
        async with asyncio.timeout(5):
            while (await client.hear())[1] != b"\1still here":
                pass
        client.writer.write_eof()
        await edge.idle()
    assert edge.outcomes() == {"client_lost": 1}


@pytest.mark.usefixtures("less")
@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_client_that_leaves_while_nobody_reads_is_noticed(edge_with, how, unix):
    """Where its end stands behind what is not read, the next pong finds out."""
    edge = await edge_with(Limits(stdin_capacity=MIB))
    async with peer(edge.socket if unix else edge.url) as client:
        await client.upgrade(command("hold"), (V5, edge.proof))
        for _ in range(16):
            client.say(b"\x00" + bytes(MIB))
        async with asyncio.timeout(10):
            while (await client.hear())[0] != PONG:
                pass
        await edge.backend.until(running=1)
        if how == "reset":
            client.reset()
        else:
            client.writer.transport.abort()
        await edge.idle()
    assert edge.outcomes() == {"client_lost": 1}


@pytest.mark.usefixtures("less")
async def test_a_client_that_takes_no_output_stays_until_it_leaves(edge):
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command("drip"), (V5, edge.proof))
        await edge.backend.until(running=1)
        await asyncio.sleep(1.2)
        assert edge.outcomes() == {}, "what it has not read yet is no sign of its end"
        client.writer.transport.pause_reading()
        client.writer.write_eof()
        await edge.idle()
    assert edge.outcomes() == {"client_lost": 1}


def test_an_end_is_seen_where_nothing_stands_before_it():
    here, there = socket.socketpair()
    with here, there:
        assert not _at_end(here)
        there.send(b"x")
        there.shutdown(socket.SHUT_WR)
        assert not _at_end(here)
        here.recv(1)
        assert _at_end(here)
    assert not _at_end(here), "a socket that was closed has no more to say"
