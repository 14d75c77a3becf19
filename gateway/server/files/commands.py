"""Starts commands in a container for a transfer: each is admitted, counted and logged as any other session."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

from gateway.access.identity import Identity
from gateway.errors import HopFailed, first
from gateway.event import Event
from gateway.protocol.actor import Actor
from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import Output, Stream
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.sessions.registry import SessionRegistry
from gateway.sessions.session import Session


class Commands:
    """Starts commands in one container, in the name of one identity. `actor`: in whose name the cluster is asked."""

    def __init__(
        self, registry: SessionRegistry, identity: Identity, target: Target, actor: Actor | None
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._target = target
        self._actor = actor

    @asynccontextmanager
    async def start(
        self, argv: tuple[str, ...], stdin: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator["Reader"]:
        """Starts a command, whose input is `stdin`; leaving ends it. Raises Refused, HopFailed, and what `stdin` raises."""
        command = Command(
            argv, stdin=stdin is not None, stdout=True, stderr=True, own_client=True, actor=self._actor
        )
        slot = self._registry.admit(self._identity, self._target, command)
        session = self._registry.open(self._identity, self._target, command, slot)
        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(_feed(session, stdin)) if stdin is not None else None
                with session.watching() as changed:
                    yield Reader(session, changed)
                if feeding:
                    feeding.cancel()
        except BaseExceptionGroup as group:
            raise first(group) from None
        finally:
            session.end(Outcome("client_closed"))
            self._registry.release(session)


class Reader:
    """Reads what a session's command writes, and drops what was read. `exit_code`: the command's own, once it has ended."""

    def __init__(self, session: Session, changed: Event) -> None:
        self._session = session
        self._changed = changed
        self._offset = session.output.start
        self.exit_code: int | None = None

    async def read(self) -> Output | None:
        """Returns the next output; None once the command has ended with an exit code. Raises HopFailed."""
        output = self._session.output
        while True:
            self._changed.clear()
            output.drop(self._offset)
            if record := output.read(self._offset, CHUNK):
                self._offset += len(record[1])
                return Output(Stream(record[0]), record[1])
            if outcome := self._session.outcome:
                if outcome.exit_code is None:
                    raise HopFailed(outcome.code, outcome.message, outcome.status)
                self.exit_code = outcome.exit_code
                return None
            await self._changed.wait()


async def _feed(session: Session, stdin: AsyncIterable[bytes]) -> None:
    async for part in stdin:
        await session.write(part)
    session.write_eof()
