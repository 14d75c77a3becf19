"""A session: one command until its outcome. The story of the program.

    client ── Attachment.receive ──▶ input journal ──▶ channel ──▶ the pod
    client ◀── Attachment.send ◀── output journal ◀── channel ◀──

Output flows at full speed into the journal whatever its readers do, since kubectl loses output that is read slowly;
input waits in a journal of its own, so that a command that does not read stops neither resizes nor the close.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace

from gateway.access.identity import Identity
from gateway.backends.contract import Backend, Channel, PodMonitor
from gateway.errors import DapError
from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, located
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.relay.journal import Journal, JournalFull
from gateway.sessions.lifetime import Lifetime, Times
from gateway.settings.config import Limits

_LAST = 3.0  # seconds for the rest of the output when the pod was deleted
_ANSWER = 0.5  # seconds in which a command that was told to end has done so


class _End(Exception):  # noqa: N818  # carries an outcome out of the TaskGroup
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Session:
    """Made by the edge, run once. Inputs may come before it runs: they wait."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        target: Target,
        command: Command,
        backend: Backend,
        limits: Limits,
    ) -> None:
        self.name = name
        self.identity = identity
        self.target = target
        self.command = command
        self.times = Times()
        self.lifetime = Lifetime(limits.idle, limits.max_age) if command.tty else Lifetime()
        self.resumable = False
        self.output = Journal(limits.journal_memory, limits.journal_capacity)
        self.outcome: Outcome | None = None
        self.bytes_in = self.received = 0  # input that came; that the channel has taken
        self._backend = backend
        self._input = Journal(limits.journal_memory, limits.stdin_capacity)
        self._clock = asyncio.get_running_loop().time
        self._asked = self._clock()  # when the command was last told anything, or started
        self._size = command.size
        self._resized = asyncio.Event()
        self._input_changed = asyncio.Event()
        self._input_room = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        self._ending: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # what an attachment calls
    async def write(self, data: bytes) -> None:
        """Input for the command. Waits only when `stdin_capacity` bytes are unread there; after its end: no effect."""
        while data and not self._input.closed:
            part = data[: max(self._input.room, 0)]
            if part:
                self._input.append(Stream.STDIN, part)
                self.lifetime.touch()
                self._asked = self._clock()
                self.bytes_in += len(part)
                self._input_changed.set()
                data = data[len(part) :]
            else:
                self._input_room.clear()
                await self._input_room.wait()

    def write_eof(self) -> None:
        """No more input."""
        self._input.close()
        self._input_changed.set()

    def resize(self, size: TerminalSize) -> None:
        """The latest size wins; one that comes before the start is the size at the start."""
        self._size = size
        self._resized.set()

    def end(self, outcome: Outcome) -> None:
        """Asks for the end, for example when the client has gone. The first end counts."""
        if not self._ending.done():
            self._ending.set_result(outcome)

    def end_over(self) -> None:
        """`over` is done from now on: nothing of the command runs, though its end may wait to be told."""
        if not self.over.done():
            self.over.set_result(None)

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """Yields an event that is set when there is news for a client: output, the start, input taken, warnings, the end."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    @property
    def attached(self) -> bool:
        """Somebody follows it."""
        return bool(self._watchers)

    async def run(self) -> Outcome:
        """Opens the channel, moves the bytes, returns how it ended. When it returns, nothing of the session runs any
        more but what the pod itself keeps; its output stays readable. Whatever it raises is a defect.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                enders = [tasks.create_task(self._await_end())]
                if self.lifetime.limited:
                    enders.append(tasks.create_task(self._await_limit()))
                await self._exec(tasks)
                for ender in enders:
                    ender.cancel()
        except* (_End, DapError, JournalFull) as group:
            self._settle(_outcome(group, self.output.problem))
        except* Exception:
            self._settle(Outcome("gateway_error"))
            raise
        finally:
            self._settle(Outcome("shutdown"))  # cancelled
            self.end_over()
        assert self.outcome
        return self.outcome

    async def _await_end(self) -> None:
        raise _End(await self._ending)

    async def _await_limit(self) -> None:
        raise _End(await self.lifetime.run(self._changed))

    async def _exec(self, tasks: asyncio.TaskGroup) -> None:
        self._resized.clear()
        monitor = self._backend.monitor(self.target)
        async with self._open() as channel:
            self.times.mark("started")
            self._starts()
            self._changed()
            pumps = [tasks.create_task(self._feed(channel)), tasks.create_task(self._follow_size(channel))]
            pumps.append(tasks.create_task(self._outlive(monitor)))
            async for stream, data in channel.output():
                if self._wanted(stream):
                    self.times.mark("first_byte")
                    self.output.append(stream, data)
                    self.lifetime.touch()
                    self._changed()
            outcome = await channel.wait()
            self._settle(
                await monitor.diagnose(outcome, may_wait=self.command.ours, suspicious=self._unasked())
            )
            for pump in pumps:
                pump.cancel()

    def _starts(self) -> None:  # a resumable session may have started long ago
        self._asked = self._clock()

    def _unasked(self) -> bool:
        """Somebody could have typed what ended it, and did not. Without input a command ends when it is done."""
        open_ = self.command.tty or (self.command.stdin and not self._input.closed)
        return open_ and self._clock() - self._asked > _ANSWER

    def _open(self) -> AbstractAsyncContextManager[Channel]:  # a resumable session attaches again
        return self._backend.exec(self.target, self._sized())

    def _sized(self) -> Command:
        return self.command if self._size is None else replace(self.command, size=self._size)

    async def _feed(self, channel: Channel) -> None:
        if not self.command.stdin:
            channel.write_eof()
            return
        offset = self._input.start
        while True:
            record = self._input.read(offset, 4 * CHUNK)
            if record:
                offset += len(record[1])
                await channel.write(record[1])
                self._input.drop(offset)
                self._input_room.set()
                self._taken(offset)
            elif self._input.closed:
                channel.write_eof()
                return
            else:
                self._input_changed.clear()
                await self._input_changed.wait()

    def _taken(self, offset: int) -> None:  # a resumable session waits for the far side
        self.received = offset
        self._changed()

    async def _follow_size(self, channel: Channel) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            if self._size:
                channel.resize(self._size)

    async def _outlive(self, monitor: PodMonitor) -> None:
        """A pod that was deleted ends its sessions, also when kubectl does not hear of it."""
        outcome = await monitor.wait_lost()
        await asyncio.sleep(_LAST)
        self.end(outcome)

    def _wanted(self, stream: Stream) -> bool:
        return self.command.stdout if stream is Stream.STDOUT else self.command.stderr

    def _settle(self, outcome: Outcome) -> None:
        """The first outcome is the outcome; from here on no output is added and no input taken."""
        if self.outcome is None:
            self.outcome = located(outcome, self.target)
            self.times.mark("ended")
            self.output.close()
            self._input.discard()
            self._input_room.set()
            self._changed()

    def _changed(self) -> None:
        for event in self._watchers:
            event.set()


def _outcome(error: BaseException, disk: str) -> Outcome:
    """The first one's in a group. `disk`: why it takes no output."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, _End):
        return error.outcome
    if isinstance(error, DapError):
        return error.outcome()
    if disk:
        return Outcome("spool_failed", f"output waited, and the gateway's disk says: {disk}")
    return Outcome("slow_client")
