"""Stands for a container: runs commands on this machine, in a directory, with the programs that are named; links can be cut."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.errors import HopFailed
from gateway.protocol.messages import Output, Stream

TOOLS = (
    "sh",
    "tar",
    "find",
    "stat",
    "dd",
    "cat",
    "wc",
    "head",
    "sha256sum",
    "mv",
    "mkdir",
    "rm",
    "chmod",
    "touch",
    "sleep",
)


class LocalProcess:
    """Stands for `Process`."""

    def __init__(self, process: asyncio.subprocess.Process, shell: "LocalShell") -> None:
        self._process = process
        self._shell = shell
        self._ready: asyncio.Queue[Output | None] = asyncio.Queue(8)
        self._open = 2  # streams that have not ended
        self.exit_code: int | None = None

    async def feed(self, stdin: AsyncIterable[bytes] | None) -> None:
        """Writes the input."""
        assert self._process.stdin
        with suppress(ConnectionError):
            async for part in stdin or _nothing():
                self._shell.count(len(part))
                self._process.stdin.write(part)
                await self._process.stdin.drain()
        self._process.stdin.close()

    async def drain(self, stream: Stream, reader: asyncio.StreamReader) -> None:
        """Takes the output of one stream."""
        while data := await reader.read(65536):
            await self._ready.put(Output(stream, data))
        await self._ready.put(None)

    async def read(self) -> Output | None:
        """See `Process`."""
        while self._open:
            if output := await self._ready.get():
                self._shell.count(len(output.data))
                return output
            self._open -= 1
        self.exit_code = await self._process.wait()
        return None


class LocalShell:
    """`cuts`: after how many bytes from now the link is lost, one after the other; `ran`: how many commands were started.
    `box`: the name of a program that is all of the tools, as busybox is.
    """

    def __init__(self, directory: Path, tools: tuple[str, ...] = TOOLS, box: str = "") -> None:
        self.directory = directory / "root"
        self.directory.mkdir()
        self.path = directory / "bin"
        self.path.mkdir()
        for tool in tools:
            if found := shutil.which(box or tool):
                (self.path / tool).symlink_to(found)
        self.cuts: list[int] = []
        self.carried = self.ran = 0

    def count(self, size: int) -> None:
        """Counts bytes on the link, and cuts it."""
        self.carried += size
        if self.cuts:
            self.cuts[0] -= size
            if self.cuts[0] < 0:
                self.cuts.pop(0)
                raise HopFailed("incus_lost", "the link was cut")

    @asynccontextmanager
    async def start(
        self, argv: tuple[str, ...], stdin: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[LocalProcess]:
        """Starts a command."""
        self.ran += 1
        if not (self.path / argv[0]).exists():
            raise HopFailed("start_failed", f'exec: "{argv[0]}": executable file not found in $PATH')
        process = await asyncio.create_subprocess_exec(
            self.path / argv[0], *argv[1:], cwd=self.directory, env={"PATH": str(self.path)},
            stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        one = LocalProcess(process, self)
        try:
            async with asyncio.TaskGroup() as tasks:
                jobs = [
                    tasks.create_task(one.feed(stdin)),
                    tasks.create_task(one.drain(Stream.STDOUT, process.stdout)),
                    tasks.create_task(one.drain(Stream.STDERR, process.stderr)),
                ]
                yield one
                for job in jobs:
                    job.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdin.close()
            for reader in (process.stdout, process.stderr):
                while await reader.read(65536):
                    pass
            await process.wait()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
