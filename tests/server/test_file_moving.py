"""A file's way out of a container and into it, with few programs, through lost hops."""

import asyncio
import hashlib
import io
import os
import random
import shutil
import tarfile

import pytest
from support.local_shell import TOOLS, LocalShell

from gateway.access.identity import Identity
from gateway.copying.container import BLOCK, Container
from gateway.copying.entries import CopyFailed
from gateway.errors import HopFailed
from gateway.protocol.target import Target
from gateway.server.files import moving
from gateway.server.files.moving import (
    checked_source,
    discard_abandoned,
    receive,
    resume,
    send,
    send_directory,
)
from gateway.server.files.transfer import LIFE, Transfer, Transfers

NOISE = random.Random(5).randbytes(3 * BLOCK + 17)
ME = Identity("me", "token")


async def transfer_of(shell, path, way="download", total=None):
    container = Container(shell.start, "web-0")
    return Transfer(ME, Target("c", "n", "web-0"), way, container, await container.look(path), path, total)


@pytest.mark.parametrize("missing", ["", "dd", "sha256sum"])
async def test_a_download_goes_on_in_the_byte_where_the_hop_was_lost(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(moving, "_PAUSE", 0.0)
    monkeypatch.setattr("gateway.copying.container.WINDOW", 2)
    shell = LocalShell(tmp_path, tuple(tool for tool in TOOLS if tool != missing))
    (shell.directory / "f").write_bytes(NOISE)
    transfer, got = await transfer_of(shell, "f"), []
    shell.cuts = [BLOCK + 1000, 10, 500_000]

    async def put(data):
        got.append(data)

    await send(transfer, put)

    assert (b"".join(got) == NOISE, shell.cuts) == (True, [])
    assert (transfer.state, transfer.done, transfer.verified) == ("done", len(NOISE), missing != "sha256sum")


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda file: (file.write_bytes(b"beside"), os.utime(file, (1, 1))), "changed"),
        (lambda file: file.write_bytes(b"less"), "became shorter"),
        (lambda file: (file.rename(file.with_name("f.1")), file.write_bytes(b"the next log")), "was replaced by another file"),
    ],
)  # fmt: skip
async def test_a_download_that_changes_is_not_whole(tmp_path, change, how):
    shell = LocalShell(tmp_path)
    (shell.directory / "f").write_bytes(b"before")
    transfer, got = await transfer_of(shell, "f"), []
    change(shell.directory / "f")

    async def put(data):
        got.append(data)

    with pytest.raises(CopyFailed, match=f"f {how} while it was copied: try again"):
        await send(transfer, put)
    assert got == []


