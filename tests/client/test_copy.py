"""Copies both ways between this machine and a shell with few programs, whose link is cut."""

import asyncio
import io
import itertools
import os
import random
import shutil

import pytest
from support.local_shell import TOOLS, LocalShell
from support.repeated import again

from gateway.client.copy.download import download
from gateway.client.copy.local_tree import LocalTree
from gateway.client.copy.upload import upload
from gateway.client.copy.work import BLOCK, Work, batches
from gateway.client.outage import Outage
from gateway.copying.container import Container
from gateway.copying.entries import CopyFailed, Entry, refused_link, refused_name
from gateway.errors import HopFailed

NOISE = random.Random(1).randbytes(1 << 20)


@pytest.fixture
def shell(tmp_path):
    return LocalShell(tmp_path)


def work_at(shell):
    seen = []
    work = Work(Container(shell.start, "web-0"), Outage(60, lambda *_: None), lambda *how: seen.append(how))
    work.seen = seen
    return work


def tree(root):
    """A directory with what there can be."""
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a").write_bytes(b"hello")
    (root / "a").chmod(0o640)
    (root / "-rf").write_bytes(b"-")
    (root / "-rf").chmod(0o4755)
    (root / "sub" / "b c\n-d").write_bytes(NOISE)
    (root / "sub" / "empty").touch()
    (root / "sub" / "in").symlink_to("../a")
    (root / "in").symlink_to("sub/deep")
    with (root / "holes").open("wb") as file:
        file.seek(40 * BLOCK)
        file.write(b"end")
    for name in ("a", "sub/empty", "sub/deep", "sub"):
        os.utime(root / name, (1_000_000_000, 1_000_000_000))
    (root / "sub").chmod(0o750)


