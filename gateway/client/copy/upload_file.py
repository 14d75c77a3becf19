"""Copies one local file into a container, by way of another name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from gateway.client.copy import local_files
from gateway.client.copy.work import Work, in_thread
from gateway.copying.container import BLOCK, WINDOW, Look
from gateway.copying.entries import Changed, Entry


async def upload_file(work: Work, look: Look, path: Path, to: str, beside: str) -> None:
    """Copies one file to `to`, by way of `beside`. Raises Changed."""
    entry = await in_thread(local_files.entry_of, path, "", follow=True)
    work.total = max(work.total, work.done + entry.size)
    with path.open("rb") as file:
        await work.bridge(work.container.remove, beside)
        if "dd" in look.tools:
            await _blocks(work, entry, file, path, beside)
        else:
            await work.bridge(
                _write, work, entry, file, path, beside, _Window(0, -(-entry.size // BLOCK)), whole=True
            )
    digest = await in_thread(local_files.sha256, path, entry.size)
    if entry.grew(await in_thread(local_files.entry_of, path, "", follow=True)):
        work.grew(str(path))
    verified = "sha256sum" in look.tools
    if verified and await work.bridge(work.container.hash_of, beside, entry.size) != digest:
        raise Changed
    await work.bridge(work.container.commit, beside, to, entry.mode & 0o777, entry.mtime)
    work.result.sha256 = digest
    work.copied(entry.size, verified=verified)


async def _blocks(work: Work, entry: Entry, file: IO[bytes], path: Path, beside: str) -> None:
    """Writes a file window by window, but for its holes. Raises Changed."""
    passed = 0  # bytes that were written, or are a hole
    for first, last in list(local_files.extents(file.fileno(), entry.size, sparse=entry.sparse)) or [(0, 1)]:
        work.came(first * BLOCK - passed, str(path))
        for at in range(first, last, WINDOW):
            window = _Window(at, min(at + WINDOW, last))
            reached = await work.bridge(_write, work, entry, file, path, beside, window)
            passed = min(window.end * BLOCK, entry.size)
            if reached < passed:
                raise Changed
    if passed < entry.size:
        await work.bridge(work.container.extend, beside, entry.size)
        work.came(entry.size - passed, str(path))


async def _write(
    work: Work,
    entry: Entry,
    file: IO[bytes],
    path: Path,
    beside: str,
    window: "_Window",
    *,
    whole: bool = False,
) -> int:
    """Writes a window, and returns how long the file is there. What was written before a lost hop is looked at, and not sent
    again, but for a file that can only be written `whole`.
    """
    if window.begun:
        size = 0 if whole else (await work.container.stat(beside)).size
        window.begin = min(max(window.begin, size // BLOCK), window.sent // BLOCK)
        work.came(window.begin * BLOCK - window.sent, str(path))
    window.begun, window.sent = True, window.begin * BLOCK
    end = min(window.end * BLOCK, entry.size)
    return await work.container.write(beside, window.begin, _parts(work, file, end, path, window))


class _Window:
    """Holds which blocks are written by one command, and how far they were sent."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end
        self.sent = begin * BLOCK
        self.begun = False


async def _parts(work: Work, file: IO[bytes], end: int, path: Path, window: _Window) -> AsyncIterator[bytes]:
    for part in local_files.parts(file, window.sent, end):
        yield part
        work.came(len(part), str(path))
        window.sent += len(part)
