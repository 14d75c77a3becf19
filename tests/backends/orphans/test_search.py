"""The look at what a session has left, with real processes, under each shell that a container may have."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.repeated import again
from support.waiting import becomes

from gateway.backends.kube import kubectl
from gateway.backends.orphans import search
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
SCRIPT = search.argv("", 0)[2]
# These take each way through the script
under_each = pytest.mark.parametrize("session", SHELLS, indirect=True)


class Session:
    """A shell of ours with its mark, as a container runtime starts it: the leader of a session of its own."""

    def __init__(self, look: list[str]) -> None:
        self.id = secrets.token_hex(8)
        self._look = look
        self._processes: list[subprocess.Popen] = []

    def runs(self, *argv: str, until: int = 1, sleeps: int = 1) -> subprocess.Popen:
        """Waits until so many processes carry the mark, and so many of them are `sleep` already: not the shell that
        becomes nohup, setsid or sleep, or has yet to set its traps.
        """
        words = kubectl.inside(Command(argv, stdout=True, kill_on_disconnect=True, session=self.id))
        process = subprocess.Popen(
            words, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        end = time.monotonic() + 10
        while (
            len(found := self.marked()) < until
            or sum(one.startswith("sleep ") for one in found.values()) < sleeps
        ):
            assert time.monotonic() < end, self.marked()
            time.sleep(0.01)
        return process

    def marked(self) -> dict[int, str]:
        """What carries the mark now: pid and command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f".{self.id}\0".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def look(self, late: int = 0, path: str = os.environ["PATH"]) -> tuple[int, int, int]:
        """(ended, kept, left), as the look says it."""
        words = [*self._look, "-c", SCRIPT, "dap", self.id, str(late)]
        done = subprocess.run(words, capture_output=True, timeout=60, check=True, env={"PATH": path})
        assert done.stderr == b""
        found = search.read(ended(done.returncode), done.stdout)
        assert not found.failed, done.stdout
        return found.ended, found.kept, found.left

    def close(self) -> None:
        """Ends what a test has kept."""
        for pid in self.marked():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture(params=["dash", again("bash"), again("busybox")])
def session(request):
    name, *options = SHELLS[request.param]
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"this machine has no {name}")
    one = Session([program, *options])
    yield one
    one.close()


def test_a_foreground_command_and_its_shell_are_hung_up(session):
    process = session.runs("sh", "-c", "sleep 1000; true", until=2)

    assert session.look() == (2, 0, 0)
    assert process.wait(5) == -signal.SIGHUP
    assert session.marked() == {}


def test_background_jobs_are_hung_up(session):
    session.runs("sh", "-c", "sleep 1000 & sleep 1001 & wait", until=3, sleeps=2)

    assert session.look() == (3, 0, 0)


def test_what_a_shell_left_that_has_ended_itself_is_hung_up(session):
    process = session.runs("sh", "-c", "sleep 1000 & exit 3")

    assert process.wait(5) == 3
    assert session.look() == (1, 0, 0)


@under_each
def test_nohup_and_setsid_live(session):
    line = "nohup sleep 1000 >/dev/null & setsid sleep 1001 & sleep 1002; true"
    session.runs("sh", "-c", line, until=4, sleeps=3)

    assert session.look() == (2, 2, 0)
    assert sorted(session.marked().values()) == ["sleep 1000", "sleep 1001"]
    assert session.look() == (0, 2, 0)


def test_what_catches_hup_is_given_time_then_term(session, tmp_path):
    note = tmp_path / "note"
    process = session.runs("sh", "-c", f"trap 'echo hup >>{note}' HUP; while :; do sleep 0.1; done")

    assert session.look()[1:] == (0, 0)
    assert note.read_text() == "hup\n"
    assert process.wait(5) == -signal.SIGTERM


@under_each
def test_what_catches_everything_is_killed(session):
    process = session.runs("sh", "-c", "trap : HUP TERM; while :; do sleep 0.1; done")

    assert session.look()[1:] == (0, 0)
    assert process.wait(5) == -signal.SIGKILL


def test_what_ends_in_its_own_time_is_not_killed(session, tmp_path):
    """An editor saves first."""
    note = tmp_path / "note"
    process = session.runs(
        "sh", "-c", f"trap 'sleep 0.4; echo saved >{note}; exit 5' HUP; while :; do sleep 0.1; done"
    )
    session.look()

    assert process.wait(5) == 5
    assert note.read_text() == "saved\n"


