"""A management host that is tight, turns us away, hangs, changes its key: nobody hears of it where waiting helps, and
what runs already goes on.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncssh
import pytest
from support.repeated import FEW, again
from support.served import cluster_at
from support.sshd import LOOPBACK, sshd
from support.waiting import until

from gateway.backends.ssh.host import Host
from gateway.backends.ssh.login_throttle import REFUSALS
from gateway.errors import HopFailed
from gateway.settings.config import Limits

LIMITS = Limits(ssh_connect=5.0, start=20.0)
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty HOME, and no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="module")
def key():
    return asyncssh.generate_private_key("ssh-ed25519")


@asynccontextmanager
async def hosted(tmp_path, key, limits=LIMITS, **options):
    """(sshd, Host); every session of it is over at the end."""
    async with sshd(key, **options) as server:
        path = tmp_path / "key"
        path.write_bytes(key.export_private_key())
        path.chmod(0o600)
        cluster = cluster_at(f"me@{LOOPBACK}:{server.port}", path, server.known(tmp_path / "known"), "vm")
        if (tmp_path / "config").exists():
            cluster = replace(cluster, ssh_config=str(tmp_path / "config"))
        host = Host(cluster, limits)
        async with host.running():
            yield server, host
            counts = host.counts()
            assert (counts["channels"], counts["waiting"]) == (0, 0)


class User:
    """A session: says something, hears it back."""

    def __init__(self, process):
        self.process = process
        self.heard = b""

    async def hear(self, text):
        async with asyncio.timeout(30):
            while text not in self.heard:
                batch = await self.process.read()
                assert batch, f"ended: {self.heard[-200:]!r}"
                self.heard += b"".join(data for _, data in batch)

    async def echoes(self, text=b"still here"):
        await self.process.write(text)
        await self.hear(text)


@asynccontextmanager
async def user(host, name="hello"):
    async with host.process(name) as process:
        found = User(process)
        await found.hear(name.encode() + b"\n")
        yield found


async def crowd(host, count):
    """So many at once, none of which leaves before all are there; what was raised, by whom."""
    there, gate = 0, asyncio.Event()

    async def one(number):
        nonlocal there
        async with user(host, f"user {number}") as found:
            there += 1
            if there == count:
                gate.set()
            await gate.wait()
            await found.echoes()

    return [
        error
        for error in await asyncio.gather(*(one(number) for number in range(count)), return_exceptions=True)
        if error is not None
    ]


@pytest.mark.parametrize(("sessions", "startups"), [(2, 0), (0, 1), again(2, 1), again(1, 1)])
async def test_a_tight_host_serves_all_a_little_later(tmp_path, key, sessions, startups):
    """MaxSessions, MaxStartups."""
    count = 40 if startups or FEW else 60
    async with hosted(tmp_path, key) as (server, host):
        server.max_sessions, server.max_startups = sessions, startups
        assert await crowd(host, count) == []
        assert len(server.logins) >= count // (sessions or 8)
        if sessions:
            assert server.refused, "the limit was never reached"
            assert server.refused < count
            assert len(server.logins) <= count // sessions + 8


@pytest.mark.repetition
async def test_300_at_once(tmp_path, key):
    async with hosted(tmp_path, key) as (server, host):
        server.max_sessions = 10
        assert await crowd(host, 300) == []
        assert len(server.logins) == -(-300 // 8)
        assert server.refused == 0


async def test_short_commands_one_after_the_other_on_a_tight_host(tmp_path, key):
    """A place may be free for us and not yet for the host."""
    async with hosted(tmp_path, key) as (server, host):
        server.max_sessions = 2

        async def many():
            for _ in range(20):
                async with user(host) as found:
                    await found.echoes()

        await asyncio.gather(*(many() for _ in range(6)))


async def test_an_address_that_is_punished_waits_until_it_is_not(tmp_path, key):
    """PerSourcePenalties: each new connection is dropped, those that are there live on."""
    async with hosted(tmp_path, key) as (server, host), user(host) as old:
        server.penalty = b"Not allowed at this time\r\n"
        asyncio.get_running_loop().call_later(1.5, setattr, server, "penalty", b"")
        assert await crowd(host, 20) == []
        assert 2 <= server.turned_away < 20, "it is not asked without a pause"
        await old.echoes()


async def test_a_penalty_that_lasts_is_named_and_touches_nobody_else(tmp_path, key):
    async with hosted(tmp_path, key, replace(LIMITS, start=1.0)) as (server, host), user(host) as old:
        server.penalty = b"Not allowed at this time\r\n"
        async with asyncio.TaskGroup() as tasks:
            served = tasks.create_task(crowd(host, 7))
            await asyncio.sleep(0.1)
            errors = await crowd(host, 5)
        assert served.result() == []
        assert {type(error) for error in errors} <= {HopFailed}
        assert {error.code for error in errors} <= {"ssh_busy"}
        assert all("Not allowed at this time" in error.message for error in errors)
        await old.echoes()


async def test_a_host_that_hangs_keeps_the_new_waiting_and_the_old_alive(tmp_path, key):
    async with hosted(tmp_path, key, replace(LIMITS, ssh_connect=0.5)) as (server, host), user(host) as old:
        server.hung = True
        async with asyncio.TaskGroup() as tasks:
            new = tasks.create_task(crowd(host, 20))
            await asyncio.sleep(1.5)  # longer than a login may take
            await old.echoes()
            assert not new.done()
            server.hung = False
        assert new.result() == []


async def test_a_host_that_hangs_from_the_beginning_is_named(tmp_path, key):
    async with hosted(tmp_path, key, replace(LIMITS, ssh_login=0.3)) as (server, host):
        server.hung = True
        (error,) = await crowd(host, 1)
        assert (error.code, "let nobody in within 0.3 s" in error.message) == ("ssh_unconfirmed", True)
        server.hung = False


async def test_another_host_key_under_load_is_told_at_once_and_touches_nobody_else(tmp_path, key):
    async with hosted(tmp_path, key) as (server, host):
        stays = asyncio.Event()
        live = []

        async def stay(number):
            async with user(host, f"user {number}") as found:
                live.append(found)
                await stays.wait()
                await found.echoes()

        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(stay(number))
            await until(lambda: len(live) == 8)
            server.known(tmp_path / "known", key=asyncssh.generate_private_key("ssh-ed25519"))
            before = len(server.tries)
            errors = []
            for _ in range(REFUSALS):
                errors += await crowd(host, 4)
            assert len(errors) == 4 * REFUSALS
            assert {error.code for error in errors} == {"ssh_host_key"}
            assert len(server.tries) == before, "no key was shown to a host that is not the one"
            counts = host.counts()
            assert counts["breaker_open"] == 1
            assert 0 < counts["breaker_seconds"] <= 60
            connections = len(server.connections)
            assert [error.code for error in await crowd(host, 4)] == ["ssh_host_key"] * 4
            assert len(server.connections) == connections, "an open breaker asks nobody"
            stays.set()
        async with user(host) as found:  # on the connection that is there
            await found.echoes()


@pytest.mark.parametrize("whose", ["host", "ours"])
async def test_new_keys_in_the_middle_of_a_transfer_cost_no_byte(tmp_path, key, whose):
    """RekeyLimit, on either side, with both directions busy and others on the same connection."""
    options = {"rekey_bytes": 100_000} if whose == "host" else {}
    (tmp_path / "config").write_text("RekeyLimit 100000\n" if whose == "ours" else "")
    data = bytes(range(256)) * 16384
    async with hosted(tmp_path, key, **options) as (server, host), user(host) as other:
        async with user(host, "transfer") as found:
            found.heard = b""

            async def send():
                for at in range(0, len(data), 50_000):
                    await found.process.write(data[at : at + 50_000])
                found.process.write_eof()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                while batch := await found.process.read():
                    found.heard += b"".join(piece for _, piece in batch)
            assert found.heard == data
        await other.echoes()
        assert server.rekeys > 10
        assert len(server.logins) == 1


async def test_what_is_turned_away_while_it_logs_in_is_told_apart(tmp_path, key):
    """A server of something else, and one that refuses for good, are not waited for."""

    async def web(_, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with hosted(tmp_path, key) as (_, host):
        del host
        other = await asyncio.start_server(web, LOOPBACK, 0)
        port = other.sockets[0].getsockname()[1]
        cluster = cluster_at(f"me@{LOOPBACK}:{port}", tmp_path / "key", tmp_path / "known", "vm")
        wrong = Host(cluster, LIMITS)
        async with wrong.running():
            (error,) = await crowd(wrong, 1)
        assert error.code == "ssh_unreachable"
        other.close()