async def test_a_download_of_a_log_is_as_long_as_it_was_announced(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.copying.container.WINDOW", 2)
    shell = LocalShell(tmp_path)
    (shell.directory / "f").write_bytes(NOISE)
    transfer, got = await transfer_of(shell, "f"), []

    async def put(data):
        got.append(data)
        with (shell.directory / "f").open("ab") as file:
            file.write(b"more\n")

    await send(transfer, put)
    assert b"".join(got) == NOISE
    body = transfer.body()
    assert (body["verified"], body["grew"], body["done"]) == (True, True, len(NOISE))
    assert body["sha256"] == hashlib.sha256(NOISE).hexdigest()


@pytest.mark.parametrize("box", ["", "busybox"])
async def test_a_directory_comes_as_an_archive(tmp_path, box):
    if box and not shutil.which(box):
        pytest.skip(f"no {box} on this machine")
    shell = LocalShell(tmp_path, box=box)
    (shell.directory / "d" / "sub").mkdir(parents=True)
    (shell.directory / "d" / "sub" / "f").write_bytes(NOISE)
    (shell.directory / "l").symlink_to("d")
    for path in ("d", "l", "./d/"):
        transfer, got = await transfer_of(shell, path), io.BytesIO()

        async def put(data, got=got):
            got.write(data)

        await send_directory(transfer, put)
        body = transfer.body()
        assert (body["archive"], body["message"], body["done"]) == (True, "", len(got.getvalue()))
        with tarfile.open(fileobj=io.BytesIO(got.getvalue())) as archive:
            name = "l" if path == "l" else "d"
            assert transfer.filename == f"{name}.tar"
            files = {one.name.removeprefix("./").replace("/./", "/"): one for one in archive}
            assert archive.extractfile(files[f"{name}/sub/f"]).read() == NOISE
    for path, tools, said in (("/", TOOLS, "download the directories in it"), ("d", ("sh",), "no tar")):
        (tmp_path / said).mkdir()
        other = LocalShell(tmp_path / said, tools)
        (other.directory / "d").mkdir()
        with pytest.raises(CopyFailed, match=said):
            checked_source(await Container(other.start, "web-0").look(path), path)


async def parts(offset=0, until=3 * BLOCK + 17, error=None):
    for at in range(offset, until, 65536):
        yield NOISE[at : min(at + 65536, until)]
    if error:
        raise error


@pytest.mark.parametrize("missing", ["", "dd"])
async def test_an_upload_goes_on_where_it_was_lost_and_leaves_the_file_as_it_was_till_then(tmp_path, missing):
    shell = LocalShell(tmp_path, tuple(tool for tool in TOOLS if tool != missing))
    (shell.directory / "f").write_bytes(b"before")
    (shell.directory / "f").chmod(0o600)
    transfer = await transfer_of(shell, "f", "upload", len(NOISE))
    for lose in (True, False):
        shell.cuts = [2 * BLOCK + 1000] if lose else []
        with pytest.raises(HopFailed if lose else OSError):
            await receive(transfer, parts(transfer.done, error=OSError()), None)
        assert (transfer.state, (shell.directory / "f").read_bytes()) == ("interrupted", b"before")
        offset = await resume(transfer)
        assert offset in ((0,) if missing else (BLOCK, 2 * BLOCK) if lose else (2 * BLOCK, 3 * BLOCK))
        assert transfer.begin()
    before = shell.carried
    await receive(transfer, parts(transfer.done), 1_000_000_000)
    assert (transfer.state, transfer.verified, shell.carried - before < 2 * BLOCK) == (
        "done",
        True,
        not missing,
    )
    assert transfer.sha256 == hashlib.sha256(NOISE).hexdigest()
    stat = (shell.directory / "f").stat()
    assert ((shell.directory / "f").read_bytes() == NOISE, oct(stat.st_mode), stat.st_mtime) == (
        True,
        "0o100600",
        1e9,
    )
    assert [path.name for path in shell.directory.iterdir()] == ["f"]


@pytest.mark.parametrize("box", ["", "busybox"])
async def test_an_archive_becomes_the_directory_that_is_in_it_or_nothing(tmp_path, box):
    if box and not shutil.which(box):
        pytest.skip(f"no {box} on this machine")
    shell, packed = LocalShell(tmp_path, box=box), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("d/sub/f")
        member.size = len(NOISE)
        archive.addfile(member, io.BytesIO(NOISE))
    whole = packed.getvalue()

    async def sent(data):
        yield data

    for data in (whole[: BLOCK + 3], whole, whole):
        transfer = await transfer_of(shell, "d", "upload", len(data))
        transfer.directory = True
        if data is not whole:
            with pytest.raises(CopyFailed, match=r"web-0: .*tar"):
                await receive(transfer, sent(data), None)
            assert list(shell.directory.iterdir()) == []
        elif (shell.directory / "d").exists():
            with pytest.raises(CopyFailed, match="d is there already"):
                await receive(transfer, sent(data), None)
        else:
            await receive(transfer, sent(data), None)
            assert transfer.verified
        assert [path.name for path in shell.directory.iterdir()] in ([], ["d"])
    assert (shell.directory / "d" / "sub" / "f").read_bytes() == NOISE


async def test_an_upload_that_nobody_goes_on_with_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(moving, "_LOOK", 0.01)
    shell = LocalShell(tmp_path)
    transfer, transfers = await transfer_of(shell, "f", "upload", len(NOISE)), Transfers()
    transfers.add(transfer)
    with pytest.raises(OSError, match="lost"):
        await receive(transfer, parts(until=BLOCK, error=OSError("lost")), None)
    assert (shell.directory / transfer.beside).exists()
    transfer.changed -= LIFE + 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await discard_abandoned(transfers)
    assert (transfer.state, list(shell.directory.iterdir())) == ("failed", [])
    with pytest.raises(CopyFailed):
        await receive(await transfer_of(shell, "f", "upload", 5), parts(until=10), None)
    assert list(shell.directory.iterdir()) == []
