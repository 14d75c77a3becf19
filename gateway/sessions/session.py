"""Runs a session: one command until its outcome. The story of the program.

    client ── Attachment.receive ──▶ input journal ──▶ channel ──▶ the pod
    client ◀── Attachment.send ◀── output journal ◀── channel ◀──

Output flows at full speed into the journal whatever its readers do, since kubectl loses output that is read slowly.
Input waits in a journal of its own, so that resizes and the close pass a command that does not read.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from functools import partial

from gateway.access.identity import Identity
from gateway.backends.contract import Backend, Channel, PodMonitor
from gateway.backends.resume import RecoveredSession
from gateway.errors import DapError
from gateway.event import Event
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, located
from gateway.protocol.target import Command, Target, TerminalSize, Way
from gateway.relay.journal import Journal, JournalFull
from gateway.relay.spool import Spools
from gateway.sessions.end import End, outcome_of
from gateway.sessions.input import Input, caught_up
from gateway.sessions.lifetime import Lifetime, Times
from gateway.sessions.resumption import Resumption
from gateway.settings.config import Limits

_LAST = 3.0  # seconds for the rest of the output when the pod was deleted
_ANSWER = 0.5  # seconds after input in which the end of a command is taken for the answer to the input


class Session:
    """Runs one command, once. Input that is written before `run` waits. `resumption` lets the session outlive its client;
    None for a session that ends with its client. `over` is done once nothing of the command runs.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # a session's parts, and what it shares with others
        self,
        name: str,
        identity: Identity,
        target: Target,
        command: Command,
        backend: Backend,
        limits: Limits,
        resumption: Resumption | None = None,
        spools: Spools | None = None,
    ) -> None:
        self.name = name
        self.identity = identity
        self.credential = identity.credential  # of who opened the session, or attached to it last
        self.target = target
        self.note = ""  # what a client of ours should know of the target
        self.way: Way = ""  # how the command got into its pod
        self.command = command
        self.times = Times()
        self.lifetime = Lifetime(limits.idle, limits.max_age) if command.tty else Lifetime()
        self.resumption = resumption
        journal = partial(Journal, limits.journal_memory, spools=spools, owner=identity.name)
        self.output = journal(limits.journal_capacity, newest=resumption is not None)
        self.outcome: Outcome | None = None
        self.received = 0  # bytes of input that the far side has taken
        self._backend = backend
        self._input = Input(journal(limits.stdin_capacity), self._on_input)
        self._clock = asyncio.get_running_loop().time
        self._asked = self._clock()  # when the command last got input, or started
        self._size = command.size
        self._channel: Channel | None = None
        self._size_due = False  # `_send_size` is called in the next turn
        self._watchers: set[Event] = set()
        self._ending, self.over = asyncio.Future[Outcome](), asyncio.Future[None]()
        if resumption:
            resumption.bind(self)

    def go_on(self, found: RecoveredSession, age: float) -> None:
        """Sets the offsets of a session that an earlier process began `age` seconds ago. To be called before `run`."""
        self.output.skip_to(found.start)
        self._input.skip_to(found.received)
        self.received = found.received
        self._asked = float("-inf")  # no input is known
        self.times.began -= age
        self.times.opened -= age
        self.lifetime.began -= age

    async def write(self, data: bytes) -> None:
        """Queues input for the command; waits while `stdin_capacity` bytes are unread. Ignores input after the end."""
        await self._input.write(data)

    def write_eof(self) -> None:
        """Ends the command's input after what was written."""
        self._input.close()

    @property
    def bytes_in(self) -> int:
        """Returns how many bytes of input were written."""
        return self._input.size

    def resize(self, size: TerminalSize) -> None:
        """Sets the terminal's size, without waiting: the latest size wins. Before the start: sets the size at the start."""
        self._size = size
        if self._channel and not self._size_due:
            self._size_due = True
            asyncio.get_running_loop().call_soon(self._send_size)

    def end(self, outcome: Outcome) -> None:
        """Ends the session with this outcome, without waiting for the end. The first call counts."""
        if not self._ending.done():
            self._ending.set_result(outcome)
        if self.resumption:
            self.resumption.on_end(outcome)

    @property
    def ending(self) -> bool:
        """Returns True once `end` was called."""
        return self._ending.done()

    def end_over(self) -> None:
        """Marks the session as `over`: nothing of the command runs, though a client may still be waited for."""
        if not self.over.done():
            self.over.set_result(None)

    @contextmanager
    def watching(self) -> Iterator[Event]:
        """Yields an event, set at each news for a client: start, output, input taken, a warning, a change of hop, the end."""
        event = Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    @property
    def attached(self) -> bool:
        """Returns True while a client follows the session."""
        return self.resumption.holder is not None if self.resumption else bool(self._watchers)

    async def run(self) -> Outcome:
        """Opens the channel, moves the bytes until the command ends, and returns the outcome, a failure's too. Only the
        pod itself may keep something running; the output stays readable. A resumable session returns once a client has
        received the end, or the grace time is over. Raises defects only.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                enders = [tasks.create_task(self._end_with(self._ending))]
                if self.lifetime.limited:
                    enders.append(tasks.create_task(self._end_with(self.lifetime.run(self.changed))))
                await self._exec(tasks)
                for ender in enders:
                    ender.cancel()
        except* (End, DapError, JournalFull) as group:
            self._settle(outcome_of(group, self.output.problem, self.output.limit))
        except* Exception:
            self._settle(Outcome("gateway_error"))
            raise
        finally:
            self._settle(Outcome("shutdown"))  # cancelled
            self.end_over()
        assert self.outcome
        if self.resumption:
            await self.resumption.closed(self.outcome)
        return self.outcome

    async def _end_with(self, outcome: Awaitable[Outcome]) -> None:
        raise End(await outcome)

    async def _exec(self, tasks: asyncio.TaskGroup) -> None:
        monitor, size = self._backend.monitor(self.target), self._size
        async with self._open() as channel:
            self.times.mark("started")
            self.way = channel.way or self.way
            if not (self.resumption and self.resumption.found):  # a recovered command started long ago
                self._asked = self._clock()
            self.changed()
            self._channel = channel
            if self._size and self._size is not size:  # it has changed meanwhile
                channel.resize(self._size)
            pumps = [tasks.create_task(self._feed(channel)), tasks.create_task(self._outlive(monitor))]
            async for stream, data in channel.output():
                if self.command.stdout if stream is Stream.STDOUT else self.command.stderr:
                    self.times.mark("first_byte")
                    if self.resumption:
                        self.resumption.on_output(data)
                    self.output.append(stream, data)
                    self.lifetime.touch()
                    self.changed()
                    await caught_up(self.output)
            outcome = await channel.wait()
            self._settle(
                await monitor.diagnose(outcome, may_wait=self.command.own_client, suspicious=self._unasked())
            )
            for pump in pumps:
                pump.cancel()

    def _unasked(self) -> bool:
        """True if the command takes input and ended without recent input: suspicious. A command without input just ends."""
        open_ = self.command.tty or (self.command.stdin and not self._input.closed)
        return open_ and self._clock() - self._asked > _ANSWER

    def _open(self) -> AbstractAsyncContextManager[Channel]:
        run = self.resumption.channel if self.resumption else partial(self._backend.exec, self.target)
        return run(replace(self.command, size=self._size))

    def _send_size(self) -> None:
        self._size_due = False
        if self._channel and self._size:
            self._channel.resize(self._size)

    async def _feed(self, channel: Channel) -> None:
        if not self.command.stdin:
            channel.write_eof()
            return
        await self._input.feed(channel, self._on_taken)

    def _on_taken(self, offset: int) -> None:
        if not self.resumption:  # a resumable channel acknowledges input itself, once the far side has it
            self.acknowledge_input(offset)

    def acknowledge_input(self, offset: int) -> None:
        """Records that the far side has taken the input before `offset`; wakes the watchers where the client is told."""
        self.received = max(self.received, offset)
        if self.command.own_client:
            self.changed()

    async def _outlive(self, monitor: PodMonitor) -> None:
        """Ends the session when its pod was deleted, also when kubectl does not notice."""
        outcome = await monitor.wait_lost()
        await asyncio.sleep(_LAST)
        self.end(outcome)

    def _settle(self, outcome: Outcome) -> None:
        """Sets the outcome, and closes output and input. Calls after the first change nothing."""
        if self.outcome is None:
            self.outcome = located(outcome, self.target)
            self.times.mark("ended")
            self._channel = None  # takes no size any more
            self.output.close()
            self._input.discard()
            self.changed()

    def _on_input(self) -> None:
        self.lifetime.touch()
        self._asked = self._clock()

    def changed(self) -> None:
        """Sets every event of `watching`."""
        for event in self._watchers:
            event.set()
