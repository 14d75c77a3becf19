"""What a session leaves in its pod is ended soon after it, however it ended: through the edge, on each chain.

The demo's pods hang up by themselves when their kubectl ends, so what is left there is what catches that.
"""

import asyncio
import os

import pytest
from structlog.testing import capture_logs
from support import shorter
from support.exec_client import Access, Request, run
from support.marks import marked
from support.opened import PIPES, TTY, opened
from support.repeated import LAB_CHAINS, again
from support.served import config_for, served
from support.waiting import until

from gateway.protocol.subprotocols import OWN

CHAINS = [again("demo-plain"), again("demo-relay"), "demo-api", *LAB_CHAINS]
pytestmark = [
    pytest.mark.usefixtures("one_relay"),
    pytest.mark.alone,
    pytest.mark.timeout(120),
    pytest.mark.parametrize("cluster", CHAINS, indirect=True),
]
STUBBORN = "trap : HUP TERM; while :; do sleep 0.2; done"  # ends by KILL alone
TRAPPED = "sleep 0.2"  # runs once its traps are set
NOHUP = "(trap '' HUP; exec sleep 1111)"  # the lab's images have no program of that name
KILL = (("killOnDisconnect", "true"),)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What ignores its end is killed soon, but on the real chain."""
    if not os.environ.get("DAP_LAB"):
        shorter.search_pauses(monkeypatch)
        shorter.lease_pauses(monkeypatch)


def access(gateway) -> Access:
    return Access(gateway.url, gateway.token)


def counts(gateway) -> dict[str, int]:
    return dict(gateway.gateway.backends["default"].stats().leftovers)


async def counted(gateway, **expected: int) -> None:
    """A relay says it a little later."""
    await until(lambda: {name: counts(gateway).get(name, 0) for name in expected} == expected)


@pytest.mark.parametrize(
    ("pod", "streams", "how"),
    [
        ("bash-0", TTY, "vanish"), ("web-0", PIPES, "close"), again("bash-0", PIPES, "close"),
        again("web-0", TTY, "close"), again("web-0", PIPES, "vanish"), again("bash-0", TTY, "close"),
        again("bash-0", PIPES, "vanish"), again("web-0", TTY, "vanish"),
    ],
)  # fmt: skip
async def test_a_shell_and_all_it_has_started_is_ended(gateway, pod, streams, how):
    """Foreground and background; nohup and setsid live."""
    async with opened(access(gateway), pod=pod, streams=streams) as one:
        await one.types(f"{NOHUP} &", runs="sleep 1111")
        await one.types("setsid sleep 1112 &", runs="sleep 1112")
        await one.types("sleep 1113 &", runs="sleep 1113")
        await one.types(f"sh -c '{STUBBORN}'", runs=TRAPPED)
        if how == "vanish":
            one.vanish()
        else:
            await one.talk.close()
        await until(lambda: len(marked(one.name)) <= 2)
        await counted(gateway, reaped=1, kept=1)

        assert sorted(marked(one.name).values()) == ["sleep 1111", "sleep 1112"]


async def test_what_a_shell_leaves_that_ends_itself_is_ended_too(gateway):
    """And its outcome is its own, told at once."""
    async with opened(access(gateway)) as one:
        await one.types(f"sh -c '{STUBBORN}' &", runs=TRAPPED)
        await one.types("exit 7")
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.status.exit_code == 7
        await until(lambda: not marked(one.name))
        await counted(gateway, reaped=1)


async def test_a_shell_that_leaves_nothing(gateway):
    said = await run(
        access(gateway),
        Request((), streams=TTY),
        lambda talk: talk.stdin(b"exit\n"),
        row=OWN,
    )

    assert said.status.exit_code == 0
    await counted(gateway, nothing=1)
    metrics = gateway.gateway.metrics.text().decode()
    assert 'dap_leftovers_total{cluster="default",what="nothing"} 1.0' in metrics


@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
async def test_kill_on_disconnect_ends_the_command_itself(gateway, streams):
    script = f"setsid sleep 1111 & sleep 1112 & {STUBBORN}"
    async with opened(access(gateway), "sh", "-c", script, streams=streams, extra=KILL) as one:
        await one.running("sleep 1111", "sleep 1112", TRAPPED)
        one.vanish()
        await until(lambda: len(marked(one.name)) <= 1)
        await counted(gateway, reaped=1, kept=1)

        assert list(marked(one.name).values()) == ["sleep 1111"]


async def test_kill_on_disconnect_leaves_alone_what_a_command_leaves_that_ends_itself(gateway):
    script = f"({STUBBORN}) >/dev/null 2>&1 & read x; exit 3"
    async with opened(access(gateway), "sh", "-c", script, streams=PIPES, extra=KILL) as one:
        await one.types("", runs=TRAPPED)
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.status.exit_code == 3
        await asyncio.sleep(2)

        assert len(marked(one.name)) >= 1
        assert counts(gateway) == {}


async def test_a_clients_own_command_is_untouched_and_counted(gateway):
    """It lives on: nothing in the pod says whose it is."""
    async with opened(
        access(gateway), "sh", "-c", 'echo "<$DAP_SESSION>"; read x; exit 3', streams=PIPES
    ) as one:
        await one.talk.seen(b"<>\n")
        await one.talk.stdin(b"\n")
        await until(lambda: one.talk.transcript.statuses)
        assert counts(gateway) == {}
    async with opened(access(gateway), "sleep", "5", streams=PIPES) as one:
        one.vanish()
        await counted(gateway, unknown=1)


async def test_a_container_without_a_shell_is_said_and_counted(gateway):
    request = Request(("sleep", "1000"), pod="distroless-0", streams=PIPES, extra=KILL)
    with capture_logs() as logs:
        said = await run(access(gateway), request, row=OWN)
        await counted(gateway, no_shell=1)

    end = said.controls[-1]
    assert (end["code"], "--kill-on-disconnect" in end["message"]) == ("no_shell", True)
    (event,) = [row for row in logs if row["event"] == "session_leftovers"]
    assert (event["what"], event["session"]) == (["no_shell"], said.controls[0]["session"])


async def test_the_gateways_own_end_leaves_nothing(cluster, tmp_path):
    """SIGTERM ends in the same way."""
    async with served(config_for(cluster), tmp_path) as gateway, opened(access(gateway)) as one:
        await one.types(f"sh -c '{STUBBORN}'", runs=TRAPPED)
        name = one.name
        await gateway.gateway.registry.stop()
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.controls[-1]["code"] == "shutdown"
        await until(lambda: not marked(name))
