"""Looks for what sessions have left in their containers, after their end, and counts what came of it.

On the plain chain the gateway looks itself. A relay is told with the session's request what to do at its end, so that
it happens when the gateway is gone; the gateway hears how it went, and looks itself when a relay was killed.
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
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

AT_ONCE = 8  # looks; others wait: a lost hop ends many sessions in one moment
ALL = 60.0  # seconds for all tries of one session, without its turn's
TRY = 20.0  # seconds for one of them
PAUSES = (0.0, 2.0, 6.0, 18.0)  # seconds before each: a hop may be on its way back
log = structlog.get_logger()
Exec = Callable[[Target, Command], AbstractAsyncContextManager[Channel]]


@dataclass(frozen=True)
class Ended:
    """A session that may have left something, and how to exec there again. `looked` is called once it is not looked for
    any more.
    """

    target: Target
    command: Command
    exec: Exec
    looked: Callable[[], None] = lambda: None


class Reaper:
    """One cluster's. Works inside `async with reaper.running():`, and nothing of it ever raises or waits elsewhere.

    `counts` are sessions: `nothing` was there, `reaped`, `kept` (nohup, setsid: meant to live), `stuck` (outlived
    KILL), `unreadable` (processes of other users were there), `gone` (so is the container), `no_shell` (nothing there
    to look with), `failed`, and `unknown` (a client's own command that was cut off: it carries no mark).
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
        """On leaving, looks that are under way get `Limits.shutdown` seconds."""
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
        """With the id of its mark, where nobody has given it one."""
        return command if command.session else replace(command, session=secrets.token_hex(8))

    def over(self, one: Ended, outcome: Outcome | None) -> None:
        """The session has ended; without an outcome it was ended by us."""
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

    def request(self, one: Ended, context: str) -> dict[str, Any]:
        """The fields of a request that have a relay look."""
        if not one.command.tracked:
            return {}
        look = Command(search.argv(one.command.session), stdout=True, stderr=True)
        only = {"after_if": "ended"} if one.command.argv else {}
        words = kubectl.argv(one.target, look, context)
        return {"after": [words], "after_tag": one.command.session, **only}

    def register_remote(self, one: Ended, relay: object) -> None:
        """That relay has the request."""
        if one.command.tracked:
            self._owed[one.command.session] = one, relay

    def on_exit(self, one: Ended, exit_: Mapping[str, Any] | None, outcome: Outcome | None) -> None:
        """The session has ended; `exit_` is what the relay said of it, if it did."""
        if one.command.tracked and (exit_ is None or exit_.get("after")):
            return  # the relay looks, or is about to
        self._owed.pop(one.command.session, None)
        if (
            exit_ is None or "errno" not in exit_
        ):  # it was started; whether kubectl ended or its command, we know
            self.over(one, outcome)

    def on_report(self, about: Mapping[str, Any]) -> None:
        """A relay says how its looks went in the end."""
        one, _ = self._owed.pop(str(about.get("tag")), (None, None))
        if one is None:
            return
        result: Mapping[str, Any] = about["results"][0]
        words = str(result.get("words", "")).encode()
        outcome = Outcome("kubectl_killed")
        if "code" in result:
            outcome = kubectl.explain(int(result["code"]), words, one.target, Command(stdout=True))
        self._count(one, search.read(outcome, str(result.get("out", "")).encode()))

    def set_relay(self, relay: object) -> None:
        """Tells which one has the link now. Another that owes us something was killed, or goes on without us."""
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
        except Exception:  # a defect here is no session's
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


async def _try(one: Ended, argv: tuple[str, ...], seconds: float) -> OrphanReport:
    said = b""
    look = Command(argv, stdout=True, stderr=True)
    try:
        async with asyncio.timeout(seconds), one.exec(one.target, look) as channel:
            channel.write_eof()
            async for stream, data in channel.output():
                if stream is Stream.STDOUT:
                    said = (said + data)[-search.SAID :]
            return search.read(await channel.wait(), said)
    except HopFailed as error:
        return search.read(error.outcome(), b"")
    except TimeoutError:
        return OrphanReport(("failed",), why=f"no answer within {seconds:.0f} s")
