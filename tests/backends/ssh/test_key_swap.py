"""A host key that changes, or is revoked, while many sessions are opening: nobody follows it, and nobody else is hurt."""

import asyncio
from contextlib import asynccontextmanager

import asyncssh
import pytest
from support.cuttable import cuttable
from support.served import cluster_at
from support.sshd import LOOPBACK, sshd
from support.waiting import until

from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.settings.config import Limits

LIMITS = Limits(ssh_connect=5.0, ssh_login=10.0, start=10.0, finish=1.0, ssh_channel=5.0)
COUNT, BEFORE = 60, 20  # sessions, and those that begin before the key changes


class Load:
    """Sessions that begin one after the other, and live until `ends`."""

    def __init__(self, host):
        self.host = host
        self.ends = asyncio.Event()
        self.opened, self.lived, self.refused = [], [], []

    async def session(self, number):
        try:
            async with self.host.process(f"session {number}") as process:
                await answer(process, b"begun %d." % number)
                self.opened.append(number)
                await self.ends.wait()
                await answer(process, b"still %d." % number)
                self.lived.append(number)
        except HopFailed as error:
            self.refused.append(error.code)


async def answer(process, text):
    await process.write(text)
    got = b""
    async with asyncio.timeout(10):
        while text not in got:
            batch = await process.read()
            assert batch, process.failure()
            got += b"".join(data for _, data in batch)


@asynccontextmanager
async def chain(folder):
    """A host, an impostor that would let anybody in, our side of both, and the forwarder that decides between them."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "id").write_bytes(key.export_private_key("openssh"))
    (folder / "id").chmod(0o600)
    async with sshd(key) as server, sshd(key) as impostor, cuttable(server.port) as way:
        known = server.known(folder / "known", port=way.port)
        host = Host(cluster_at(f"me@{LOOPBACK}:{way.port}", folder / "id", known, "vm"), LIMITS)
        async with host.running():
            yield server, impostor, way, known, host


@pytest.mark.parametrize("how", ["swapped", "revoked", "another authority"])
async def test_every_later_login_is_refused_and_what_is_open_stays(tmp_path, how):
    async with chain(tmp_path) as (server, impostor, way, known, host):
        load, line, public = Load(host), known.read_text(), server.host_key.export_public_key().decode()
        async with asyncio.TaskGroup() as tasks:
            for number in range(COUNT):
                tasks.create_task(load.session(number))
                await asyncio.sleep(0.005)
                if number == BEFORE:
                    await until(lambda: len(load.opened) >= 9)
                    if how == "swapped":
                        way.leads_to(impostor.port)
                    elif how == "revoked":
                        known.write_text(f"@revoked * {public}\n{line}")
                    else:
                        known.write_text(
                            f"@cert-authority * {impostor.host_key.export_public_key().decode()}"
                        )
                    logins = len(server.logins)
            await until(lambda: len(load.opened) + len(load.refused) == COUNT, 30)
            later = Load(host)
            for number in range(COUNT, COUNT + 3):
                await later.session(number)
            load.ends.set()

        assert set(load.refused) == {"ssh_host_key"}
        assert later.refused == ["ssh_host_key"] * 3
        assert len(load.opened) >= 9
        assert sorted(load.lived) == sorted(load.opened)
        assert impostor.tries == impostor.logins == [], "nobody is to show the impostor a key"
        assert len(server.logins) <= logins + 4, "logins that were under way"


async def test_the_host_with_its_own_key_is_taken_again(tmp_path):
    async with chain(tmp_path) as (_, impostor, way, _, host):
        load = Load(host)
        load.ends.set()
        await load.session(0)
        way.leads_to(impostor.port)
        way.cut()
        await load.session(1)
        way.leads_back()
        host._pool.wake()  # the breaker's minute
        await load.session(2)

    assert (load.lived, load.refused) == ([0, 2], ["ssh_host_key"])
