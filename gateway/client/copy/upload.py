"""Copies local files and directories into a container. A file is written beside its name, in a place that nobody else has, and
gets its name once its length and, where the image can tell, its SHA-256 are right.
"""

import posixpath
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from gateway.client.copy import local_files
from gateway.client.copy.upload_file import upload_file
from gateway.client.copy.work import ATTEMPTS, CHANGES, LARGE, Work, batches, in_thread
from gateway.copying.container import Look
from gateway.copying.entries import Changed, CopyFailed, Entry, refused_link, refused_name
from gateway.errors import why


async def upload(work: Work, source: Path, target: str) -> None:
    """Copies `source` into the container: below `target` where that is a directory there, as cp does, else under that name.
    Raises CopyFailed, GatewayFailed, HopFailed.
    """
    try:
        entry = await in_thread(local_files.entry_of, source, "", follow=True)
    except OSError as error:
        raise CopyFailed(f"{source}: {why(error)}") from None
    if entry.kind == "other":
        raise CopyFailed(f"{source} is neither a file nor a directory")
    look = await work.bridge(work.container.look, target)
    to = target
    if look.kind == "dir":
        to = posixpath.join(target, _last(source))
        look = await work.bridge(work.container.look, to)
    _check(work, look, entry, to)
    stage = posixpath.join(posixpath.dirname(to) or ".", f".dap-cp-{work.container.token}")
    try:
        if entry.kind == "dir":
            await _directory(work, look, source, to, stage)
        else:
            await work.attempts(str(source), upload_file, work, look, source, to, stage)
    except OSError as error:
        raise CopyFailed(f"{error.filename or source}: {why(error)}") from None
    finally:
        await work.tidy(stage)


def _last(source: Path) -> str:
    """Returns the name that a copy of `source` has: of a link its own, and of . the directory's."""
    return source.absolute().name if source.name not in ("", "..") else source.resolve().name


def _check(work: Work, look: Look, entry: Entry, to: str) -> None:
    """Raises CopyFailed for a place where the copy cannot stand."""
    where = f"{work.container.name}:{to}"
    if look.kind == "dir" and entry.kind == "file":
        raise CopyFailed(f"{where} is a directory")
    if look.kind in ("file", "other") and (entry.kind == "dir" or look.kind == "other"):
        raise CopyFailed(
            f"{where} is there already, and is no {'directory' if entry.kind == 'dir' else 'file'}"
        )
    if look.parent == "none":
        raise CopyFailed(f"{posixpath.dirname(where) or where}: no such directory")
    if look.parent != "writes":
        raise CopyFailed(f"{where}: its directory cannot be written")
    if entry.kind == "dir" and "tar" not in look.tools:
        raise CopyFailed(
            f"{work.container.name} has no tar, without which no directory is copied: copy its files one by one"
        )


async def _directory(work: Work, look: Look, source: Path, to: str, stage: str) -> None:
    entries = [one for one in await in_thread(local_files.below, source) if not _refused(work, source, one)]
    files = [one for one in entries if one.kind == "file"]
    directories = [one for one in entries if one.kind == "dir"]
    work.total = sum(one.size for one in files)
    await work.bridge(work.container.make_stage, stage)
    made = [("d", ""), *(("d", one.name) for one in directories)]
    for at in range(0, len(made), 500):
        await work.bridge(work.container.move, stage, to, made[at : at + 500])
    small = [one for one in entries if one.kind == "link" or (one.kind == "file" and one.size <= LARGE)]
    for number, batch in enumerate(batches(small)):
        await _batch(work, look, source, to, f"{stage}/{number}", batch)
    for number, one in enumerate(one for one in files if one.size > LARGE):
        beside = f"{stage}/large-{number}"
        try:
            await work.attempts(
                one.name, upload_file, work, look, source / one.name, posixpath.join(to, one.name), beside
            )
        except CopyFailed as error:
            work.skip(one.name, str(error))
    work.result.sha256 = ""  # which is of a single file
    await _unpack(work, source, to, [*reversed(directories), local_files.entry_of(source, "", follow=True)])


def _refused(work: Work, source: Path, entry: Entry) -> bool:
    """Returns True for what is not copied, and takes note of it."""
    reason = refused_name(entry.name)
    if entry.kind == "other":
        reason = "it is neither a file nor a directory nor a link"
    if entry.kind == "link":
        reason = reason or refused_link(entry.name, str((source / entry.name).readlink()))
    if reason:
        work.skip(entry.name, reason)
    return bool(reason)


async def _batch(work: Work, look: Look, source: Path, to: str, place: str, batch: list[Entry]) -> None:
    """Copies small files and links by an archive; those that change meanwhile again."""
    left = batch
    for attempt in range(ATTEMPTS):
        before = work.done
        left = [await in_thread(local_files.entry_of, source / one.name, one.name) for one in left]
        try:
            hashes, beside = await _unpack(work, source, f"{place}-{attempt}", left, make=True)
        except Changed:
            work.came(before - work.done, str(source))
            continue
        files = [one for one in left if one.kind == "file"]
        verified = "sha256sum" in look.tools
        found = await work.bridge(work.container.hashes, beside, [one.name for one in files]) if verified and files else []  # fmt: skip
        whole = (
            {one.name for one, has in zip(files, found, strict=True) if hashes[one.name] == has}
            if verified
            else hashes.keys()
        )
        moves = [(one.kind[0], one.name) for one in left if one.kind == "link" or one.name in whole]
        await work.bridge(work.container.move, beside, to, moves)
        for one in files:
            if one.name in whole:
                work.copied(one.size, verified=verified)
        left = [one for one in files if one.name not in whole]
        if not left:
            return
    for one in left:
        work.skip(one.name, CHANGES)


async def _unpack(
    work: Work, source: Path, to: str, entries: list[Entry], *, make: bool = False
) -> tuple[dict[str, str], str]:
    """Has the container unpack an archive of files, and returns the SHA-256 that they have here, and where they are. `make`:
    in a new directory for each attempt, since a tar of before a lost hop may write on for a while. Raises Changed.
    """
    with tempfile.TemporaryFile(prefix="dap-cp-") as file:
        hashes = await in_thread(local_files.pack, source, entries, file, work.grew)
        size, tries = file.tell(), 0

        async def write() -> str:
            nonlocal tries
            tries, before = tries + 1, work.done
            where = f"{to}-{tries}" if make else to
            try:
                if make:
                    await work.container.make_stage(where)
                await work.container.write_tar(where, _counted(work, file, size, entries))
            except BaseException:
                work.came(before - work.done, str(source))
                raise
            return where

        return hashes, await work.bridge(write)


async def _counted(work: Work, file: IO[bytes], size: int, entries: list[Entry]) -> AsyncIterator[bytes]:
    """Yields an archive, and counts of it the files' own bytes."""
    own, sent = sum(one.size for one in entries if one.kind == "file"), 0
    for part in local_files.parts(file, 0, size):
        yield part
        now = min(own, sent + len(part))
        work.came(now - sent, entries[0].name)
        sent = now
