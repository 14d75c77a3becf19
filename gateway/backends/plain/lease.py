"""Keeps the plain chain's lease: a bash in the runner that ends commands whose session is over, also when the gateway
has been killed (lease_protocol.py).

The lease starts with the first session that lasts, and ends after a minute without sessions. No session waits for it.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from gateway.backends.incus import trailer
from gateway.backends.plain import lease_protocol
from gateway.backends.plain.lease_protocol import TICK, lease_line, send_lease
from gateway.backends.plain.wrapper import TALK_LIMIT, Stdout
from gateway.backends.process import Process
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.settings.config import Cluster, Limits
from gateway.supervision import supervise
from gateway.timeouts import wait_within

log = structlog.get_logger()

_DELAY = 0.25  # seconds that a session lasts before a lease is started
_TOGETHER = 0.05  # seconds whose ends go out in one line: a lost connection ends several sessions
_IDLE = 60.0  # seconds without a session after which the lease ends
_LEAVE = 2.0  # seconds for the last lines to the lease, when the gateway stops
_HOWS = ("term", "kill")  # the signal that ended a command
_LINE = 1 << 18  # bytes of a line of the lease: the ends of some thousand sessions
_BACKOFF = (0.1, 1.0, 2.0, 5.0, 10.0, 15.0)  # seconds between attempts


class Lease:
    """Tells the lease of one runner which commands run and which are to be ended, inside `async with lease.running():`.
    No other method waits or raises, whether a lease runs or not: a new lease gets all that is known.
    """

    def __init__(self, cluster: Cluster, limits: Limits, host: Host, tick: float = TICK) -> None:
        self.restarts: dict[str, str] = {}  # see `supervise`
        self.ended = 0  # commands that the lease had to end
        self._cluster = cluster
        self._limits = limits
        self._host = host
        self._tick = tick
        self._known: dict[str, tuple[int, ...]] = {}  # by nonce: `Parsed.roots`, once known
        self._looks: dict[str, str] = {}  # by mark: the line that has its container searched
        self._due: set[str] = set()  # nonces to be ended, until the lease reports them
        self._unsaid: set[str] = set()  # those nonces of `_due` that the lease was not sent yet
        self._wanted = asyncio.Event()
        self._process: Process | None = None
        self._reason = ""  # why the last lease failed
        self._before: tuple[int, str] | None = None  # pid and nonce of the last lease that got no `bye`

    @property
    def up(self) -> bool:
        """True while a lease runs that knows all commands."""
        return self._process is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps a lease while sessions need it. Leaving sends the lease the ends that are due and `bye`, within _LEAVE
        seconds, and ends the task.
        """
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(supervise("lease", self._keep, self.restarts))
            try:
                yield
            finally:
                await self._leave()
                keeper.cancel()

    def know(self, nonce: str, look: tuple[str, ...] = ()) -> None:
        """Registers the nonce of a wrapper that is about to start, and asks for a lease. `look`: the session's mark and the
        kubectl exec before a command, with which the lease searches the container; empty for no search.
        """
        self._known[nonce] = ()
        self._say(lease_protocol.begun(nonce, ()))
        if line := lease_protocol.look(look):
            self._looks[look[0]] = line
            self._say(line)
        self._wanted.set()

    def started(self, nonce: str, roots: tuple[int, ...]) -> None:
        """Registers the numbers of a known wrapper's `start` (`Parsed.roots`)."""
        if nonce in self._known:
            self._known[nonce] = roots
            self._say(lease_protocol.begun(nonce, roots))

    def forget(self, nonce: str) -> None:
        """Drops a command that has ended by itself together with its wrapper."""
        self._known.pop(nonce, None)
        self._say(f"- {nonce}")

    def end(self, nonce: str) -> None:
        """Has the lease end what is left of the command, whose session is over; asks for a lease where none runs."""
        self._known.setdefault(nonce, ())
        self._due.add(nonce)
        if not self._unsaid:
            asyncio.get_running_loop().call_later(_TOGETHER, self._say_ends)
        self._unsaid.add(nonce)
        self._wanted.set()

    def looked(self, mark: str) -> None:
        """Drops a mark: the gateway has searched its container, or has given up."""
        if self._looks.pop(mark, None):
            self._say(f"out {mark}")

    @property
    def _needed(self) -> bool:
        return bool(self._known or self._looks)

    def _say(self, words: str) -> None:
        if self._process:
            self._process.send(lease_protocol.line(words))

    def _say_ends(self) -> None:
        if self._process and self._unsaid:
            self._say(f"! {' '.join(sorted(self._unsaid))}")
            self._unsaid.clear()

    async def _leave(self) -> None:
        async def sent() -> None:
            while self._unsaid:  # noqa: ASYNC110  # for so short a time
                await asyncio.sleep(_TOGETHER)

        await wait_within(sent(), _LEAVE)
        self._say("bye")

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._wanted.clear()
            if not self._needed:
                await self._wanted.wait()
            await asyncio.sleep(_DELAY)
            if not self._needed:
                continue
            began = time.monotonic()
            try:
                await self._live()
                failures = 0
                continue
            except HopFailed as error:
                self._lost(error)
            failures = 1 if time.monotonic() - began > _IDLE else failures + 1
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF)) - 1])

    def _lost(self, error: HopFailed) -> None:
        if error.message != self._reason:
            self._reason = error.message
            log.warning("lease_lost", cluster=self._cluster.name, reason=error.message)
        if error.code in ("incus_stopped", "incus_not_found"):  # the instance's processes have ended with it
            for nonce in self._due:
                self._known.pop(nonce, None)
            self._due.clear()
            self._unsaid.clear()

    async def _live(self) -> None:
        """Starts a lease and serves it until it was idle for _IDLE seconds. Raises HopFailed when the lease is lost."""
        nonce, cluster, limit = secrets.token_hex(12), self._cluster, self._limits.start
        line = lease_line(cluster.vm, nonce, self._tick, project=cluster.incus_project)
        async with self._host.process(line, apart=True) as process:
            try:
                async with asyncio.timeout(limit):
                    out = await self._start(process, nonce)
            except TimeoutError:
                raise HopFailed("runner_timeout", f"no lease in {cluster.vm} within {limit:g} s") from None
            self._process, self._reason = process, ""
            try:
                self._tell_all()
                self._before = (out.seen.pid or 0, nonce)
                await self._tend(process, out)
                self._before = None
            finally:
                self._process = None

    async def _start(self, process: Process, nonce: str) -> Stdout:
        out, sent = Stdout(nonce), False
        try:
            while out.seen.pid is None:
                await _read(process, out)
                if out.seen.ready and not sent:
                    sent = True
                    await process.write(send_lease(self._tick))
        except asyncio.CancelledError:
            if sent:  # a lease without `bye` would wait for another gateway
                process.send(lease_protocol.line("bye"))
            raise
        return out

    def _tell_all(self) -> None:
        for line in (*(lease_protocol.begun(*row) for row in self._known.items()), *self._looks.values()):
            self._say(line)
        self._unsaid |= self._due
        self._say_ends()
        if self._before:
            self._say(f"take {self._before[0]} {self._before[1]}")

    async def _tend(self, process: Process, out: Stdout) -> None:
        clock = asyncio.get_running_loop().time
        due, idle, rest = clock() + self._tick, 0.0, b""
        while idle < _IDLE:
            try:
                async with asyncio.timeout_at(due):
                    rest += await _read(process, out)
            except TimeoutError:
                self._say("")
                due = clock() + self._tick
                idle = 0.0 if self._needed else idle + self._tick
                continue
            *lines, rest = rest.split(b"\n")
            if len(rest) > _LINE:
                raise HopFailed("runner_failed", f"the lease said a line of more than {_LINE} bytes")
            for line in lines:
                self._heard(line.decode("ascii", "replace").split())
        self._say("bye")
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE):
                await process.wait_closed()

    def _heard(self, words: list[str]) -> None:
        if words[:1] != ["gone"]:
            return
        hows: Counter[str] = Counter()
        for word in words[1:]:
            nonce, _, how = word.partition(":")
            self._known.pop(nonce, None)
            self._due.discard(nonce)
            self._unsaid.discard(nonce)
            if how in _HOWS:
                hows[how] += 1
        if ended := hows.total():
            self.ended += ended
            log.warning("orphans_ended", cluster=self._cluster.name, **+hows)


async def _read(process: Process, out: Stdout) -> bytes:
    """Returns what the lease wrote to stdout. Raises HopFailed at the end of its exec. Cancelling is safe."""
    batch = await process.read()
    if not batch:
        raise process.failure() if process.lost else trailer.refusal(process.exit_code, out.talk)
    stderr = b"".join(data for kind, data in batch if kind == 2)  # incus' own messages
    out.talk = (out.talk + stderr)[-TALK_LIMIT:]
    return b"".join(out.feed(data) for kind, data in batch if kind == 1)
