"""Moves the bytes of a transfer: out of a container as they come, or into it by way of another name."""

import asyncio
import posixpath
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp.http_exceptions import PayloadEncodingError

from gateway.copying.container import BLOCK, Container, Look, window_end
from gateway.copying.entries import Changed, CopyFailed, Entry
from gateway.errors import DapError, HopFailed
from gateway.server.files.transfer import Transfer, Transfers
from gateway.timeouts import wait_within

_TIDY = 5.0  # seconds
_LOOK = 30.0  # seconds between looks for uploads that were abandoned
_PATIENCE = 60.0  # seconds in which a hop may come back while a download waits
_PAUSE = 1.0  # seconds between attempts
_PASSING = (
    "ssh_lost",
    "ssh_unreachable",
    "ssh_busy",
    "incus_lost",
    "relay_lost",
    "runner_timeout",
    "cluster_unreachable",
)
_MODE = 0o644  # of a file that is new
Put = Callable[[bytes], Awaitable[None]]


def checked_source(look: Look, path: str) -> None:
    """Raises CopyFailed for what cannot be downloaded."""
    if look.kind == "none":
        raise CopyFailed(f"{path}: there is no such file")
    if look.kind == "dir":
        if posixpath.normpath(path) in ("/", "//"):
            raise CopyFailed("/ has what is no file, as /proc: download the directories in it")
        if "tar" not in look.tools:
            raise CopyFailed(f"{path} is a directory, and the image has no tar: download its files")
        return
    if look.kind == "other" or look.file is None:
        raise CopyFailed(f"{path} is not a file")


async def checked_target(container: Container, path: str, name: str) -> tuple[str, Look]:
    """Returns where an upload of the file `name` to `path` stands, below it where that is a directory, and what is there.
    Raises CopyFailed for what cannot be written.
    """
    look = await container.look(path)
    if look.kind == "dir":
        path = posixpath.join(path, name)
        look = await container.look(path)
    if look.kind in ("dir", "other"):
        raise CopyFailed(f"{path} is there already, and is no file")
    if look.parent == "none":
        raise CopyFailed(f"{posixpath.dirname(path)}: there is no such directory")
    if look.parent != "writes":
        raise CopyFailed(f"{posixpath.dirname(path) or '.'}: this directory cannot be written")
    return path, look


async def checked_directory(container: Container, path: str, name: str) -> tuple[str, Look]:
    """Returns where an upload of the directory `name` into `path` stands, and what is there. Raises CopyFailed where anything
    has that name.
    """
    if (await container.look(path)).kind != "dir":
        raise CopyFailed(f"{path}: there is no such directory")
    path = posixpath.join(path, name)
    look = await container.look(path)
    if look.kind != "none":
        raise CopyFailed(f"{path} is there already: a directory replaces nothing")
    if "tar" not in look.tools:
        raise CopyFailed(f"{name} is a directory, and the image has no tar: upload its files")
    if look.parent != "writes":
        raise CopyFailed(f"{posixpath.dirname(path)}: this directory cannot be written")
    return path, look