def test_a_stopped_job_goes_too(session):
    process = session.runs("sleep", "1000")
    process.send_signal(signal.SIGSTOP)

    assert session.look() == (1, 0, 0)
    assert process.wait(5) == -signal.SIGHUP


@under_each
def test_a_child_without_the_mark_is_of_the_terminals_session(session):
    """`su -` clears the environment. The number of a session is not given away while one is in it."""
    process = session.runs("sh", "-c", "env -i sleep 1000 & wait", sleeps=0)
    assert becomes(lambda: children(process.pid))

    assert session.look() == (2, 0, 0)


def test_another_session_is_left_alone(session):
    other = Session([])
    try:
        process = other.runs("sleep", "1000")
        session.runs("sleep", "1001")
        assert session.look() == (1, 0, 0)
        assert process.poll() is None
    finally:
        other.close()


def test_a_number_that_is_somebody_elses_now_is_left_alone(session):
    """The mark names a session that has another leader now: only what still carries the mark could tell."""
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    fake = subprocess.Popen(
        ["sleep", "1001"], start_new_session=True, env={"DAP_SESSION": f"{stranger.pid}.{session.id}"}
    )
    try:
        assert becomes(session.marked)
        assert session.look() == (0, 1, 0)
        assert stranger.poll() is None
        assert fake.poll() is None
    finally:
        for process in (stranger, fake):
            process.kill()
            process.wait(10)


@under_each
def test_a_shell_that_has_not_become_one_yet_is_found(session):
    """Its mark stands among its arguments still."""
    script = f"export DAP_SESSION=$$.{session.id}; sleep 1000; exec sh"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True, executable="/bin/sh")
    try:
        assert becomes(lambda: children(process.pid))
        assert session.look() == (2, 0, 0)
    finally:
        process.kill()
        process.wait(10)


@under_each
def test_what_comes_late_is_waited_for(session):
    late = ["sh", "-c", 'sleep 0.5; exec "$@"', "sh"]
    words = kubectl.inside(
        Command(("sleep", "1000"), stdout=True, kill_on_disconnect=True, session=session.id)
    )
    process = subprocess.Popen([*late, *words], start_new_session=True)
    try:
        assert session.look(late=30) == (1, 0, 0)
    finally:
        process.kill()
        process.wait(10)


@under_each
def test_odd_names_and_environments_are_read(session, tmp_path):
    """A name with spaces, brackets and line ends in /proc/PID/stat; line ends before the mark."""
    program = tmp_path / "a) S 1 \n(b"
    program.symlink_to(shutil.which("sleep"))
    os.environ["A_FIRST"] = "two\nlines"
    try:
        session.runs(str(program), "1000", sleeps=0)
    finally:
        del os.environ["A_FIRST"]

    assert session.look() == (1, 0, 0)


# dash reads byte by byte
@pytest.mark.parametrize("session", [again("dash"), "bash", "busybox"], indirect=True)
def test_without_grep_it_takes_longer(session, tmp_path):
    (tmp_path / "sleep").symlink_to(shutil.which("sleep"))
    session.runs("sh", "-c", "setsid sleep 1000 & sleep 1001; true", until=3, sleeps=2)

    assert session.look(path=str(tmp_path)) == (2, 1, 0)


@under_each
def test_nothing_there_is_said_soon(session):
    began = time.monotonic()

    assert session.look(late=0) == (0, 0, 0)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("outcome", "said", "what"),
    [
        (ended(0), b"dap-leftovers 0 0 0 0\n", ("nothing",)),
        (ended(0), b"dap-leftovers 3 0 0 0\n", ("reaped",)),
        (ended(0), b"dap-leftovers 0 0 0 9\n", ("nothing", "unreadable")),
        (ended(0), b"motd\ndap-leftovers 3 1 2 4\n", ("reaped", "kept", "stuck", "unreadable")),
        (ended(0), b"", ("failed",)),
        (ended(1), b"dap-leftovers 1 0 0 0\n", ("failed",)),
        (Outcome("kubectl_killed"), b"", ("failed",)),
        (Outcome("cluster_unreachable"), b"", ("failed",)),
        (Outcome("start_failed"), b"", ("no_shell",)),
        (Outcome("no_shell"), b"", ("no_shell",)),
        (Outcome("pod_not_found"), b"", ("gone",)),
    ],
)
def test_what_a_look_has_come_to(outcome, said, what):
    assert search.read(outcome, said).what == what


def children(pid: int) -> list[str]:
    """Its children's pids."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
