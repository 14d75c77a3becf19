"""A Unix socket's path has at most 103 bytes, as on macOS, wherever the gateway makes or connects a socket."""

import errno
import os
import socket
import tempfile
from pathlib import Path

import pytest
from support.peer import once
from support.served import cluster_at

from gateway import unix_peer
from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.backends.ssh.agent import connected
from gateway.errors import ConfigError, HopFailed
from gateway.relay import run_directory
from gateway.server import listen
from gateway.server.run import embedded
from gateway.settings.config import Config, Limits


@pytest.fixture
def short():
    """A directory of few bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory)


def of(directory, size):
    """A path of so many bytes in the directory; the last letter has two."""
    room = size - len(os.fsencode(directory)) - 1
    return directory / ("s" * (room - 2) + "ö")


def test_a_path_of_103_bytes_is_the_longest(short):
    longest, longer = of(short, 103), of(short, 104)
    with listen.unix(longest) as bound:
        unix_peer.connect(longest, 5).close()
        bound.accept()[0].close()
        with socket.socket(socket.AF_UNIX) as other:  # Linux would take it
            other.bind(str(longer))
            other.listen()
            with pytest.raises(OSError, match="at most 103 bytes, and this one has 104") as caught:
                unix_peer.connect(longer, 5)
    assert caught.value.errno == errno.ENAMETOOLONG
    longer.unlink()
    with pytest.raises(ConfigError) as refused, listen.unix(longer / "gateway.sock"):
        pass
    assert str(refused.value) == (
        f"cannot listen on {longer}/gateway.sock: "
        "the path of a Unix socket has at most 103 bytes, and this one has 117"
    )
    assert not longer.exists(), "nothing is made for it"


@pytest.mark.parametrize("size", [77, 78, 200])
async def test_a_gateway_inside_a_command_has_a_short_path_where_tmpdir_is_long(short, monkeypatch, size):
    parent = of(short, size)
    parent.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(parent))
    config = Config({}, "127.0.0.1:0", "", (), (), "", "", Limits())
    async with embedded(config) as path:
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.is_relative_to(parent) == (size == 77)
        assert (await once(str(path), "GET", "/healthz")).code == 200
    assert not path.parent.exists()


def test_the_relay_has_the_same_limit():
    assert run_directory.MAX_PATH == unix_peer.MAX_PATH
    assert len(f"/{run_directory.PREFIX}{'k' * 24}/kubectl-9.sock") == run_directory._LONGEST
    assert len(throw_away().settings("default", Limits())["key"]) == 24


@pytest.mark.parametrize("size", [53, 54])
def test_a_relay_prefers_a_parent_where_sockets_have_room(short, size):
    parent = of(short, size)
    parent.mkdir()
    path, lock = run_directory.enter("k" * 24, {"TMPDIR": str(parent)})
    os.close(lock)
    Path(path).rmdir()
    assert Path(path).parent == (parent if size == 53 else Path("/tmp"))


def test_a_relay_in_a_long_directory_is_found_again(short):
    parent = of(short, 90)
    (parent / "dap-relay-k").mkdir(parents=True, mode=0o700)
    path, lock = run_directory.enter("k", {"TMPDIR": str(parent)})
    os.close(lock)
    assert path == str(parent / "dap-relay-k")


async def test_kubectl_proxy_listens_where_the_runners_tmpdir_is_long(own_demo, short):
    parent = of(short, 120)
    parent.mkdir()
    profile = own_demo.directory / "runner" / ".profile"
    profile.write_text(f"{profile.read_text()}\nexport TMPDIR={parent}\n")
    cluster = cluster_at(
        own_demo.ssh_host, own_demo.ssh_key, own_demo.known_hosts, own_demo.instance, mode="relay"
    )
    async with make(cluster, Limits(), None, throw_away()) as backend:
        assert (await backend.kube.get("/api/v1/namespaces/default/pods/web-0"))["kind"] == "Pod"
        with pytest.raises(HopFailed, match="File name too long"):
            async with backend.dial(f"unix:{parent}/{'s' * 20}"):
                pass


async def test_the_path_of_an_ssh_agent_may_be_too_long(short):
    async with connected(str(of(short, 200)), 5) as agent:
        assert agent.remark.endswith("cannot be reached: AF_UNIX path too long")
