"""Unpacks archives from a container, and packs local files into archives for one, a bounded number of bytes at a time."""

import hashlib
import tarfile
import tempfile
from collections.abc import Mapping
from typing import IO

from gateway.client.copy.local_tree import LocalTree
from gateway.client.copy.work import Work, in_thread
from gateway.copying.entries import CopyFailed, Entry, refused_link

_PART = 256 * 1024


async def unpack(work: Work, tree: LocalTree, source: str, wanted: Mapping[str, Entry]) -> list[str]:
    """Has the container archive files and links, writes those that are whole below the tree, and returns their names, with
    those that are not to be had. A file is whole where its SHA-256 is the container's; where the image cannot tell that, where
    nothing changed as far as tar knows.
    """
    before, names = work.done, list(wanted)
    most = before + sum(one.size for one in wanted.values() if one.kind == "file")
    with tempfile.TemporaryFile(prefix="dap-cp-") as file:

        async def take(data: bytes) -> None:
            file.write(data)
            work.came(max(0, min(len(data), most - work.done)), source)

        try:
            hashes, content = await work.container.read_tar(source, names, take)
            file.seek(0)
            known = dict(zip(names, hashes, strict=True)) if len(hashes) == len(names) else {}
            done = await in_thread(_unpack, work, tree, file, wanted, known) if known or content else {}
        except tarfile.TarError as error:
            raise CopyFailed(f"{work.container.name}:{source}: its tar writes no archive ({error})") from None
        except BaseException:
            work.came(before - work.done, source)
            raise
    work.came(before + sum(done.values()) - work.done, source)
    return list(done)


def _unpack(
    work: Work, tree: LocalTree, file: IO[bytes], wanted: Mapping[str, Entry], hashes: Mapping[str, str]
) -> dict[str, int]:
    """Returns the names that are settled, each with its number of bytes."""
    done, seen = dict[str, int](), set()
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            entry = wanted.get(name)
            if entry is None:  # nobody has asked for it
                continue
            seen.add(name)
            if entry.kind == "link" and member.issym():
                _link(work, tree, name, member.linkname)
                done[name] = 0
            elif entry.kind == "file" and (content := archive.extractfile(member)):
                size = _file(work, tree, entry, content, hashes.get(name))
                done |= {} if size is None else {name: size}
    for name in set(wanted) - seen:
        if not hashes.get(name):
            work.skip(name, "it cannot be read, or is gone meanwhile")
            done[name] = 0
    return done


def _file(work: Work, tree: LocalTree, entry: Entry, content: IO[bytes], expected: str | None) -> int | None:
    """Writes a file, and returns its size; None where its bytes are not those that the container has."""
    digest = hashlib.sha256()
    with tree.file(entry) as file:
        while part := content.read(_PART):
            digest.update(part)
            file.write(part)
        if expected not in (None, digest.hexdigest()):
            return None
        file.commit()
    work.copied(file.written, verified=expected is not None)
    return file.written


def _link(work: Work, tree: LocalTree, name: str, leads_to: str) -> None:
    if reason := refused_link(name, leads_to):
        work.skip(name, reason)
    else:
        tree.link(name, leads_to)
