"""Every hop broken under a live session: it ends soon, the hop is named, and the way in works again."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from support.exec_client import Access, Request, run
from support.lab import LAB, LEFT, processes

from gateway.protocol.subprotocols import OWN

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(240)]

# fault, undo, hops that may be named, seconds from the fault to the end of the session
FAULTS = [
    ("ssh-drop", None, {"ssh"}, 2),
    ("ssh-freeze", "ssh-thaw", {"ssh"}, 20),
    ("ssh-blackhole", "ssh-unblackhole", {"ssh"}, 20),
    ("incus-restart", None, {"incus"}, 30),
    ("runner-stop", "runner-start", {"incus"}, 10),
    ("kubectl-kill", None, {"kubectl"}, 2),
    ("api-restart", None, {"cluster"}, 40),
]


@pytest.fixture(scope="module", autouse=True)
def counted(request):
    """What broken hops leave in pods and runner is counted, and ended, so that it does not slow the next tests."""
    yield
    if not os.environ.get("DAP_LAB") or not Path(LAB).exists():
        return
    left = [line for line in processes("ps").splitlines() if not line.startswith("#")]
    processes("reap")
    request.config.stash[LEFT] = len(left)


@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
@pytest.mark.parametrize(("fault", "undo", "hops", "limit"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_a_broken_hop_is_named(gateway, lab, fault, undo, hops, limit, tty):
    access = Access(gateway.url, gateway.token)
    streams = ("stdin", "stdout", "tty") if tty else ("stdin", "stdout", "stderr")
    broken = 0.0

    async def script(talk):
        nonlocal broken
        await talk.seen(b"1\n" if not tty else b"1\r\n")
        broken = time.monotonic()
        await asyncio.to_thread(lab, "fault", fault)

    request = Request(
        ("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"), streams=streams, pod="web-0"
    )
    try:
        said = await run(access, request, script, row=OWN, seconds=120)
        ended = time.monotonic() - broken
    finally:
        if undo:
            await asyncio.to_thread(lab, "fault", undo)
    end = said.controls[-1]

    assert end["type"] == "end"
    assert end["exitCode"] is None
    assert end["hop"] in hops, end
    assert said.status is not None
    assert said.status.exit_code is None
    assert said.close_code == 1000
    assert ended < limit

    await works_again(access, 20)


async def test_a_deleted_pod_ends_its_command(gateway, lab):
    """The kubelet kills it, so kubectl says 137; the cluster's API says why."""
    access = Access(gateway.url, gateway.token)

    async def script(talk):
        await talk.seen(b"up")
        await asyncio.to_thread(lab, "fault", "pod-delete")

    try:
        request = Request(("sh", "-c", "echo up; sleep 300"), streams=("stdin", "stdout"), pod="web-0")
        said = await run(access, request, script, row=OWN, seconds=60)
        gone = await run(access, Request(("true",), pod="web-0"), row=OWN)
    finally:
        await asyncio.to_thread(lab, "fault", "pod-restore")

    assert (said.controls[-1]["code"], said.controls[-1]["exitCode"]) == ("pod_deleted", None)
    assert gone.controls[-1]["code"] == "pod_not_found"

    await works_again(access, 20)


async def works_again(access: Access, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        said = await run(access, Request(("echo", "again"), pod="web-0"), row=OWN, seconds=60)
        if said.stdout == b"again\n":
            return
        assert time.monotonic() < end, said
        await asyncio.sleep(0.5)
