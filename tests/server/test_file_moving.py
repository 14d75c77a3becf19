"""A file's way out of a container and into it, with few programs, through lost hops."""

import hashlib
import os
import random

import pytest
from support.local_shell import TOOLS, LocalShell

from gateway.access.identity import Identity
from gateway.copying.container import BLOCK, Container
from gateway.copying.entries import CopyFailed
from gateway.errors import HopFailed
from gateway.protocol.target import Target
from gateway.server.files import moving
from gateway.server.files.moving import receive, send
from gateway.server.files.transfer import Transfer

NOISE = random.Random(5).randbytes(3 * BLOCK + 17)
ME = Identity("me", "token")


async def transfer_of(shell, path, way="download", total=None):
    container = Container(shell.start, "web-0")
    return Transfer(ME, Target("c", "n", "web-0"), way, container, await container.look(path), path, total)


@pytest.mark.parametrize("missing", ["", "dd", "sha256sum"])
async def test_a_download_goes_on_in_the_byte_where_the_hop_was_lost(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(moving, "_PAUSE", 0.0)
    monkeypatch.setattr(moving, "_WINDOW", 2)
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
    monkeypatch.setattr(moving, "_WINDOW", 2)
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


async def test_an_upload_that_is_lost_leaves_the_file_as_it_was(tmp_path):
    shell = LocalShell(tmp_path)
    (shell.directory / "f").write_bytes(b"before")
    (shell.directory / "f").chmod(0o600)

    async def parts():
        for at in range(0, len(NOISE), 65536):
            yield NOISE[at : at + 65536]

    transfer = await transfer_of(shell, "f", "upload", len(NOISE))
    shell.cuts = [BLOCK]
    with pytest.raises(HopFailed):
        await receive(transfer, parts(), None)
    assert {path.name: path.read_bytes() for path in shell.directory.iterdir()} == {"f": b"before"}

    transfer = await transfer_of(shell, "f", "upload", len(NOISE))
    await receive(transfer, parts(), 1_000_000_000)
    stat = (shell.directory / "f").stat()
    assert ((shell.directory / "f").read_bytes() == NOISE, oct(stat.st_mode), stat.st_mtime) == (
        True,
        "0o100600",
        1e9,
    )
    assert [path.name for path in shell.directory.iterdir()] == ["f"]
