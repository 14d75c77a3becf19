"""Reads and writes files in a container, with what programs its image has: each call is one command in the container's sh."""

import secrets
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

from gateway.copying import scripts
from gateway.copying.entries import CopyFailed, Entry, parsed
from gateway.errors import HopFailed
from gateway.protocol.messages import Output, Stream

BLOCK = 1 << 20  # bytes by which files are addressed
WINDOW = 128  # blocks of a file that one command reads or writes: less than the journals on the way hold
_SAID = 8 * 1024  # bytes of what programs say, of which the last line is told
_LIST = 256 << 20  # bytes of the list of a directory
_NOISE = (b"records in", b"records out", b" copied, ", b"Exiting with failure status")  # of dd and GNU tar


class Process(Protocol):
    """A command that runs, and takes the input that it was started with."""

    @property
    def exit_code(self) -> int | None:
        """Returns the command's exit code; None before it has ended."""

    async def read(self) -> Output | None:
        """Returns the next output; None once the command has ended. Raises HopFailed."""


Start = Callable[[tuple[str, ...], AsyncIterable[bytes] | None], AbstractAsyncContextManager[Process]]
Take = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class Look:
    """Holds what is known of a path. `tools`: the programs that the image has. `kind`: none, file, dir or other. `parent`:
    of its directory, none, dir, or writes where that may be written. `file`: the file itself.
    """

    tools: frozenset[str]
    kind: str
    parent: str
    file: Entry | None


class Container:
    """A container that `start` starts commands in. `name`: what it is called in messages."""

    def __init__(self, start: Start, name: str) -> None:
        self._start = start
        self.name = name
        self.token = secrets.token_hex(4)
        self._mark = f"dap-{secrets.token_hex(8)}"

    async def look(self, path: str) -> Look:
        """Returns what is known of a path. Raises CopyFailed where the container has no sh."""
        reports = await self._run(scripts.LOOK, path)
        tools = frozenset(words[1] for words in reports if words[0] == "tool")
        found = next((words for words in reports if words[0] == "path"), None)
        if found is None:
            raise CopyFailed(f"{self.name}: its sh does not say what {path} is")
        _, kind, parent = found
        file = self._stat(reports, path) if kind == "file" else None
        return Look(tools, kind, parent, file)

    async def stat(self, path: str) -> Entry:
        """Returns what a file is now, links followed. Raises CopyFailed."""
        return self._stat(await self._run(scripts.STAT, path), path)

    async def listing(self, path: str) -> list[Entry]:
        """Returns all that is below a directory. Raises CopyFailed."""
        said = bytearray()

        async def take(data: bytes) -> None:
            said.extend(data)
            if len(said) > _LIST:
                raise CopyFailed(f"{self.name}:{path} has too many files: copy its parts")

        await self._run(scripts.LIST, path, take=take)
        try:
            return _listed(bytes(said))
        except ValueError:
            raise CopyFailed(
                f"{self.name}:{path} cannot be listed: its find or stat is unlike others"
            ) from None

    async def read(self, path: str, block: int, blocks: int, take: Take) -> Entry:
        """Hands the bytes of some blocks of a file to `take`, and returns what the file is afterwards. Raises CopyFailed."""
        args = (path, str(BLOCK), str(block), str(blocks))
        return self._stat(await self._run(scripts.READ, *args, take=take), path)

    async def read_tar(self, path: str, names: list[str], take: Take) -> tuple[list[str], bool]:
        """Hands an archive of the files to `take`, and returns their SHA-256 in their order, none where the image cannot tell
        them, and empty for files that cannot be read; and whether tar was content. Raises CopyFailed.
        """
        reports = await self._run(scripts.READ_TAR, path, *(f"./{name}" for name in names), take=take)
        return _hashes(reports), ["tar", "0"] in reports

    async def hashes(self, path: str, names: list[str]) -> list[str]:
        """Returns the SHA-256 of files, in their order. Raises CopyFailed."""
        return _hashes(await self._run(scripts.HASH, path, *(f"./{name}" for name in names)))

    async def hash_of(self, path: str, size: int) -> str:
        """Returns the SHA-256 of the first `size` bytes of a file, of all of it where the image has no head. Raises
        CopyFailed.
        """
        return next(iter(_hashes(await self._run(scripts.HASH_OF, path, str(size)))), "")

    async def make_stage(self, path: str) -> None:
        """Makes a directory that nobody else has. Raises CopyFailed."""
        await self._run(scripts.STAGE, path)

    async def write(self, path: str, block: int, parts: AsyncIterable[bytes]) -> int:
        """Writes bytes from a block of the file on, and returns how long the file is then. Raises CopyFailed."""
        reports = await self._run(scripts.WRITE, path, str(BLOCK), str(block), stdin=parts)
        return next((int(words[1]) for words in reports if words[0] == "size"), -1)

    async def extend(self, path: str, size: int) -> None:
        """Makes the file `size` bytes long. Raises CopyFailed."""
        await self._run(scripts.EXTEND, path, str(size))

    async def write_tar(self, path: str, parts: AsyncIterable[bytes]) -> None:
        """Unpacks an archive into a directory. Raises CopyFailed."""
        await self._run(scripts.WRITE_TAR, path, stdin=parts)

    async def commit(self, path: str, name: str, mode: int, mtime: int) -> None:
        """Gives a file its mode, time and name. Raises CopyFailed."""
        await self._run(scripts.COMMIT, path, name, f"{mode:o}", str(mtime))

    async def unpack(self, path: str, name: str, to: str) -> None:
        """Unpacks an archive of the one directory `name`, and removes the archive. Raises CopyFailed."""
        await self._run(scripts.UNPACK, path, f"{path}.d", name, to)

    async def move(self, source: str, to: str, moves: list[tuple[str, str]]) -> None:
        """Moves files and links, each with its kind before its name, from one directory to another, and makes directories
        there. Raises CopyFailed.
        """
        await self._run(scripts.MOVE, source, to, *(word for move in moves for word in move))

    async def remove(self, path: str) -> None:
        """Removes a file or a directory, if there is one."""
        with suppress(CopyFailed):
            await self._run(scripts.REMOVE, path)

    async def _run(
        self, script: str, *args: str, take: Take | None = None, stdin: AsyncIterable[bytes] | None = None
    ) -> list[list[str]]:
        """Runs a script and returns its reports. Raises CopyFailed where it fails, with what its programs said last."""
        heard = _Heard(self._mark)
        try:
            async with self._start(("sh", "-c", script, "sh", self._mark, *args), stdin) as process:
                while not heard.failed and (output := await process.read()):
                    if output.stream == Stream.STDERR:
                        heard.take(output.data)
                    elif take:
                        await take(output.data)
                if heard.failed or process.exit_code:
                    raise CopyFailed(f"{self.name}: {heard.words or f'exit code {process.exit_code}'}")
        except HopFailed as error:
            if error.code == "start_failed":
                raise CopyFailed(f"{self.name} has no sh, without which nothing can be copied") from None
            raise
        return heard.reports

    def _stat(self, reports: list[list[str]], path: str) -> Entry:
        words = next((words[1:] for words in reports if words[0] == "stat"), [])
        try:
            return parsed("", " ".join(words))
        except ValueError:
            raise CopyFailed(f"{self.name}:{path}: it is not there, or cannot be read") from None


