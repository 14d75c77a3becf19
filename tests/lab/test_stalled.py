"""A command that does not read, on the real chain: kubectl stands some of its input, and more ends it by name."""

import asyncio
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN, V5

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(180)]
MUCH = bytes(24 << 20)  # more than all sockets behind the command hold before the API server stops reading
LONG = 110.0  # seconds for kubectl to give up: it waits for 61 from its last answer on


@pytest.fixture
async def accesses(cluster, tmp_path):
    """To a gateway of each kind."""
    async with (
        served(config_for(replace(cluster, mode="plain")), tmp_path / "plain", alone=False) as plain,
        served(config_for(replace(cluster, mode="relay")), tmp_path / "relay", alone=False) as relay,
    ):
        yield [Access(one.url, one.token) for one in (plain, relay)]


async def test_input_that_nobody_reads_ends_as_stdin_stalled(accesses):
    """In each protocol, over each chain; what fits lives on meanwhile and is read in the end."""

    async def stalled(access, row, tty):
        streams = ("stdin", "stdout", "tty") if tty else ("stdin", "stdout", "stderr")
        request = Request(
            ("sleep", "1000"), pod="web-0", streams=streams, extra=(("killOnDisconnect", "true"),)
        )
        return await run(access, request, lambda talk: talk.stdin(MUCH), row=row, seconds=LONG)

    async def patient(access):
        async def script(talk):
            await talk.stdin(MUCH[: 4 << 20])
            await talk.half_close()

        request = Request(("sh", "-c", "sleep 68; wc -c"), pod="web-0", streams=("stdin", "stdout"))
        return await run(access, request, script, row=V5, seconds=LONG + 30)

    kinds = [
        (access, row, tty) for access in accesses for row, tty in ((V5, False), (OWN, False), (OWN, True))
    ]
    all_of_them = asyncio.gather(
        *(stalled(*kind) for kind in kinds), *(patient(access) for access in accesses)
    )
    *ended, plain, relay = await all_of_them

    for (_, row, _), said in zip(kinds, ended, strict=True):
        assert "(stdin_stalled)" in said.status.message, said
        assert said.status.exit_code is None
        assert said.close_code == 1000
        if row is OWN:
            assert (said.controls[-1]["code"], said.controls[-1]["hop"]) == ("stdin_stalled", "kubectl")
    for said in (plain, relay):
        assert (said.stdout.strip(), said.status.exit_code) == (b"%d" % (4 << 20), 0)
