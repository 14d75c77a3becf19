"""Which sessions live, whose they are, and how many there may be: opened, recovered, found, and ended here."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.backends.contract import Backend
from gateway.backends.resume import RecoveredSession, Resume
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.sessions.quota import Quota, Slot
from gateway.sessions.record import SessionRecord
from gateway.sessions.recovery import Recovery
from gateway.sessions.resumption import NEWEST, Resumption
from gateway.sessions.session import Session
from gateway.settings.config import Limits

log = structlog.get_logger()
_REVOKED = "the sign-in behind this session was revoked or has expired: get a fresh link with 'dap open', and open a new session"
_UNTOLD = 500  # ends that wait, where any number of sessions may live


@dataclass
class SessionRegistry:
    """Runs every session in `tasks`. `on_closed` is called with each session that has ended, `on_run` with the cluster
    in whose runner a command has ended.
    """

    backends: Mapping[str, Backend]
    limits: Limits
    tasks: asyncio.TaskGroup
    on_closed: Callable[[Outcome, Session], None]
    on_run: Callable[[str], None]
    sessions: dict[Session, asyncio.Task[None]] = field(default_factory=dict)
    stopping: bool = False
    quota: Quota = field(init=False)
    recovery: Recovery = field(init=False)

    def __post_init__(self) -> None:
        self.quota = Quota(self.limits)
        self.recovery = Recovery(self.backends, self.recover)

    def admit(self, identity: Identity, target: Target, command: Command) -> Slot:
        """Reserves a slot for a session, to be given to `open` or `keep`, or freed. Raises Refused where the session may
        not or cannot be opened here.
        """
        self.permit(identity, command.verb, target, command)
        return self.quota.reserve(identity, target)

    def permit(self, identity: Identity, verb: str, target: Target, command: Command | None = None) -> None:
        """Raises Refused where an identity may not do this, or not here, or not any more."""
        if self.stopping:
            raise Refused("shutdown", "the gateway is being stopped")
        if target.cluster not in self.backends:
            raise unknown_cluster(target.cluster, self.backends)
        if not allowed(identity, verb, target, command):
            raise Refused("not_allowed", f"{identity.name} may not {verb} in {target}")

    async def keeper(self, target: Target, command: Command) -> Resume | None:
        """Returns what would keep this session, a terminal; None where nothing would. Within `Limits.start` seconds."""
        resume = self.backends[target.cluster].resume
        if not (resume and command.tty and command.stdin and command.stdout):
            return None
        return resume if await resume.ready() else None

    def open(
        self,
        identity: Identity,
        target: Target,
        command: Command,
        place: Slot,
        resume: Resume | None = None,
    ) -> Session:
        """Starts an admitted session in `tasks` and returns it. Its slot is free when nothing of the session runs.
        `resume`: what keeps a session that outlives its client.
        """
        name = secrets.token_hex(8)
        record = SessionRecord(identity, target, replace(command, session=name), ())
        return self._start(name, record, place, Resumption(resume, record) if resume else None)

    def recover(self, cluster: str, found: RecoveredSession) -> bool:
        """Goes on with a session that an earlier life of this gateway left. Returns False where the session's record
        cannot be understood. While the gateway stops, what is found is left as it is.
        """
        if self.stopping:
            return True
        note, backend = SessionRecord.parse(found.name, found.note), self.backends[cluster]
        if note is None or note.target.cluster != cluster or backend.resume is None:
            return False
        slot = self.quota.take(note.identity, note.target)
        self._start(found.name, note, slot, Resumption(backend.resume, note, found))
        return True

    async def find(self, name: str, cluster: str = "") -> tuple[Session, Resumption]:
        """Returns the session to attach to, and its resumption. `cluster`: where the session is, if that is known. Raises
        Refused, after `Limits.start` seconds where the session may still be found.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.start):
                while self.recovery.waiting(cluster) and not (self.stopping or self._kept(name)):
                    await self.recovery.next_look()
        if self.stopping:  # from the beginning, or meanwhile
            raise Refused("shutdown", "the gateway is being stopped")
        if found := self._kept(name):
            return found
        if waiting := self.recovery.waiting(cluster):
            raise Refused(
                "ssh_unreachable",
                f"the gateway restarted and is still reconnecting to {', '.join(waiting)}: try again shortly",
            )
        raise Refused("session_unknown", "")

    def _kept(self, name: str) -> tuple[Session, Resumption] | None:
        kept = ((one, one.resumption) for one in self.sessions if one.name == name)
        return next(((one, how) for one, how in kept if how and not how.left), None)

    def _start(self, name: str, record: SessionRecord, place: Slot, resumption: Resumption | None) -> Session:
        """Starts a session and returns it. When the gateway stops already, the session is ended at once."""
        target, backend = record.target, self.backends[record.target.cluster]
        session = Session(name, record.identity, target, record.command, backend, self.limits, resumption)
        session.over.add_done_callback(lambda _: self._over(session, place))
        self.sessions[session] = task = self.tasks.create_task(self._run(session))
        task.add_done_callback(lambda _: place.free())
        if self.stopping:  # since it was admitted
            session.end(Outcome("shutdown"))
        return session

    def release(self, session: Session) -> None:
        """Nobody reads its output any more: what is kept of it goes, with its file, as soon as no more comes."""
        if session.resumption:
            session.resumption.release()
        if task := self.sessions.get(session):
            task.add_done_callback(lambda _: session.output.discard())
        else:
            session.output.discard()

    def end_revoked(self, good: Collection[str]) -> None:
        """Ends each session whose credential can be taken away and is not `good` any more."""
        for session in self.sessions:
            if session.credential and session.credential not in good and not session.ending:
                session.end(Outcome("access_revoked", _REVOKED))

    async def stop(self) -> None:
        """Ends every session with a reason, but what a later life of this gateway will find: that is left. Waits, at
        most `Limits.shutdown` seconds.
        """
        self.stopping = True
        for session in self.sessions:
            if session.resumption and session.resumption.survives:
                session.resumption.hand_over()
            else:
                session.end(Outcome("shutdown"))
        if self.sessions:
            await asyncio.wait(self.sessions.values(), timeout=self.limits.shutdown)

    async def _run(self, session: Session) -> None:
        """The guard: a defect in one session ends that one."""
        bound = _log(session)
        found = session.resumption and session.resumption.found
        bound.info(
            "session_recovered" if found else "session_opened",
            proof=session.identity.proof,
            verb=session.command.verb,
            tty=session.command.tty,
        )
        try:
            await session.run()
        except Exception:  # noqa: BLE001  # the guard
            bound.exception("session_defect")
        finally:
            session.end_over()
            self.sessions.pop(session, None)
            if session.resumption:
                session.output.discard()  # nobody is waiting for it any more

    def _over(self, session: Session, place: Slot) -> None:
        """Nothing of it runs any more; its end may wait for a client that comes back, and much output keeps its place
        for a while.
        """
        if session.command.verb == "run":
            self.on_run(session.target.cluster)
        if session.output.end - session.output.start <= NEWEST:
            self._make_room(place)
        else:
            asyncio.get_running_loop().call_later(self.limits.ended_counts, self._make_room, place)
        if (resumption := session.resumption) and resumption.left:
            _log(session).info("session_handed_over", seconds=resumption.grace)
            return
        if resumption and resumption.counted:
            return
        outcome = session.outcome or Outcome("gateway_error")
        seconds = session.times.ended or session.times.elapsed()
        self.on_closed(outcome, session)
        if session.output.problem:
            _log(session).warning("spool_failed", reason=session.output.problem)
        _log(session).info(
            "session_closed",
            outcome=outcome.code,
            hop=str(outcome.hop),
            message=outcome.message,
            exit_code=outcome.exit_code,
            bytes_in=session.bytes_in,
            bytes_out=session.output.end,
            seconds=round(seconds, 3),
        )

    def _make_room(self, place: Slot) -> None:
        """Frees the slot of a session that has ended, whose end may still wait to be told."""
        place.free()
        self._forget_some()

    def _forget_some(self) -> None:
        """At most as many ends wait to be told as there may be sessions; the oldest go."""
        over = (one for one in self.sessions if one.resumption and one.over.done())
        waiting = sorted((one for one in over if not one.attached), key=lambda one: one.times.ended_at)
        for one in waiting[: -(self.limits.sessions or _UNTOLD)]:
            one.end(Outcome("client_lost"))


def unknown_cluster(name: str, known: Iterable[str]) -> Refused:
    """Returns the error for a cluster that this gateway does not have, and names those that it has."""
    return Refused("cluster_unknown", f"this gateway has no cluster {name!a}; it has {', '.join(known)}")


def _log(session: Session) -> structlog.typing.FilteringBoundLogger:
    bound: structlog.typing.FilteringBoundLogger = log.bind(
        session=session.name, identity=session.identity.name, target=str(session.target)
    )
    return bound
