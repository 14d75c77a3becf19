"""Searches the containers of ended sessions for processes that the sessions left, and counts the results.

On the plain chain the gateway searches. A relay receives the search with the session's request, and runs it at the
session's end even if the gateway has gone; the relay reports the result. The gateway searches when a relay was killed.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.backends.contract import Channel
from gateway.backends.kube import kubectl
from gateway.backends.orphans import search
from gateway.backends.orphans.search import LATE, OrphanReport
from gateway.errors import HopFailed
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

AT_ONCE = 8  # searches at a time; others wait: a lost hop ends many sessions in one moment
ALL = 60.0  # seconds for all tries of one session, from its first turn on
TRY = 20.0  # seconds for one try
PAUSES = (0.0, 2.0, 6.0, 18.0)  # seconds before each try: a hop may be on its way back
log = structlog.get_logger()
Exec = Callable[[Target, Command], AbstractAsyncContextManager[Channel]]


@dataclass(frozen=True)
class Ended:
    """Describes a session that may have left processes. `exec` runs a command beside it, for the search; `looked` is
    called when the search is over, or when there is none.
    """

    target: Target
    command: Command
    exec: Exec
    looked: Callable[[], None] = lambda: None


class Reaper:
    """Searches the containers of one cluster in tasks of its own, inside `async with reaper.running():`. Its methods
    neither wait nor raise, and a search that fails is counted.

    `counts` counts sessions: `nothing` was left, processes were `reaped`, `kept` (nohup, setsid: meant to live), `stuck`
    (outlived KILL) or `unreadable` (another user's); the container is `gone` or has `no_shell` for a search; the search
    `failed`; `unknown` is a client's own command that was cut off: it carries no mark.
    """

    def __init__(self, limits: Limits) -> None:
        self.counts: Counter[str] = Counter()
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: asyncio.TaskGroup | None = None
        self._looks: set[asyncio.Task[None]] = set()
        self._owed: dict[str, tuple[Ended, object]] = {}  # by session, with the relay that has been told

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the searches. Leaving waits `Limits.shutdown` seconds for searches that run, then cancels them."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                if self._looks:
                    await asyncio.wait(self._looks, timeout=self._limits.shutdown)
                for look in self._looks:
                    look.cancel()

    def mark(self, command: Command) -> Command:
        """Returns the command with a random session id, for its mark, where it has no session id yet."""
        return command if command.session else replace(command, session=secrets.token_hex(8))

    def over(self, one: Ended, outcome: Outcome | None) -> None:
        """Starts a search where the ended session may have left marked processes; counts the session where it has no mark
        or its container no shell. `outcome`: None where the gateway ended the session.
        """
        itself = outcome is not None and outcome.exit_code is not None
        if one.target.pod and one.command.verb == "exec":
            if not one.command.tracked:
                self.counts.update(["unknown"] * search.may_run(outcome))
            elif outcome and outcome.code == "no_shell":
                self._count(one, search.read(outcome, b""))
            elif search.may_run(outcome) or (itself and not one.command.argv):
                self._look(one, 0 if itself else LATE)
                return
        one.looked()

    # with a relay

    def request(self, one: Ended, run: Callable[[Target, Command], object]) -> dict[str, Any]:
        """Returns the request fields that make a relay search at the session's end; none for a command without a mark.
        `run` returns what the relay is to run for a command.
        """
        if not one.command.tracked:
            return {}
        look = _search(one, search.argv(one.command.session))
        only = {"after_if": "ended"} if one.command.argv else {}
        return {"after": [run(one.target, look)], "after_tag": one.command.session, **only}

    def register_remote(self, one: Ended, relay: object) -> None:
        """Records that this relay has the session's request and owes a report, if the command carries a mark."""
        if one.command.tracked:
            self._owed[one.command.session] = one, relay

    def on_exit(self, one: Ended, exit_: Mapping[str, Any] | None, outcome: Outcome | None) -> None:
        """Takes a session's end. Leaves a marked command to its relay if the relay searches (`after` in `exit_`) or sent no
        exit; else does what `over` does, unless the command was never started.
        """
        if one.command.tracked and (exit_ is None or exit_.get("after")):
            return  # the relay looks, or is about to
        self._owed.pop(one.command.session, None)
        if (
            exit_ is None or "errno" not in exit_
        ):  # it was started; whether kubectl ended or its command, we know
            self.over(one, outcome)

    def on_report(self, about: Mapping[str, Any]) -> None:
        """Counts the result of a relay's search; ignores the report on a session that owes none."""
        one, _ = self._owed.pop(str(about.get("tag")), (None, None))
        if one is None:
            return
        result: Mapping[str, Any] = about["results"][0]
        words = str(result.get("words", "")).encode()
        outcome = Outcome("kubectl_killed")
        if "generation" in result:  # of a search over the API, whose exit code is the search's own
            outcome = (
                ended(int(result["code"]))
                if "code" in result
                else Outcome("cluster_failed", str(result.get("error")))
            )
        elif "code" in result:
            outcome = kubectl.explain(int(result["code"]), words, one.target, Command(stdout=True))
        self._count(one, search.read(outcome, str(result.get("out", "")).encode()))

    def set_relay(self, relay: object) -> None:
        """Takes the relay that has the link now. Searches for every session that another relay owes a report on: that
        relay was killed, or has lost this gateway.
        """
        for name in [name for name, (_, other) in self._owed.items() if other != relay]:
            one, _ = self._owed.pop(name)
            self._look(one, LATE)

    # looking

    def _look(self, one: Ended, late: int) -> None:
        if self._tasks is None:
            self._count(one, OrphanReport(("failed",), why="the gateway is being stopped"))
            return
        look = self._tasks.create_task(self._tries(one, search.argv(one.command.session, late)))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _tries(self, one: Ended, argv: tuple[str, ...]) -> None:
        found = OrphanReport(("failed",), why="not in time")
        try:
            end = None
            for pause in PAUSES:
                await asyncio.sleep(pause)
                async with self._turns:
                    now = asyncio.get_running_loop().time()
                    end = end or now + ALL
                    if now < end:
                        found = await _try(one, argv, min(TRY, end - now))
                if not found.failed:
                    break
        except Exception:  # a defect here must end no session
            log.exception("leftovers_defect", session=one.command.session)
        finally:
            self._count(one, found)

    def _count(self, one: Ended, found: OrphanReport) -> None:
        one.looked()
        self.counts.update(found.what)
        if set(found.what) - {"nothing", "gone", "unreadable"}:
            log.info(
                "session_leftovers",
                session=one.command.session,
                target=str(one.target),
                what=list(found.what),
                ended=found.ended,
                kept=found.kept,
                left=found.left,
                unreadable=found.unreadable,
                message=found.why,
            )


def _search(one: Ended, argv: tuple[str, ...]) -> Command:
    return Command(argv, stdout=True, stderr=True, actor=one.command.actor)


async def _try(one: Ended, argv: tuple[str, ...], seconds: float) -> OrphanReport:
    said = b""
    try:
        async with asyncio.timeout(seconds), one.exec(one.target, _search(one, argv)) as channel:
            channel.write_eof()
            async for stream, data in channel.output():
                if stream is Stream.STDOUT:
                    said = (said + data)[-search.SAID :]
            return search.read(await channel.wait(), said)
    except HopFailed as error:
        return search.read(error.outcome(), b"")
    except TimeoutError:
        return OrphanReport(("failed",), why=f"no answer within {seconds:.0f} s")