def described(root):
    """All that is below: kind, mode, time, content."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        time = 0 if path.is_symlink() else int(stat.st_mtime)
        found[str(path.relative_to(root))] = (oct(stat.st_mode & ~0o4000), time, content)
    return found


@pytest.mark.parametrize("cuts", [again([]), [600_000, 10, 700_000]], ids=["well", "cut"])
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
async def test_a_directory_is_the_same_there_also_through_lost_hops(shell, tmp_path, up, cuts):
    here = tmp_path / "here"
    here.mkdir()
    origin = here / "x" if up else shell.directory / "x"
    origin.mkdir()
    tree(origin)
    work = work_at(shell)
    shell.cuts = [3000, *cuts] if cuts else []
    await (upload(work, origin, "copy") if up else download(work, "x", here / "copy"))
    copy = shell.directory / "copy" if up else here / "copy"
    assert described(copy) == described(origin)
    assert (copy / "-rf").stat().st_mode & 0o7777 == 0o755
    assert (copy / "holes").stat().st_blocks < 2048
    assert (work.result.files, work.result.unverified, work.result.skipped, shell.cuts) == (5, 0, {}, [])
    assert work.done == work.total == work.result.bytes
    assert {path.name for path in shell.directory.iterdir()} <= {"x", "copy"}


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
async def test_a_large_file_goes_on_where_the_hop_was_lost(shell, tmp_path, monkeypatch, up):
    for module in ("client.copy.upload_file", "copying.container"):
        monkeypatch.setattr(f"gateway.{module}.WINDOW", 8)
    origin = tmp_path / "f" if up else shell.directory / "f"
    origin.write_bytes(b"".join(NOISE[n:] + NOISE[:n] for n in range(20)) + b"end")
    shell.cuts = [5_500_000, 200_000, 6_000_000]
    await (upload(work_at(shell), origin, "g") if up else download(work_at(shell), "f", tmp_path / "g"))
    copy = shell.directory / "g" if up else tmp_path / "g"
    assert copy.read_bytes() == origin.read_bytes()
    assert shell.cuts == []
    assert shell.carried < origin.stat().st_size + 4 * BLOCK + 200_000
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".")] == []


async def test_with_few_programs_what_can_be_done_is_done(tmp_path):
    shell = LocalShell(tmp_path, ("sh", "cat", "wc", "mv", "rm"))
    (shell.directory / "f").write_bytes(NOISE)
    work = work_at(shell)
    await download(work, "f", tmp_path / "g")
    await upload(work, tmp_path / "g", "h")
    assert (shell.directory / "h").read_bytes() == NOISE
    assert (work.result.files, work.result.unverified) == (2, 2)
    (shell.directory / "d").mkdir()
    with pytest.raises(CopyFailed, match="has no tar and no find and no stat, without which no directory"):
        await download(work, "d", tmp_path / "e")
    with pytest.raises(CopyFailed, match="has no tar, without which no directory"):
        await upload(work, shell.directory / "d", "e")
    (shell.path / "sh").unlink()
    with pytest.raises(CopyFailed, match="web-0 has no sh, without which nothing can be copied"):
        await download(work, "f", tmp_path / "g")


def before_each(shell, do):
    """Calls `do` before each command that is started."""
    plain = shell.start

    def start(argv, stdin=None):
        do()
        return plain(argv, stdin)

    shell.start = start


@pytest.mark.parametrize(
    ("box", "missing"), [("", ""), ("", "dd"), ("", "head"), ("", "stat"), ("bash", ""), ("busybox", "")]
)
async def test_of_a_log_that_is_written_there_is_what_was_there_at_first(tmp_path, box, missing):
    if box and not shutil.which(box):
        pytest.skip(f"no {box} on this machine")
    shell = LocalShell(
        tmp_path, tuple(tool for tool in TOOLS if tool != missing), box if box == "busybox" else ""
    )
    if box == "bash":
        (shell.path / "sh").unlink()
        (shell.path / "sh").symlink_to(shutil.which(box))
    log = shell.directory / "var" / "log"
    log.parent.mkdir()
    log.write_bytes(NOISE + b"begin\n")
    (log.parent / "other").write_bytes(b"other")

    def write():
        with log.open("ab") as file:
            file.write(b"more\n")

    before_each(shell, write)
    work = work_at(shell)
    if missing == "head":  # the container can only tell the SHA-256 of all that is there by now
        with pytest.raises(CopyFailed, match="log changed while it was copied"):
            await download(work, "var/log", tmp_path / "copy")
        return
    await download(work, "var/log", tmp_path / "copy")
    copy = (tmp_path / "copy").read_bytes()
    assert copy.removeprefix(NOISE + b"begin\n").replace(b"more\n", b"") == b""
    assert len(copy) < log.stat().st_size
    assert (work.result.grown, work.result.unverified, work.done) == ({"var/log"}, 0, len(copy))
    if missing != "stat":  # without which no directory is copied
        await download(work, "var", tmp_path / "all")
        whole = log.read_bytes()
        assert whole.startswith((tmp_path / "all" / "log").read_bytes())
        assert ((tmp_path / "all" / "other").read_bytes(), work.result.skipped) == (b"other", {})
        assert work.result.sha256 == ""  # not of one of them


async def test_of_a_log_here_that_is_written_there_goes_what_was_there_at_first(shell, tmp_path):
    log = tmp_path / "var" / "log"
    log.parent.mkdir()
    log.write_bytes(NOISE)

    def write():
        with log.open("ab") as file:
            file.write(b"more\n")

    before_each(shell, write)
    for source, copy in ((log, "copy"), (log.parent, "all")):
        work = work_at(shell)
        await upload(work, source, copy)
        found = shell.directory / copy
        found = found / "log" if found.is_dir() else found
        assert found.read_bytes().removeprefix(NOISE).replace(b"more\n", b"") == b""
        assert (found.stat().st_size < log.stat().st_size, work.result.skipped) == (True, {})
    assert work_at(shell).result.grown == set()


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("how", ["was replaced by another file", "became shorter", "changed"])
async def test_a_file_that_changes_all_the_time_is_named_and_not_left(shell, tmp_path, up, how):
    origin = tmp_path / "x" if up else shell.directory / "x"
    origin.mkdir()
    (origin / "log").write_bytes(b"0" * 1000)
    times = itertools.count(1)

    def change():
        number, log = next(times), origin / "log"
        if how == "became shorter":
            os.truncate(log, 1000 - 10 * number)
        else:
            kept = log.stat().st_ino  # is not given to the file that takes its place while a link has it
            os.link(log, tmp_path / "root" / f"was-{number}") if how != "changed" else None
            if how != "changed":
                log.unlink()
            log.write_bytes(b"%d" % number * (1000 if how == "changed" else 1000 + number))
            assert (log.stat().st_ino == kept) == (how == "changed")
            os.utime(log, (number, number))

    before_each(shell, change)
    with pytest.raises(
        CopyFailed, match=f"log ({how}|changed) while it was copied: 3 attempts were not of one piece"
    ):
        await (
            upload(work_at(shell), origin / "log", "y")
            if up
            else download(work_at(shell), "x/log", tmp_path / "y")
        )
    left = {path.name for path in (*shell.directory.iterdir(), *tmp_path.iterdir())}
    assert {name for name in left if not name.startswith("was-")} == {"root", "bin", "x"}


async def test_what_is_refused_or_not_there(shell, tmp_path):
    work, here = work_at(shell), tmp_path / "here"
    (here / "f" / "x").mkdir(parents=True)
    (shell.directory / "f").write_bytes(b"f")
    (shell.directory / "d" / "g").mkdir(parents=True)
    os.mkfifo(shell.directory / "pipe")
    (tmp_path / "g").write_bytes(b"g")
    for source, target, said in (
        ("nope", here, "nope: no such file or directory"), ("pipe", here, "neither a file nor a directory"),
        ("f", here, "f is a directory"), ("f", here / "no" / "f", "no: no such directory"),
        ("f", here / ("n" * 300), "n: File name too long"),
    ):  # fmt: skip
        with pytest.raises(CopyFailed, match=said):
            await download(work, source, target)
    for source, target, said in (
        (here / "nope", "x", "nope: No such file"), (tmp_path / "g", "d", "d/g is a directory"),
        (tmp_path / "g", "no/x", "no: no such directory"), (here, "f", "is no directory"), (tmp_path / "g", "pipe", "no file"),
    ):  # fmt: skip
        with pytest.raises(CopyFailed, match=said):
            await upload(work, source, target)
    assert work.result.files == 0


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root reads everything")
async def test_a_directory_that_cannot_be_read_there_is_named_and_the_rest_copied(shell, tmp_path):
    root, sh = shell.directory / "x", shell.path / "sh"
    (root / "secret").mkdir(parents=True)
    (root / "secret" / "g").touch()
    (root / "f").write_bytes(b"f")
    (root / "secret").chmod(0o311)
    drop = f"{shutil.which('setpriv')} --bounding-set=-all" if os.getuid() == 0 else ""
    real = sh.readlink()
    sh.unlink()
    sh.write_text(f'#!{real}\nexec {drop} {real} "$@"\n')
    sh.chmod(0o755)
    work = work_at(shell)
    await download(work, "x", tmp_path / "y")
    assert work.result.skipped == {"secret": "what is in it cannot be read"}
    assert {path.name for path in (tmp_path / "y").rglob("*")} == {"f", "secret"}
    with pytest.raises(CopyFailed, match=r"web-0:x/secret cannot be read"):
        await download(work, "x/secret", tmp_path / "z")


async def test_links_that_lead_out_are_named_and_a_link_here_is_not_written_through(shell, tmp_path):
    root, here, out = shell.directory / "x", tmp_path / "here", tmp_path / "out"
    out.mkdir()
    (here / "x").mkdir(parents=True)
    (here / "x" / "sub").symlink_to(out)
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "f").write_bytes(b"f")
    (root / "out").symlink_to("../../etc")
    work = work_at(shell)
    with pytest.raises(CopyFailed, match=r"sub: Not a directory|sub: Too many levels"):
        await download(work, "x", here)
    (here / "x" / "sub").unlink()
    await download(work, "x", here)
    assert (list(work.result.skipped), list(out.iterdir())) == (["out"], [])
    assert (here / "x" / "sub" / "f").read_bytes() == b"f"


async def test_cancelled_it_leaves_nothing(shell, tmp_path):
    (shell.directory / "f").write_bytes(NOISE * 8)
    for copy in (
        lambda work: download(work, "f", tmp_path / "g"),
        lambda work: upload(work, shell.directory / "f", "g"),
    ):
        began = asyncio.Event()
        work = work_at(shell)
        work.progress = lambda done, *_, began=began: began.set() if done else None
        task = asyncio.ensure_future(copy(work))  # noqa: TID251  # awaited below
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [path.name for path in (*tmp_path.iterdir(), *shell.directory.iterdir())] == ["root", "bin", "f"]


async def test_a_hop_that_does_not_come_back_ends_it(shell, tmp_path):
    (shell.directory / "f").write_bytes(NOISE)
    shell.cuts = [2000, *[0] * 100]
    work = work_at(shell)
    work.outage = Outage(0.1, lambda *_: None)
    with pytest.raises(HopFailed, match="the link was cut"):
        await download(work, "f", tmp_path / "g")
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a\0b", "a" * 5000, "a\udc80"]
)
def test_names_that_lead_elsewhere(name):
    assert refused_name(name)
    assert not refused_name("a/..b/c d")


@pytest.mark.parametrize(
    ("name", "leads_to", "refused"),
    [
        ("l", "a", False), ("l", "sub/a", False), ("sub/l", "../a", False), ("a/b/l", "../../c", False), ("l", ".", False),
        ("l", "../a", True), ("l", "/a", True), ("l", "", True), ("sub/l", "../../a", True), ("l", "a/../../b", True),
        ("l", "a/b/../c", True), ("sub/l", "../..", True), ("a/l", "..", False),
    ],
)  # fmt: skip
def test_links_by_where_they_lead(name, leads_to, refused):
    assert bool(refused_link(name, leads_to)) is refused


@pytest.fixture
def full_disk(monkeypatch):
    """All that is written into a file without a name goes to a disk that is full."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: io.FileIO("/dev/full", "wb"))


@pytest.mark.usefixtures("full_disk")
async def test_a_disk_that_is_full_here_is_named_and_no_file_is_said_to_change(shell, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "f").write_bytes(NOISE)
    work = work_at(shell)
    with pytest.raises(CopyFailed, match="No space left on device"):
        await upload(work, tmp_path / "x", "y")
    assert work.result.skipped == {}


def test_a_tree_is_not_left(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "l").symlink_to(tmp_path)
    one = LocalTree(tmp_path / "root", "mark")
    with (
        pytest.raises(OSError, match=r"Not a directory|Too many levels"),
        one.file(Entry("l/f", "file", 0o600, 1, 0)),
    ):
        pass
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        one.directory(Entry("l", "dir", 0o700, 0, 0))
    one.close()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_batches_are_bounded():
    files = [
        Entry(str(number), "file", 0, size, 0)
        for number, size in enumerate([40 * BLOCK, 30 * BLOCK, *[1] * 700])
    ]
    assert [len(batch) for batch in batches(files)] == [1, 500, 201]
