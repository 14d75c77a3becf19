"""What one running gateway is made of. The edge's routes see only this."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import structlog

from gateway.backend import Backend
from gateway.backend.chain import chain
from gateway.backend.relay.identity import identity
from gateway.backend.ssh import Prompt
from gateway.config import Config
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.server.auth import Places, Tokens, allowed
from gateway.server.checks import Checks
from gateway.server.metrics import Metrics
from gateway.server.quota import Place, Quota
from gateway.session import Identity, Session

log = structlog.get_logger()


@dataclass
class Gateway:
    """Settings, backends by cluster, who may come in, and the sessions that live."""

    config: Config
    backends: dict[str, Backend]
    tokens: Tokens
    places: Places
    tasks: asyncio.TaskGroup
    metrics: Metrics = field(default_factory=Metrics)
    checks: Checks = field(default_factory=Checks)
    base: str = "http://localhost"  # what a browser link begins with
    sessions: dict[Session, asyncio.Task[None]] = field(default_factory=dict)
    stopping: bool = False
    quota: Quota = field(init=False)

    def __post_init__(self) -> None:
        self.quota = Quota(self.config.limits)

    def link(self, ticket: str, path: str = "") -> str:
        """A URL for a browser. The ticket is in the fragment, which no server, proxy or Referer gets to see."""
        where = f"&path=/{quote(path.strip('/'))}" if path else ""
        return f"{self.base}/#ticket={ticket}{where}"

    def admit(self, identity: Identity, target: Target, command: Command) -> Place:
        """A place for the session, to be given to `open`, or freed. Raises Refused where this may not or cannot be
        opened here.
        """
        self.permit(identity, command.verb, target, command)
        return self.quota.reserve(identity, target)

    def permit(self, identity: Identity, verb: str, target: Target, command: Command | None = None) -> None:
        """Raises Refused."""
        if self.stopping:
            raise Refused("shutdown", "the gateway is being stopped")
        if target.cluster not in self.backends:
            known = ", ".join(self.backends)
            raise Refused(
                "cluster_unknown", f"this gateway has no cluster {target.cluster!a}; it has {known}"
            )
        if not allowed(identity, verb, target, command):
            raise Refused("not_allowed", f"{identity.name} may not {verb} in {target}")

    def open(self, identity: Identity, target: Target, command: Command, place: Place) -> Session:
        """Starts an admitted session in the gateway's own TaskGroup. Its place is free when nothing of it runs."""
        backend = self.backends[target.cluster]
        name = secrets.token_hex(8)
        command = replace(command, session=name)
        session = Session(name, identity, target, command, backend, self.config.limits)
        self.sessions[session] = task = self.tasks.create_task(self._run(session))
        task.add_done_callback(lambda _: place.free())
        if self.stopping:  # since it was admitted
            session.end(Outcome("shutdown"))
        return session

    def release(self, session: Session) -> None:
        """Nobody reads its output any more: what is kept of it goes, with its file, as soon as no more comes."""
        if task := self.sessions.get(session):
            task.add_done_callback(lambda _: session.output.discard())
        else:
            session.output.discard()

    async def stop(self) -> None:
        """Ends every session with a reason and waits, at most `Limits.shutdown` seconds."""
        self.stopping = True
        for session in self.sessions:
            session.end(Outcome("shutdown"))
        if self.sessions:
            await asyncio.wait(self.sessions.values(), timeout=self.config.limits.shutdown)

    async def _run(self, session: Session) -> None:
        """The guard: a defect in one session ends that one."""
        bound = log.bind(session=session.name, identity=session.identity.name, target=str(session.target))
        bound.info(
            "session_opened", proof=session.identity.proof, verb=session.command.verb, tty=session.command.tty
        )
        try:
            await session.run()
        except Exception:  # noqa: BLE001  # the guard
            bound.exception("session_defect")
        finally:
            self.sessions.pop(session, None)
            self._closed(bound, session)

    def _closed(self, bound: structlog.typing.FilteringBoundLogger, session: Session) -> None:
        outcome = session.outcome or Outcome("gateway_error")
        seconds = session.times.elapsed()
        self.metrics.session(outcome, session)
        bound.info(
            "session_closed",
            outcome=outcome.code,
            hop=str(outcome.hop),
            message=outcome.message,
            exit_code=outcome.exit_code,
            bytes_in=session.bytes_in,
            bytes_out=session.output.end,
            seconds=round(seconds, 3),
        )


@asynccontextmanager
async def running(
    config: Config, tokens: Tokens, places: Places, prompt: Prompt | None, state: Path | None = None
) -> AsyncIterator[Gateway]:
    """A gateway with a warm connection to each cluster's management host. On leaving, no task of it is left.

    `state`: the directory that makes it the same gateway to its relays as its last life; None for one of its own.
    """
    async with AsyncExitStack() as stack:
        backends: dict[str, Backend] = {}
        who = stack.enter_context(identity(state))
        for name, cluster in config.clusters.items():
            backends[name] = await stack.enter_async_context(chain(cluster, config.limits, prompt, who))
        async with asyncio.TaskGroup() as tasks:
            gateway = Gateway(config, backends, tokens, places, tasks)
            for name, backend in backends.items():
                gateway.metrics.watch(name, backend)
            try:
                yield gateway
            finally:
                await gateway.stop()
                for task in gateway.sessions.values():
                    task.cancel()
