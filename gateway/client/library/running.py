"""Runs commands for programs: to their end, or alive with their streams."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import AnyStr, Generic

from gateway.client.endpoint import Endpoint
from gateway.client.process import Process, process
from gateway.errors import DapError, HopFailed, first
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target

_HELD = 64  # parts of at most 32 KiB of one stream that wait for their reader


@dataclass(frozen=True)
class Completed(Generic[AnyStr]):
    """Holds how a command ended, and what it wrote; nothing where that was not captured."""

    exit_code: int
    stdout: AnyStr
    stderr: AnyStr


class CommandFailed(DapError):  # noqa: N818  # said of a command
    """Raised, where that is asked for, for a command that ended with another exit code than 0."""

    def __init__(self, completed: Completed[bytes] | Completed[str]) -> None:
        super().__init__("exited", f"the command ended with exit code {completed.exit_code}")
        self.completed = completed

    @property
    def hop(self) -> Hop:
        """Returns the pod."""
        return Hop.POD


class Input:
    """Takes the input of a command."""

    def __init__(self, one: Process) -> None:
        self._process = one

    async def write(self, data: bytes) -> None:
        """Sends input; waits while the gateway takes none. Input behind the command's end is dropped."""
        await self._process.write(data)

    async def close(self) -> None:
        """Ends the input."""
        await self._process.close_stdin()


class Output:
    """Yields one stream of a command's output, in parts, to its end."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes] = asyncio.Queue(_HELD)
        self._over = False
        self._readers = 0
        self._dropping = False
        self._cut = False
        self._failure: DapError | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._reader():
            while part := await self._next():
                yield part

    async def __anext__(self) -> bytes:
        if part := await self._next():
            return part
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Returns all that is left."""
        return b"".join([part async for part in self])

    async def put(self, part: bytes) -> None:
        """Adds a part, and waits while too many wait; an empty one is the end."""
        if not self._over:
            await self._parts.put(part)

    def cut(self, failure: DapError | None) -> None:
        """Ends the stream behind what waits, where the command did not end by itself: its reader gets `failure`, or the end."""
        self._cut, self._failure = True, failure
        if self._parts.empty():
            self._parts.put_nowait(b"")  # wakes whoever waits

    def drop(self) -> None:
        """Drops what waits, and what comes, once nobody reads: a reader who is there gets all to the end."""
        self._dropping = True
        self._drop_unread()

    async def _next(self) -> bytes:
        """Returns the next part; nothing at the end. Raises what the command ended with in place of an end."""
        with self._reader():
            over = self._over or (self._cut and self._parts.empty())
            part = b"" if over else await self._parts.get()
            self._over = not part
            if self._over and self._failure:
                raise self._failure
            return part

    @contextmanager
    def _reader(self) -> Iterator[None]:
        """Counts a reader in the block, who may be busy with a part between two that it takes."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self._drop_unread()

    def _drop_unread(self) -> None:
        if self._dropping and not self._readers:
            self._over = True
            while not self._parts.empty():
                self._parts.get_nowait()


class Running:
    """A command that runs. Read both `stdout` and `stderr`: one that nobody reads holds up the other. With a terminal all
    output is in `stdout`.
    """

    def __init__(self, one: Process) -> None:
        self._process = one
        self._ended = asyncio.Event()
        self._failure: DapError | None = None
        self.stdin = Input(one)
        self.stdout = Output()
        self.stderr = Output()

    async def wait(self) -> int:
        """Returns the exit code, once the command has ended; drops the output of a stream that nobody reads. Raises DapError
        where the command did not end by itself.
        """
        self.stdout.drop()
        self.stderr.drop()
        await self._ended.wait()
        if self._process.exit_code is None:
            raise self._failure or HopFailed("client_closed", "the command was left before it had ended")
        return self._process.exit_code

    async def carry(self) -> None:
        """Passes the output on to its readers. What ends it before the command has ended, its readers get, too: they may be in
        other tasks.
        """
        try:
            while output := await self._process.read():
                await (self.stderr if output.stream == Stream.STDERR else self.stdout).put(output.data)
            self._ended.set()
            for one in (self.stdout, self.stderr):
                await one.put(b"")
        except BaseException as error:
            self._failure = error if isinstance(error, DapError) else None
            self._ended.set()
            for one in (self.stdout, self.stderr):
                one.cut(self._failure)
            raise


@asynccontextmanager
async def running(endpoint: Endpoint, target: Target, command: Command) -> AsyncIterator[Running]:
    """Starts a command; leaving ends it. Raises DapError."""
    async with process(endpoint, target, command) as one:
        run = Running(one)
        try:
            async with asyncio.TaskGroup() as tasks:
                carrying = tasks.create_task(run.carry())
                yield run
                carrying.cancel()
        except BaseExceptionGroup as group:
            raise first(group) from None


async def completed(
    endpoint: Endpoint, target: Target, command: Command, stdin: AsyncIterable[bytes] | None, *, capture: bool, limit: int
) -> Completed[bytes]:  # fmt: skip
    """Runs a command to its end. Raises DapError, also for more than `limit` bytes of a captured stream."""
    said: dict[int, bytearray] = {Stream.STDOUT: bytearray(), Stream.STDERR: bytearray()}
    async with process(endpoint, target, command, stdin) as one:
        while output := await one.read():
            if capture:
                said[output.stream] += output.data
            if len(said[output.stream]) > limit:
                raise HopFailed("slow_client", f"the command wrote more than the {limit} bytes that are kept")
        assert one.exit_code is not None
        return Completed(one.exit_code, bytes(said[Stream.STDOUT]), bytes(said[Stream.STDERR]))
