"""What a session leaves in its pod is ended soon after it, however it ended: through the edge, on each chain.

The demo's pods hang up by themselves when their kubectl ends, so what is left there is what catches that.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs
from support import marks
from support.exec_client import Access, Conversation, Request, _open, run
from support.marks import marked, until
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN

pytestmark = pytest.mark.timeout(120)
STUBBORN = "trap : HUP TERM; while :; do sleep 0.2; done"  # ends by KILL alone
NOHUP = "(trap '' HUP; exec sleep 1111)"  # the lab's images have no program of that name
TTY, PIPES = ("stdin", "stdout", "tty"), ("stdin", "stdout", "stderr")
KILL = (("killOnDisconnect", "true"),)


class Open:
    """A session that is open; `name` is its id."""

    def __init__(self, talk: Conversation, connection) -> None:
        self.talk = talk
        self.name = talk.transcript.controls[0]["session"]
        self._connection = connection

    async def types(self, line: str, *, until_left: int) -> None:
        """Waits until so many processes carry the session's mark."""
        await self.talk.stdin(f"{line}\n".encode())
        await until(lambda: len(marked(self.name)) >= until_left)

    def vanish(self) -> None:
        """Without a close, and without a word."""
        self._connection.transport.abort()


@asynccontextmanager
async def opened(gateway, *argv, streams=TTY, pod="bash-0", **more):
    """Leaving it closes the connection, if nobody has, and ends what carries the session's mark."""
    access = Access(gateway.url, gateway.token)
    request = Request(argv, pod=pod, streams=streams, **more)
    async with asyncio.timeout(60), _open(access, request.path(), (OWN.name,)) as connection:
        talk = Conversation(connection, OWN)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(talk.read())
            await until(lambda: any(one["type"] == "started" for one in talk.transcript.controls))
            one = Open(talk, connection)
            try:
                yield one
            finally:
                await talk.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await reading
                reading.cancel()
                marks.end(one.name)


def counts(gateway) -> dict[str, int]:
    return dict(gateway.gateway.backends["default"].leftovers())


async def counted(gateway, **expected: int) -> None:
    """A relay says it a little later."""
    await until(lambda: {name: counts(gateway).get(name, 0) for name in expected} == expected)


@pytest.mark.parametrize("how", ["close", "vanish"])
@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
@pytest.mark.parametrize("pod", ["bash-0", "web-0"])
async def test_a_shell_and_all_it_has_started_is_ended(gateway, pod, streams, how):
    """Foreground and background; nohup and setsid live."""
    async with opened(gateway, pod=pod, streams=streams) as one:
        await one.types(f"{NOHUP} &", until_left=2)
        await one.types("setsid sleep 1112 &", until_left=3)
        await one.types("sleep 1113 &", until_left=4)
        await one.types(f"sh -c '{STUBBORN}'", until_left=5)
        if how == "vanish":
            one.vanish()
        else:
            await one.talk.close()
        await until(lambda: len(marked(one.name)) <= 2)
        await counted(gateway, reaped=1, kept=1)

        assert sorted(marked(one.name).values()) == ["sleep 1111", "sleep 1112"]


async def test_what_a_shell_leaves_that_ends_itself_is_ended_too(gateway):
    """And its outcome is its own, told at once."""
    async with opened(gateway) as one:
        await one.types(f"sh -c '{STUBBORN}' &", until_left=2)
        await one.types("exit 7", until_left=1)
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.status.exit_code == 7
        await until(lambda: not marked(one.name))
        await counted(gateway, reaped=1)


async def test_a_shell_that_leaves_nothing(gateway):
    said = await run(
        Access(gateway.url, gateway.token),
        Request((), streams=TTY),
        lambda talk: talk.stdin(b"exit\n"),
        row=OWN,
    )

    assert said.status.exit_code == 0
    await counted(gateway, nothing=1)


@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
async def test_kill_on_disconnect_ends_the_command_itself(gateway, streams):
    script = f"setsid sleep 1111 & sleep 1112 & {STUBBORN}"
    async with opened(gateway, "sh", "-c", script, streams=streams, extra=KILL) as one:
        await until(lambda: len(marked(one.name)) >= 3)
        one.vanish()
        await until(lambda: len(marked(one.name)) <= 1)
        await counted(gateway, reaped=1, kept=1)

        assert list(marked(one.name).values()) == ["sleep 1111"]


async def test_kill_on_disconnect_leaves_alone_what_a_command_leaves_that_ends_itself(gateway):
    script = f"({STUBBORN}) >/dev/null 2>&1 & exit 3"
    async with opened(gateway, "sh", "-c", script, streams=PIPES, extra=KILL) as one:
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.status.exit_code == 3
        await asyncio.sleep(2)

        assert len(marked(one.name)) >= 1
        assert counts(gateway) == {}


async def test_a_clients_own_command_is_untouched_and_counted(gateway):
    """It lives on: nothing in the pod says whose it is."""
    async with opened(gateway, "sh", "-c", 'echo "<$DAP_SESSION>"; read x; exit 3', streams=PIPES) as one:
        await one.talk.seen(b"<>\n")
        await one.talk.stdin(b"\n")
        await until(lambda: one.talk.transcript.statuses)
        assert counts(gateway) == {}
    async with opened(gateway, "sleep", "5", streams=PIPES) as one:
        one.vanish()
        await counted(gateway, unknown=1)


async def test_a_container_without_a_shell_is_said_and_counted(gateway):
    request = Request(("sleep", "1000"), pod="distroless-0", streams=PIPES, extra=KILL)
    with capture_logs() as logs:
        said = await run(Access(gateway.url, gateway.token), request, row=OWN)
        await counted(gateway, no_shell=1)

    end = said.controls[-1]
    assert (end["code"], "--kill-on-disconnect" in end["message"]) == ("no_shell", True)
    (event,) = [row for row in logs if row["event"] == "session_leftovers"]
    assert (event["what"], event["session"]) == (["no_shell"], said.controls[0]["session"])


async def test_the_gateways_own_end_leaves_nothing(cluster, tmp_path):
    """SIGTERM ends in the same way."""
    async with served(config_for(cluster), tmp_path) as gateway, opened(gateway) as one:
        await one.types(f"sh -c '{STUBBORN}'", until_left=2)
        name = one.name
        await gateway.gateway.stop()
        await until(lambda: one.talk.transcript.statuses)
        assert one.talk.transcript.controls[-1]["code"] == "shutdown"
        await until(lambda: not marked(name))
