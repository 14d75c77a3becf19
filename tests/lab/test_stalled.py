"""A command that does not read, on the real chain: kubectl stands some of its input, and more ends it by name."""

import asyncio
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN, V5

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(180)]
MUCH = bytes(60 << 20)  # more than all sockets on the way hold: seen here, up to 50 MB
FITS = bytes(4 << 20)
LONG = 110.0  # seconds for kubectl to give up: it waits for 61 from its last answer on
PIPES = ("stdin", "stdout", "stderr")  # a terminal's line discipline takes all there is, and forgets it


@pytest.fixture
async def accesses(cluster, tmp_path):
    """To a gateway of each kind."""
    async with (
        served(config_for(replace(cluster, mode="plain")), tmp_path / "plain", alone=False) as plain,
        served(
            config_for(replace(cluster, mode="relay", exec="kubectl")), tmp_path / "relay", alone=False
        ) as relay,
    ):
        yield [Access(one.url, one.token) for one in (plain, relay)]


async def stalled(access, row):
    kill = (("killOnDisconnect", "true"),)
    request = Request(("sleep", "1000"), pod="bash-0", streams=PIPES, extra=kill)
    return await run(access, request, lambda talk: talk.stdin(MUCH), row=row, seconds=LONG)


async def patient(access):
    async def script(talk):
        await talk.stdin(FITS)
        await talk.half_close()

    request = Request(("sh", "-c", "sleep 68; wc -c"), pod="bash-0", streams=PIPES)
    return await run(access, request, script, row=V5, seconds=LONG)


async def test_input_that_nobody_reads_ends_as_stdin_stalled(accesses):
    """In each protocol, over each chain; what fits lives on meanwhile and is read in the end."""
    plain, relay = accesses
    jobs = (stalled(plain, V5), stalled(relay, OWN), patient(plain), patient(relay))
    by_v5, by_ours, *waited = await asyncio.gather(*jobs)

    for said in (by_v5, by_ours):
        assert "(stdin_stalled)" in said.status.message, said
        assert said.status.exit_code is None
        assert said.close_code == 1000
    assert (by_ours.controls[-1]["code"], by_ours.controls[-1]["hop"]) == ("stdin_stalled", "kubectl")
    for said in waited:
        assert (said.stdout.strip(), said.status.exit_code) == (b"%d" % len(FITS), 0)
