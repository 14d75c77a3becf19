"""TCP to an SSH server: all addresses of its name, the next after 250 ms, and what is said when none answers."""

import asyncio
import socket
import threading
from pathlib import Path

import asyncssh
import pytest
from support.addresses import SILENT, name, silence
from support.leaks import descriptors
from support.openssh import key, public, sshd

from gateway.backends.ssh import tcp
from gateway.backends.ssh.tcp import connect_tcp
from gateway.errors import HopFailed

HOST = "mgmt.test"


@pytest.fixture
def server():
    """A listener on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def port(server):
    return server.getsockname()[1]


@pytest.fixture
def refusing():
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def note_attempts(monkeypatch):
    """A queue of the addresses that sockets of this process connect to."""
    tried = asyncio.Queue()
    real = socket.socket.connect

    def connect(self, to):
        tried.put_nowait(to[0])
        return real(self, to)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


async def failure(*args, **more):
    before = len(descriptors())
    with pytest.raises(HopFailed) as caught:
        await connect_tcp(*args, **({"seconds": 10} | more))
    assert len(descriptors()) == before
    return caught.value


async def test_an_address_that_never_answers_does_not_keep_the_next_one_waiting(monkeypatch, port):
    name(monkeypatch, HOST, SILENT, "127.0.0.1")
    before = len(descriptors())
    with silence(port), await connect_tcp(HOST, port, seconds=60) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
        assert not sock.getblocking()
    assert len(descriptors()) == before


async def test_the_other_family_comes_second_however_many_addresses_the_first_has(monkeypatch, port):
    name(monkeypatch, HOST, "::1", "::2", "127.0.0.1")
    tried = note_attempts(monkeypatch)
    with await connect_tcp(HOST, port, seconds=60) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert [tried.get_nowait(), tried.get_nowait(), tried.empty()] == ["::1", "127.0.0.1", True]


async def test_a_refusal_names_every_address_and_its_answer(monkeypatch, refusing):
    name(monkeypatch, HOST, "127.0.0.1", SILENT, "127.0.0.3")
    with silence(refusing):
        failed = await failure(HOST, refusing, seconds=1)

    assert failed.code == "ssh_unreachable"
    assert failed.message == (
        f"{HOST}:{refusing} cannot be reached: 127.0.0.1 (Connection refused), "
        f"{SILENT} (no answer within 1 s), 127.0.0.3 (Connection refused)"
    )


async def test_an_address_of_its_own_is_named_as_well(refusing):
    assert (await failure("127.0.0.1", refusing)).message == (
        f"127.0.0.1:{refusing} cannot be reached: 127.0.0.1 (Connection refused)"
    )
    assert (await failure("::1", 1)).message.startswith("[::1]:1 cannot be reached: ::1 (")


async def test_a_login_goes_over_the_socket(tmp_path):
    with sshd(tmp_path) as server:
        server.authorize(key(tmp_path / "id"))
        sock = await connect_tcp(server.address, server.port, seconds=60)
        async with asyncssh.connect(
            "mgmt", sock=sock, config=None, username=server.user, client_keys=[str(tmp_path / "id")],
            known_hosts=f"mgmt {public(server.host_keys[0])}".encode(), agent_path=None,
        ) as connection:  # fmt: skip
            assert (await connection.run("echo hello")).stdout == "hello\n"


@pytest.mark.parametrize(
    ("host", "why"), [("mgmt.invalid", ""), ("a..b", "it is no host name"), ("fe80::1%no0", "")]
)
async def test_a_name_that_cannot_be_resolved_is_named(host, why):
    failed = await failure(host, 22, seconds=60)

    assert failed.code == "ssh_unreachable"
    assert f"the lookup of the name {host} failed: {why}" in failed.message


def test_a_resolver_that_hangs_ends_in_time_and_does_not_keep_the_process(monkeypatch):
    hung = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hung.wait(60) and [])

    failed = asyncio.run(failure(HOST, 22, seconds=0.1))  # which waits for the threads of the loop's executor

    assert "the lookup of the name mgmt.test failed: no answer within 0.1 s" in failed.message
    assert not hung.is_set()
    hung.set()


async def test_when_cancelled_no_socket_is_left(monkeypatch, port):
    name(monkeypatch, HOST, SILENT, "127.0.0.3")
    with silence(port), silence(port, "127.0.0.3"):
        before = len(descriptors())
        trying = note_attempts(monkeypatch)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(connect_tcp(HOST, port, seconds=60))
            assert await trying.get() == SILENT
            task.cancel()
        assert task.cancelled()
        assert len(descriptors()) == before


@pytest.mark.parametrize("given", [{"bind_address": "127.0.0.5"}, {"bind_address": "5.test"},
                                   {"bind_address": "127.0.0.5", "bind_interface": "lo"}])  # fmt: skip
async def test_a_bind_address_is_where_the_connection_comes_from(monkeypatch, server, port, given):
    name(monkeypatch, "5.test", "127.0.0.5")
    with await connect_tcp("127.0.0.1", port, **given, seconds=60) as sock:
        peer, address = server.accept()
        peer.close()
        assert (sock.getsockname()[0], address[0]) == ("127.0.0.5", "127.0.0.5")


@pytest.mark.parametrize("address", ["127.0.0.1", *["::1"][: Path("/proc/net/if_inet6").exists()]])
async def test_an_interface_lends_its_address(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        socket.create_server((address, 0), family=family) as server,
        await connect_tcp(address, server.getsockname()[1], bind_interface="lo", seconds=60) as sock,
    ):
        assert sock.getsockname()[0] == address


async def test_an_interface_lends_its_ipv4_address_without_proc(monkeypatch, tmp_path, server, port):
    monkeypatch.setattr(tcp, "_IF_INET6", tmp_path / "absent")
    with await connect_tcp("127.0.0.1", port, bind_interface="lo", seconds=60) as sock:
        server.accept()[0].close()
        assert sock.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "code", "why"),
    [({"bind_address": "192.0.2.99"}, "ssh_unreachable", "127.0.0.1 (BindAddress 192.0.2.99: Cannot assign requested address)"),
     ({"bind_address": "::1"}, "ssh_unreachable", "127.0.0.1 (BindAddress ::1 has no address of this family)"),
     ({"bind_address": "no.invalid"}, "ssh_unreachable", "BindAddress no.invalid: this machine has no such address"),
     ({"bind_interface": "no0"}, "ssh_unreachable", "BindInterface no0: this machine has no such address")],
)  # fmt: skip
async def test_a_local_address_of_no_use_is_named(port, given, code, why):
    failed = await failure("127.0.0.1", port, **given)

    assert failed.code == code
    assert failed.message.endswith(why)


async def test_an_address_family_leaves_the_other_addresses_out(port):
    failed = await failure("127.0.0.1", port, family=socket.AF_INET6)

    assert failed.code == "ssh_unreachable"
    with await connect_tcp("127.0.0.1", port, family=socket.AF_INET, seconds=60) as sock:
        assert sock.family == socket.AF_INET
