"""Copies files and directories from a container to this machine. A file has its name once all of its bytes are there and, where
the image can tell, its SHA-256 is the container's.
"""

import hashlib
import os
import posixpath
from pathlib import Path

from gateway.client.copy.archive import unpack
from gateway.client.copy.local_tree import LocalFile, LocalTree
from gateway.client.copy.work import ATTEMPTS, CHANGES, LARGE, Work, batches
from gateway.copying.container import BLOCK, Look, window_end
from gateway.copying.entries import Changed, CopyFailed, Entry, refused_name
from gateway.errors import why

_UNREAD = "what is in it cannot be read"


async def download(work: Work, source: str, target: Path) -> None:
    """Copies `source` of the container to `target`: below it where that is a directory, as cp does, else under that name.
    Raises CopyFailed, GatewayFailed, HopFailed.
    """
    look = await work.bridge(work.container.look, source)
    if look.kind == "none":
        raise CopyFailed(f"{work.container.name}:{source}: no such file or directory")
    if look.kind == "other":
        raise CopyFailed(f"{work.container.name}:{source} is neither a file nor a directory")
    last = posixpath.basename(posixpath.normpath(source))
    to = target
    try:
        to = _named(target, last)
        if look.kind == "dir":
            await _directory(work, look, source, to)
        else:
            await _single(work, look, source, to)
    except OSError as error:
        raise CopyFailed(f"{error.filename or to}: {why(error)}") from None


async def _single(work: Work, look: Look, source: str, to: Path) -> None:
    tree = LocalTree(_existing(to), work.container.token)
    try:
        known = [look.file] if look.file else []  # at the first attempt
        await work.attempts(
            source, lambda: _file(work, look, tree, source, to.name, known.pop() if known else None)
        )
    finally:
        tree.close()


async def _file(
    work: Work, look: Look, tree: LocalTree, source: str, name: str, known: Entry | None = None
) -> None:
    """Copies one file to `name` below the tree. `known`: what the file is. Raises Changed."""
    entry = known or await _stat(work, source)
    work.total = max(work.total, work.done + entry.size)
    digest, blocks = hashlib.sha256(), "dd" in look.tools
    with tree.file(entry, name) as file:
        while True:
            grew = await work.bridge(_window, work, entry, file, digest, source, blocks=blocks)
            if file.written >= entry.size or not blocks:
                break
        if file.written != entry.size and entry.size:
            raise Changed
        found = digest.hexdigest()
        # what is in /proc has no size, and changes
        verified = "sha256sum" in look.tools and file.written == entry.size
        if verified and await work.bridge(work.container.hash_of, source, entry.size) != found:
            raise Changed
        file.commit()
    if grew:
        work.grew(source)
    work.result.sha256 = found
    work.copied(file.written, verified=verified)


async def _stat(work: Work, source: str) -> Entry:
    return await work.bridge(work.container.stat, source)


async def _window(
    work: Work, entry: Entry, file: LocalFile, digest: "hashlib._Hash", source: str, *, blocks: bool
) -> bool:
    """Reads the next blocks of a file, from where it stands; without dd all of it. Returns True if the file has grown: what
    came to it is left out. Raises Changed where the file is another one.
    """
    block, known = divmod(file.written, BLOCK) if blocks else (0, file.written)
    last = window_end(block, entry.size)
    held = bytearray()

    async def take(data: bytes) -> None:
        nonlocal known
        skipped, known = min(known, len(data)), max(0, known - len(data))
        wanted = skipped + entry.size - file.written - len(held) if entry.size else len(data)
        held.extend(data[skipped:wanted])
        if len(held) >= BLOCK:
            put()

    def put() -> None:  # not in a thread: to wake one takes longer than this, and nothing else waits
        digest.update(held)
        file.write(bytes(held))
        work.came(len(held), source)
        held.clear()

    try:
        now = await work.container.read(source, block, last - block, take)
    finally:
        put()
    grew = entry.grew(now)
    if file.written < (min(entry.size, last * BLOCK) if blocks else entry.size) or (grew and not entry.size):
        raise Changed
    return grew


async def _directory(work: Work, look: Look, source: str, to: Path) -> None:
    missing = [tool for tool in ("tar", "find", "stat") if tool not in look.tools]
    if missing:
        raise CopyFailed(
            f"{work.container.name} has no {' and no '.join(missing)}, without which no directory is copied: copy its files one by one"
        )
    entries = await work.bridge(work.container.listing, source)
    if any(one.unread and not one.name for one in entries):
        raise CopyFailed(f"{work.container.name}:{source} cannot be read")
    kept = [one for one in entries if not one.name or not _refused(work, one)]
    files = [one for one in kept if one.kind == "file"]
    work.total = sum(one.size for one in files)
    tree = _made(to, work.container.token)
    directories = sorted((one for one in kept if one.kind == "dir"), key=lambda one: one.name)
    try:
        for one in directories:
            if one.name:
                tree.directory(one)
        for batch in batches([one for one in files if one.size <= LARGE]):
            await _batch(work, look, tree, source, batch)
        for one in (one for one in files if one.size > LARGE):
            await _alone(work, look, tree, source, one)
        for batch in batches([one for one in kept if one.kind == "link"]):
            await _batch(work, look, tree, source, batch)
        for one in reversed(directories):
            tree.finish(one)
    finally:
        work.result.sha256 = ""  # which is of a single file
        tree.close()


def _refused(work: Work, entry: Entry) -> bool:
    reason = refused_name(entry.name)
    if entry.kind == "other":
        reason = reason or (_UNREAD if entry.unread else "it is neither a file nor a directory nor a link")
    if reason:
        work.skip(entry.name, reason)
    return bool(reason)


async def _batch(work: Work, look: Look, tree: LocalTree, source: str, batch: list[Entry]) -> None:
    """Copies small files or links by an archive, and files that are written meanwhile by themselves."""
    left = {one.name: one for one in batch}
    for _ in range(ATTEMPTS):
        for name in await work.bridge(unpack, work, tree, source, left):
            del left[name]
        for one in [one for one in left.values() if one.kind == "file"]:
            await _alone(work, look, tree, source, one)
            del left[one.name]
        if not left:
            return
    for name in left:
        work.skip(name, CHANGES)


async def _alone(work: Work, look: Look, tree: LocalTree, source: str, entry: Entry) -> None:
    path = posixpath.join(source, entry.name)
    try:
        await work.attempts(path, _file, work, look, tree, path, entry.name)
    except CopyFailed as error:
        work.skip(entry.name, str(error))


def _named(target: Path, last: str) -> Path:
    """Returns where a copy stands: below a directory that there is, as cp does, else at `target` itself."""
    inside = target.is_dir() and last not in ("/", ".", "..", "")
    return target / last if inside else target


def _made(to: Path, mark: str) -> LocalTree:
    """Returns the tree at a directory, which is made where there is none. Raises CopyFailed, OSError."""
    if not to.is_dir():
        _existing(to)
        to.mkdir()
    return LocalTree(to, mark)


def _existing(to: Path) -> Path:
    """Returns the directory that `to` is to stand in. Raises CopyFailed where there is none, or it cannot be written."""
    parent = to.parent
    if to.is_dir():
        raise CopyFailed(f"{to} is a directory")
    if not parent.is_dir():
        raise CopyFailed(f"{parent}: no such directory")
    if not os.access(parent, os.W_OK):
        raise CopyFailed(f"{parent} cannot be written")
    return parent