async def send(transfer: Transfer, put: Put) -> None:
    """Hands the file's bytes to `put`, the last of them once the container has said the same SHA-256. Raises CopyFailed,
    Refused, HopFailed.
    """
    look, path = transfer.look, transfer.path
    assert look.file is not None
    blocks, size, held = "dd" in look.tools, look.file.size, b""

    async def take(data: bytes) -> None:
        nonlocal held
        if size:
            data = data[: size - transfer.done]  # what came to the file meanwhile is left out
        if not data:
            return
        transfer.passed(data)
        if held:
            await put(held)
        held = data

    while True:
        last = window_end(transfer.done // BLOCK, size)
        end = min(size, last * BLOCK) if blocks else size
        now = await _read(transfer, last, blocks=blocks, take=take)
        try:
            transfer.grew = look.file.grew(now)
        except Changed as error:
            raise CopyFailed(f"{path} {error}: try again") from None
        if size and transfer.done != end:
            raise CopyFailed(f"{path} {Changed()}: try again")
        if transfer.done >= size:
            break
    verified = bool(size or transfer.grew) and await _same(transfer, path)
    if held:
        await put(held)
    transfer.settle(verified=verified)


async def send_directory(transfer: Transfer, put: Put) -> None:
    """Hands an archive of a directory to `put` as tar writes it. Raises as `send`."""

    async def take(data: bytes) -> None:
        transfer.passed(data)
        await put(data)

    directory, name = posixpath.split(posixpath.normpath(transfer.path))
    # the dot: what a link leads to, and not the link
    _, content = await transfer.container.read_tar(directory or ".", [f"{name}/."], take)
    if not transfer.done:
        raise CopyFailed(f"{transfer.path}: tar cannot read it")
    transfer.settle(verified=False)
    if not content:
        transfer.message = "tar could not read all of it, or some of it changed meanwhile"


async def _read(transfer: Transfer, last: int, *, blocks: bool, take: Put) -> Entry:
    """Hands the blocks before `last` to `take`, from where the transfer stands, and returns what the file is then; without
    `blocks` all of it. Goes on within the block where a hop was lost that comes back in time. Raises as `send`.
    """
    pause = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        block, known = divmod(transfer.done, BLOCK) if blocks else (0, transfer.done)

        async def fresh(data: bytes) -> None:
            nonlocal known
            new, known = data[known:], max(0, known - len(data))
            if new:
                await take(new)

        try:
            return await transfer.container.read(transfer.path, block, last - block, fresh)
        except HopFailed as error:
            if not _passes(error) or asyncio.get_running_loop().time() > pause:
                raise
        await asyncio.sleep(_PAUSE)


async def receive(transfer: Transfer, parts: AsyncIterable[bytes], modified: int | None) -> None:
    """Writes the bytes beside the file, from where the transfer stands, and gives them its name once the container has the
    same SHA-256. What was written stays for `resume` where a hop or the browser is lost. Raises CopyFailed, Refused,
    HopFailed, and what `parts` raises.
    """
    container, path, beside = transfer.container, transfer.path, transfer.beside
    try:
        block = transfer.done // BLOCK
        _check_whole(transfer, await container.write(beside, block, _counted(transfer, parts)))
        verified = await _same(transfer, beside)
        if transfer.directory:
            await container.unpack(beside, posixpath.basename(path), path)
        else:
            mode = transfer.look.file.mode & 0o777 if transfer.look.file else _MODE
            await container.commit(beside, path, mode, int(time.time()) if modified is None else modified)
    except BaseException as error:
        if not transfer.cancelled and (_passes(error) or isinstance(error, OSError | PayloadEncodingError)):
            transfer.set("interrupted", str(error))
        else:
            await discard(transfer)
        raise
    transfer.settle(verified=verified)


async def resume(transfer: Transfer) -> int:
    """Returns the byte from which on an upload that was interrupted is to be sent again. Raises Refused, HopFailed."""
    reached = 0  # also where all of it was written and has its name, and nobody heard of it
    if "dd" in transfer.look.tools:
        with suppress(CopyFailed):
            reached = (await transfer.container.stat(transfer.beside)).size
    transfer.rewind(min(reached, transfer.hashed) // BLOCK * BLOCK)
    return transfer.done


async def discard(transfer: Transfer) -> None:
    """Removes what an upload has written beside its file, within a few seconds."""
    with suppress(DapError):
        await wait_within(transfer.container.remove(transfer.beside), _TIDY)
        if transfer.directory:
            await wait_within(transfer.container.remove(f"{transfer.beside}.d"), _TIDY)


async def discard_abandoned(transfers: Transfers) -> None:
    """Removes what uploads have left that were interrupted and that nobody goes on with; for ever."""
    while True:
        await asyncio.sleep(_LOOK)
        for transfer in transfers.abandoned():
            await discard(transfer)


def _passes(error: BaseException) -> bool:
    """Returns True for a hop that is lost and may come back."""
    return isinstance(error, HopFailed) and error.code in _PASSING


async def _counted(transfer: Transfer, parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        transfer.passed(part)
        yield part


def _check_whole(transfer: Transfer, reached: int) -> None:
    """Raises CopyFailed where the file in the container has not all bytes."""
    if reached != transfer.done or transfer.total not in (None, transfer.done):
        said = f"of {transfer.total} bytes " if transfer.total is not None else ""
        raise CopyFailed(f"{transfer.path}: {said}{transfer.done} were sent, and {reached} are there")


async def _same(transfer: Transfer, path: str) -> bool:
    """Returns True if the container says the SHA-256 of the bytes that passed, False where its image cannot tell. Raises
    CopyFailed where it says another.
    """
    if "sha256sum" not in transfer.look.tools:
        return False
    if await transfer.container.hash_of(path, transfer.done) != transfer.digest.hexdigest():
        raise CopyFailed(f"{transfer.path} changed while it was copied: try again")
    return True
