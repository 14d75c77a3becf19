"""Admits, opens, recovers, finds and ends the sessions of this gateway."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.backends.contract import Backend
from gateway.backends.resume import RecoveredSession, Resume
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.protocol.request_info import RequestInfo
from gateway.protocol.target import Command, Target
from gateway.relay.spool import Spools
from gateway.sessions import events
from gateway.sessions.quota import Quota, Slot
from gateway.sessions.record import SessionRecord
from gateway.sessions.recovery import Recovery
from gateway.sessions.resumption import NEWEST, Resumption
from gateway.sessions.session import Session
from gateway.settings.config import Limits

_REVOKED = "the sign-in behind this session was revoked or has expired: get a fresh link with 'dap open', and open a new session"
_UNDELIVERED = 500  # ended sessions that wait for their client, where sessions are unlimited


@dataclass
class SessionRegistry:
    """Runs every session in `tasks`. Calls `on_closed` once for each session that has ended, and `on_run` with the
    cluster when a command in that cluster's runner has ended. `sessions`: each session that has a task; `log_argv`: the
    log has their commands.
    """

    backends: Mapping[str, Backend]
    limits: Limits
    tasks: asyncio.TaskGroup
    on_closed: Callable[[Outcome, Session], None]
    on_run: Callable[[str], None]
    sessions: dict[Session, asyncio.Task[None]] = field(default_factory=dict)
    log_argv: bool = False
    stopping: bool = False
    quota: Quota = field(init=False)
    spools: Spools = field(init=False)
    recovery: Recovery = field(init=False)

    def __post_init__(self) -> None:
        self.quota = Quota(self.limits)
        self.spools = Spools(self.limits.spools, self.limits.spools_per_identity)
        self.recovery = Recovery(self.backends, self.recover)

    def admit(
        self, identity: Identity, target: Target, command: Command, asked: Target | None = None
    ) -> Slot:
        """Reserves and returns a slot for a session, which the caller gives to `open` or frees. `asked`: what the request
        names, where `target` is the pod that was found for it; a link for a workload is good for any pod of it. Raises
        Refused if the policy, the quota, a missing cluster or a stopping gateway rules the session out.
        """
        self.permit(identity, command.verb, asked or target, command)
        return self.quota.reserve(identity, target)

    def permit(
        self,
        identity: Identity,
        verb: str,
        target: Target,
        command: Command | None = None,
        *,
        info: RequestInfo | None = None,
    ) -> None:
        """Raises Refused if the gateway stops, the cluster is unknown, or the policy denies the identity this verb in this
        target. Returns otherwise. `info`: what a request asks of the cluster's API.
        """
        if self.stopping:
            raise Refused("shutdown", "the gateway is being stopped")
        if target.cluster not in self.backends:
            known = [name for name in self.backends if allowed(identity, "get", Target(name), None)]
            raise unknown_cluster(target.cluster, known)
        if not allowed(identity, verb, target, command, info=info):
            bound = f": this link is for {identity.only} alone, ask for another" if identity.only else ""
            bound = f": this token is for {identity.scope} alone" if identity.scope else bound
            raise Refused("not_allowed", f"{identity.name} may not {verb} in {target}{bound}")

    async def keeper(self, target: Target, command: Command) -> Resume | None:
        """Returns the backend's Resume if it can make this session resumable now; else None, as for every command without
        a terminal. Takes at most `Limits.start` seconds.
        """
        resume = self.backends[target.cluster].resume
        if not (resume and command.tty and command.stdin and command.stdout):
            return None
        return resume if await resume.ready() else None

    def open(
        self,
        identity: Identity,
        target: Target,
        command: Command,
        slot: Slot,
        resume: Resume | None = None,
    ) -> Session:
        """Starts an admitted session in `tasks` and returns the session; `resume` makes it resumable. Frees the slot when
        the command has ended; with much output unread `Limits.ended_counts` seconds later, or when the task ends.
        """
        name = secrets.token_hex(8)
        record = SessionRecord(identity, target, replace(command, session=name, owner=identity.name), ())
        return self._start(name, record, slot, Resumption(resume, record) if resume else None)

    def recover(self, cluster: str, found: RecoveredSession) -> bool:
        """Starts a session that an earlier process of this gateway left at the relay, whatever the quota. Returns False if
        its record is invalid. While the gateway stops, leaves the session at the relay and returns True.
        """
        if self.stopping:
            return True
        record, backend = SessionRecord.parse(found.name, found.note), self.backends[cluster]
        if record is None or record.target.cluster != cluster or backend.resume is None:
            return False
        slot = self.quota.take(record.identity, record.target)
        self._start(found.name, record, slot, Resumption(backend.resume, record, found))
        return True

    async def find(self, name: str, cluster: str = "") -> tuple[Session, Resumption]:
        """Returns the resumable session `name` and its resumption. Waits up to `Limits.start` seconds for clusters that
        are still to be searched after a restart, or for `cluster` alone. Raises Refused: shutdown, ssh_unreachable while
        a cluster is still to be searched, else session_unknown.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.start):
                while self.recovery.waiting(cluster) and not (self.stopping or self._resumable(name)):
                    await self.recovery.next_look()
        if self.stopping:  # from the beginning, or meanwhile
            raise Refused("shutdown", "the gateway is being stopped")
        if resumable := self._resumable(name):
            return resumable
        if waiting := self.recovery.waiting(cluster):
            raise Refused(
                "ssh_unreachable",
                f"the gateway restarted and is still reconnecting to {', '.join(waiting)}: try again shortly",
            )
        raise Refused("session_unknown", "")

    def _resumable(self, name: str) -> tuple[Session, Resumption] | None:
        named = ((session, session.resumption) for session in self.sessions if session.name == name)
        return next(((session, how) for session, how in named if how and not how.left), None)

    def _start(self, name: str, record: SessionRecord, slot: Slot, resumption: Resumption | None) -> Session:
        """Starts and returns a session, and ends it at once if the gateway stops."""
        who, target, backend = record.identity, record.target, self.backends[record.target.cluster]
        session = Session(name, who, target, record.command, backend, self.limits, resumption, self.spools)
        session.way = record.way
        session.over.add_done_callback(lambda _: self._over(session, slot))
        self.sessions[session] = task = self.tasks.create_task(self._run(session))
        task.add_done_callback(lambda _: slot.free())
        if self.stopping:  # the stop came after the session was admitted
            session.end(Outcome("shutdown"))
        return session

    def release(self, session: Session) -> None:
        """Gives up the opener's claim on the session, and discards the output, with its file, once the session's task has
        ended. Does not end the session.
        """
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
        """Refuses new sessions; hands over each session that survives a restart of the gateway, ends every other session
        with the outcome shutdown, and waits at most `Limits.shutdown` seconds for their tasks.
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
        """Runs a session to its end and removes it from `sessions`. Logs a defect, which ends this session alone."""
        events.opened(session, argv=self.log_argv)
        try:
            await session.run()
        except Exception:  # noqa: BLE001  # the guard
            events.log_of(session).exception("session_defect")
        finally:
            session.end_over()
            self.sessions.pop(session, None)
            if session.resumption:
                session.output.discard()  # a resumable session's task waits for its client: no reader is left

    def _over(self, session: Session, slot: Slot) -> None:
        """Logs and counts the end of a session's command, and frees the session's slot, after `Limits.ended_counts` seconds
        if much output is unread. The session itself may still wait for a client.
        """
        if session.command.verb == "run":
            self.on_run(session.target.cluster)
        if session.output.end - session.output.start <= NEWEST:
            self._free(slot)
        else:
            asyncio.get_running_loop().call_later(self.limits.ended_counts, self._free, slot)
        if (resumption := session.resumption) and resumption.left:
            events.log_of(session).info("session_handed_over", seconds=resumption.grace)
            return
        if resumption and resumption.counted:
            return
        outcome = session.outcome or Outcome("gateway_error")
        seconds = session.times.ended or session.times.elapsed()
        self.on_closed(outcome, session)
        events.closed(session, outcome, seconds)

    def _free(self, slot: Slot) -> None:
        """Frees the slot of an ended session. Drops the oldest that wait for a client: at most as many wait as may live."""
        slot.free()
        over = (session for session in self.sessions if session.resumption and session.over.done())
        waiting = [session for session in over if not session.attached]
        waiting.sort(key=lambda session: session.times.ended_at)
        for session in waiting[: -(self.limits.sessions or _UNDELIVERED)]:
            session.end(Outcome("client_lost"))


def unknown_cluster(name: str, known: Iterable[str]) -> Refused:
    """Returns a Refused for the unknown cluster `name`; its message lists the `known` clusters."""
    return Refused("cluster_unknown", f"this gateway has no cluster {name!a}; it has {', '.join(known)}")
