"""Another server takes the management host's place while many sessions begin: it is given no session, and each end has a
name.
"""

import asyncio

import pytest
from support.cuttable import cuttable
from support.served import cluster_at
from support.waiting import until

from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.backends.ssh import login_throttle
from gateway.demo import demo_chain
from gateway.errors import HopFailed
from gateway.protocol.outcome import CODES
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

ASK = Command(("sh", "-c", "sleep 0.05; echo $HOME"), "run", stdout=True, stderr=True)
MANY = 20


def address(demo):
    user, _, where = demo.ssh_host.rpartition("@")
    host, _, port = where.rpartition(":")
    return user, host, int(port)


def cluster_behind(demo, forwarder, directory, mode):
    """The demo's chain by way of the forwarder, with the demo's key pinned for it."""
    known = directory / "known"
    known.write_text(f"[127.0.0.1]:{forwarder.port} {demo.known_hosts.read_text().split(' ', 1)[1]}")
    return cluster_at(
        f"{address(demo)[0]}@127.0.0.1:{forwarder.port}", demo.ssh_key, known, demo.instance, mode=mode
    )


class Load:
    """Sessions that begin one after another. `ends`: what each said, and its code."""

    def __init__(self, backend):
        self.ends = []
        self.over = False
        self._backend = backend

    def count(self, code):
        return sum(end == code for _, end in self.ends)

    async def run(self):
        while not self.over:
            said = bytearray()
            try:
                async with self._backend.exec(Target("default"), ASK) as channel:
                    async for _, data in channel.output():
                        said += data
                    code = (await channel.wait()).code
            except HopFailed as error:
                code = error.code
            self.ends.append((bytes(said), code))
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["plain", "relay"])
async def test_a_host_key_that_is_swapped_under_load_is_given_no_session(demo, tmp_path, monkeypatch, mode):
    monkeypatch.setattr(login_throttle, "PAUSE", 2.0)
    _, host, port = address(demo)
    async with demo_chain() as other, cuttable(port, host) as forwarder:
        cluster = cluster_behind(demo, forwarder, tmp_path, mode)
        async with make(cluster, Limits(), None, throw_away()) as backend, asyncio.TaskGroup() as tasks:
            load = Load(backend)
            for _ in range(MANY):
                tasks.create_task(load.run())
            await until(lambda: load.count("exited") > 2 * MANY, 30)
            forwarder._to = address(other)[2]
            forwarder.cut()
            await until(lambda: load.count("ssh_host_key") > 2 * MANY, 30)
            mark = load.count("exited")
            await asyncio.sleep(0.5)
            assert load.count("exited") == mark, "nothing goes on meanwhile"
            forwarder._to = port
            await until(lambda: load.count("exited") > mark + MANY, 60)
            load.over = True
    home = f"{demo.directory / 'runner'}\n".encode()
    assert {said for said, code in load.ends if code == "exited"} == {home}
    assert {said for said, _ in load.ends} <= {home, b""}
    assert {code for _, code in load.ends} <= CODES.keys() - {"gateway_error"}
