"""The file that a gateway inside a command logs to: private, bounded, and shared by several of them."""

import os
import stat
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from gateway.log_file import LogFile

WRITER = """
import sys
from pathlib import Path
from gateway.log_file import LogFile
log = LogFile(Path(sys.argv[1]), size=20_000)
for number in range(300):
    log.write(f"{sys.argv[2]} {number} {'x' * 40}\\n")
"""


def test_it_is_private_and_one_of_two_files_is_the_older(tmp_path):
    path = tmp_path / "state" / "dap" / "gateway.log"
    log = LogFile(path, size=100)
    for number in range(25):
        log.write(f"line {number:03} ü\ud800\n")

    older = path.with_name("gateway.log.1")
    assert {file.name for file in path.parent.iterdir()} == {path.name, older.name}
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, older, path.parent)] == [0o600, 0o600, 0o700]
    both = (older.read_text() + path.read_text()).splitlines()
    assert both == [f"line {number:03} ü\\ud800" for number in range(25 - len(both), 25)]
    assert len(older.read_bytes()) < 100 + 20
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.write("late\n")


def test_one_that_others_could_read_is_private_again_and_one_that_is_gone_is_made_again(tmp_path):
    path = tmp_path / "log"
    path.write_text("before\n")
    path.chmod(0o644)
    log = LogFile(path)
    log.write("one\n")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("before\none\n", 0o600)
    path.unlink()
    log.write("two\n")
    assert path.read_text() == "two\n"
    log.close()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_not_written(tmp_path, make):
    make(tmp_path / "log")
    with pytest.raises(OSError):  # noqa: PT011  # which one depends on what is there
        LogFile(tmp_path / "log")


def test_several_write_whole_lines_and_lose_none_of_the_last(tmp_path):
    path = tmp_path / "log"
    writers = [Popen([sys.executable, "-c", WRITER, str(path), name], stderr=PIPE) for name in "abc"]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 3

    lines = [line for file in (path.with_name("log.1"), path) for line in file.read_text().splitlines()]
    assert all(len(line.split()) == 3 and line.endswith("x" * 40) for line in lines)
    for name in "abc":
        numbers = [int(line.split()[1]) for line in lines if line.startswith(name)]
        assert numbers == list(range(300 - len(numbers), 300)), "its last lines, without a gap"
    assert path.with_name("log.1").stat().st_size < 20_000 + 200