class _Heard:
    """Tells a script's reports, which begin with `mark`, from what its programs say."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode() + b" "
        self._held = self._said = b""
        self.reports: list[list[str]] = []

    def take(self, data: bytes) -> None:
        """Takes a part of stderr."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if line.startswith(self._mark):
                self.reports.append(line.removeprefix(self._mark).decode().split(" "))
            elif line and not any(noise in line for noise in _NOISE):
                self._said = line[:_SAID]
        self._held = self._held[-_SAID:]

    @property
    def failed(self) -> bool:
        """True if the script has failed, and reads its input on."""
        return self.reports[-1:] == [["failed"]]

    @property
    def words(self) -> str:
        """Returns what a program said last."""
        return (self._said or self._held).decode("utf-8", "replace")


def window_end(block: int, size: int) -> int:
    """Returns the block before which a command ends that reads from `block` on: WINDOW blocks further, or where a file of
    `size` bytes ends. A file without a size, as in /proc, has no end that is known.
    """
    return min(block + WINDOW, -(-size // BLOCK)) if size else block + WINDOW


def _hashes(reports: list[list[str]]) -> list[str]:
    return [words[1] for words in reports if words[0] == "sha256" and len(words) > 1]


def _listed(said: bytes) -> list[Entry]:
    """Returns the entries of a list: in groups, each a number, so many lines of stat, and so many names. Raises ValueError."""
    entries, at = list[Entry](), 0
    while at < len(said):
        end = said.index(b"\n", at)
        count, at, words = int(said[at:end]), end + 1, list[str]()
        for _ in range(count):
            end = said.index(b"\n", at)
            words.append(said[at:end].decode())
            at = end + 1
        for one in words:
            end = said.index(b"\0", at)
            name = said[at:end].decode("utf-8", "surrogateescape").removeprefix("./")
            at = end + 1
            entries.append(parsed("" if name == "." else name, one))
    return entries
