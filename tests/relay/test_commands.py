"""Commands through the relay: what a gateway sees of them, under this Python and an older one."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from support import shorter
from support.leaks import alive, gone
from support.relayed import lasting_side
from support.repeated import again
from support.waiting import becomes

from gateway.relay import wire


@pytest.fixture
def link(shared_link):
    return shared_link


@pytest.fixture(scope="module")
def watched(lasting):
    """Where a relay runs that notes each signal to a process that it has waited for, and ends what stays soon."""
    with lasting_side(lasting.python, {"process": WATCHED, "end_steps": shorter.RELAY}) as side:
        yield side


@pytest.fixture
def watched_link(watched):
    yield watched.link_at_hand()
    watched.leave()


def test_both_streams_apart_and_the_exit_code(link):
    said = link.run("sh", "-c", "echo out; echo err >&2; exit 3")

    assert (said.stdout, said.stderr, said.exit) == (b"out\n", b"err\n", {"code": 3})
    assert said.kinds[0] == wire.STARTED
    assert said.kinds[-1] == wire.EXIT


@pytest.mark.parametrize("code", [0, 1, 126, 127, 255])
def test_exit_codes(link, code):
    assert link.run("sh", "-c", f"exit {code}").exit == {"code": code}


def test_a_signal_is_no_exit_code(link):
    assert link.run("sh", "-c", "kill -9 $$").exit == {"signal": 9}


def test_what_cannot_be_started_says_why(link, lasting):
    (lasting.directory / "data").write_text("x")
    absent = link.run("no-such-program")
    refused = link.run(str(lasting.directory / "data"))

    assert (absent.started, absent.exit["errno"]) == (None, 2)
    assert (refused.started, refused.exit["errno"]) == (None, 13)


def test_arguments_and_environment_arrive_exactly(link):
    argv = ["", " ", "'\"$x`\\", "é終\n\u2028", "x" * 100_000]
    said = link.run("sh", "-c", 'printf "%s\\0" "$@" "$MORE"', "sh", *argv, env={"MORE": "ü\n"})

    assert said.stdout.split(b"\0")[:-1] == [one.encode() for one in [*argv, "ü\n"]]


def test_input_and_its_end(link):
    data = os.urandom(4 << 20)
    said = link.run("cat", stdin=data)

    assert hashlib.sha256(said.stdout).digest() == hashlib.sha256(data).digest()
    assert said.exit == {"code": 0}


def test_input_for_who_does_not_read_waits_with_the_gateway(link):
    """64 KiB, and no credit for more; another stream is not held up."""
    number = link.open("sleep", "1000")
    for _ in range(2):
        link.say(wire.STDIN, number, bytes(wire.CHUNK))
    assert link.run("echo", "hi").stdout == b"hi\n"
    assert link.streams[number].credit <= wire.WINDOW  # what the pipe itself has taken
    link.say(wire.END, number)

    assert link.finish(number).exit == {"signal": 1}


def test_a_command_that_ends_without_reading_its_input(link):
    assert link.run("true", stdin=bytes(1 << 20)).exit == {"code": 0}


def test_a_terminal_has_a_size_that_changes(link):
    number = link.open("sh", "-c", "stty size; read x; stty size", tty=[100, 30])
    link.until(lambda: b"30 100\r\n" in link.streams[number].stdout)
    link.send(wire.encode_size(number, 200, 50))
    link.say(wire.STDIN, number, b"\n")

    assert link.finish(number).stdout.endswith(b"50 200\r\n")


def test_a_raw_terminal_changes_no_byte(link):
    every = bytes(range(256)) * 20
    number = link.open("sh", "-c", "echo ready; exec head -c 5120", tty=[80, 24], raw=True)
    link.until(lambda: link.streams[number].stdout == b"ready\n")
    link.say(wire.STDIN, number, every)

    assert link.finish(number).stdout == b"ready\n" + every


def test_a_terminal_that_its_command_leaves_is_no_hangup(link):
    """As cat does, which closes its three files before it ends; and one that opens it once more."""
    script = "exec 3>&1 0<&- 1>&- 2>&- 3>&-; sleep 0.15; exit 5"
    assert link.run("sh", "-c", script, tty=[80, 24]).exit == {"code": 5}
    script = "exec 0<&- 1>&- 2>&-; sleep 0.1; echo again >/dev/tty; exit 6"
    said = link.run("sh", "-c", script, tty=[80, 24])
    assert (said.stdout, said.exit) == (b"again\r\n", {"code": 6})


EIO = """
class os:
    close, set_blocking, strerror, WIFSIGNALED, WTERMSIG, WEXITSTATUS = (
        os.close, os.set_blocking, os.strerror, os.WIFSIGNALED, os.WTERMSIG, os.WEXITSTATUS)
    def read(fd, count, read=os.read):
        if count == _READ:
            raise OSError(5, "Input/output error")
        return read(fd, count)
"""


def test_input_for_a_terminal_that_nobody_has_open_costs_nothing(link):
    """And is there for who opens it again. Such a terminal is ready for writing at any time, and takes nothing."""
    script = "exec <&- >&- 2>&-; sleep 1.5; exec </dev/tty >/dev/tty; echo on; head -c 200000 | wc -c"
    number = link.open("sh", "-c", script, tty=[80, 24], raw=True)
    link.until(lambda: link.streams[number].started)
    time.sleep(0.2)
    link.say_all(number, bytes(200_000))
    time.sleep(0.2)
    before = spent(link.about["pid"])
    time.sleep(0.8)
    assert spent(link.about["pid"]) - before < 0.2

    assert link.finish(number).stdout == b"on\n200000\n"


def spent(pid):
    """Seconds of a processor that the process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_comes_after_eio_is_output(far):
    """Linux says EIO before the last bytes, once in some 100,000 terminals; here it does each time."""
    said = far.link(more={"command": EIO}).run("sh", "-c", "echo last; exit 5", tty=[80, 24])

    assert (said.stdout, said.exit) == (b"last\r\n", {"code": 5})


def test_stderr_apart_from_the_terminal(link):
    script = "[ -t 0 ] && [ -t 1 ] && ! [ -t 2 ] && echo seen; echo words >&2"
    said = link.run("sh", "-c", script, tty=[80, 24], apart=True)

    assert (said.stdout, said.stderr) == (b"seen\r\n", b"")
    assert said.exit == {"code": 0, "words": "words\n"}


def test_the_last_of_many_words(link):
    script = "printf '\\377'; seq 100000 >&2; printf '\\377end' >&2; exit 7"
    said = link.run("sh", "-c", script, tty=[80, 24], apart=True, raw=True)

    assert said.stdout == b"\xff"
    assert said.exit["code"] == 7
    assert said.exit["words"].endswith("99999\n100000\n\ufffdend")
    assert len(said.exit["words"]) == 4000


def test_a_terminal_of_its_own_controls_it(link):
    """Ctrl-C is a signal there."""
    number = link.open(
        "sh", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done", tty=[80, 24]
    )
    link.until(lambda: b"ready" in link.streams[number].stdout)
    link.say(wire.STDIN, number, b"\x03")

    said = link.finish(number)
    assert b"caught" in said.stdout
    assert said.exit == {"code": 5}


def test_a_signal_by_name(link):
    number = link.open("sh", "-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.01; done")
    link.until(lambda: link.streams[number].stdout == b"ready\n")
    link.say(wire.SIGNAL, number, b"USR1")

    assert link.finish(number).exit == {"code": 6}


def test_the_end_takes_all_of_the_session(watched_link):
    """What ignores HUP gets TERM, and in the end KILL; whatever process group it is in."""
    script = "trap '' HUP TERM; set -m; sleep 1000 & echo $!; sleep 1001 & echo $!; echo $$; wait; wait"
    link = watched_link
    number = link.open("sh", "-c", script)
    link.until(lambda: link.streams[number].stdout.count(b"\n") == 3)
    pids = [int(line) for line in link.streams[number].stdout.split()]
    link.say(wire.END, number)

    assert link.finish(number).exit == {"signal": 9}
    assert all(gone(pid) for pid in pids)


def test_output_waits_for_credit_and_none_is_lost(link):
    number = link.open("sh", "-c", "seq 1 100000; echo end >&2; exit 7", credit=1000)
    link.hold.add(number)
    time.sleep(0.2)
    while link.step(0.1):
        pass
    assert len(link.streams[number].stdout) == 1000
    link.hold.clear()
    link.send(wire.encode_credit(number, 1 << 20))

    said = link.finish(number)
    assert said.stdout == b"".join(b"%d\n" % line for line in range(1, 100_001))
    assert (said.stderr, said.exit) == (b"end\n", {"code": 7})


def test_a_stream_nobody_reads_delays_no_other(link):
    number = link.open("yes", credit=0)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        assert link.run("echo", "hi").stdout == b"hi\n"
        times.append(time.perf_counter() - began)
    link.say(wire.END, number)
    link.finish(number)

    assert sorted(times)[10] < 0.1


def test_the_last_bytes_come_before_the_end(link):
    for number in range(30):
        said = link.run("sh", "-c", f"head -c {number * 5000} /dev/zero; echo {number}")
        assert said.stdout.endswith(b"%d\n" % number)
        assert len(said.stdout) == number * 5000 + len(str(number)) + 1


def test_what_stays_behind_does_not_keep_the_session(link):
    began = time.monotonic()
    said = link.run("sh", "-c", "trap '' HUP; sleep 30 & echo $!; exit 2")

    assert said.exit == {"code": 2}
    assert time.monotonic() - began < 2
    os.kill(int(said.stdout), 9)


def test_more_than_the_journal_holds_is_never_a_success(far):
    link = far.link(capacity=100_000, memory=1000)
    number = link.open("sh", "-c", "head -c 1000000 /dev/zero; sleep 1000", credit=0)
    said = link.finish(number)

    assert said.exit["full"] is True


def test_the_spool_is_in_the_private_directory_and_has_no_name(far):
    link = far.link(memory=1000)
    number = link.open("head", "-c", "1000000", "/dev/zero", credit=10)
    link.until(lambda: link.streams[number].stdout)
    (place,) = far.places
    # Where the file system has no O_TMPFILE, the file has a name until its writer, a thread, took that away.
    assert becomes(lambda: [one.name for one in place.iterdir()] == [link.about["version"]])
    link.send(wire.encode_credit(number, 1 << 20))

    assert len(link.finish(number).stdout) == 1_000_000


def test_nothing_is_left_open(link):
    def descriptors():
        return len(list(Path(f"/proc/{link.about['pid']}/fd").iterdir()))

    link.run("true")
    before = descriptors()
    for _ in range(10):
        link.run("echo", "x")
        link.run("no-such-program")
        link.run("true", tty=[80, 24], apart=True)
    link.run("sh", "-c", "head -c 3000000 /dev/zero")

    assert descriptors() == before


NO_SPOOL = "def nameless_file(directory):\n    raise OSError(28, 'No space left on device')\n"


def test_a_full_disk_is_said(far):
    """Memory does as long as it is enough; then the end says whose fault it was."""
    link = far.link(more={"spool": NO_SPOOL}, memory=100_000)

    assert link.finish(link.ask(check=True)).exit == {"error": "No space left on device", "errno": 28}
    assert link.run("head", "-c", "90000", "/dev/zero").exit == {"code": 0}
    number = link.open("head", "-c", "3000000", "/dev/zero", credit=0)
    said = link.finish(number)
    assert said.exit == {
        "error": "more output than the journal may hold", "full": True, "spool": "No space left on device",
    }  # fmt: skip


def test_a_disk_with_room_is_well(link):
    assert link.finish(link.ask(check=True)).exit == {"code": 0}


WATCHED = """
def _watched(call):
    def watching(leader, *arguments):
        if leader > 1 and not os.path.exists("/proc/%d" % leader):
            with open(os.environ["TMPDIR"] + "/late", "a") as file:
                file.write(call.__name__ + " ")
        return call(leader, *arguments)
    return watching

kill_group, members = _watched(kill_group), _watched(members)
"""


def zombies(pid):
    """Children of a process that nobody has reaped."""
    found = (Path(f"/proc/{pid}/task") / str(pid) / "children").read_text().split()
    return [child for child in found if not alive(int(child))]


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",  # ends by itself
        "read x",  # is ended, at once
        "trap '' HUP; sleep 3 & exit 0",  # leaves something that holds its output
        "trap '' HUP; sleep 1000 >/dev/null 2>&1 & read x",  # leaves something that is ended later
        "trap '' HUP TERM; read x; sleep 1000",
    ],
)
@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
def test_nothing_is_signalled_by_a_number_that_was_let_go(watched, watched_link, script, tty):
    """As soon as a process is waited for, the kernel may give its pid, its group's and its session's to others."""
    link = watched_link
    number = link.open("sh", "-c", f"echo $$; {script}", **({"tty": [80, 24]} if tty else {}))
    link.until(lambda: b"\n" in link.streams[number].stdout)
    time.sleep(0.1)  # so that one has ended before it is told to
    link.say(wire.END, number)
    link.finish(number)

    daemon = link.about["pid"]
    assert becomes(lambda: not zombies(daemon))
    assert not (watched.directory / "late").exists()


def peak(pid):
    """The most memory that a process had, in KiB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("size", [24_000_000, again(100_000_000)])
@pytest.mark.parametrize("terminal", [{"tty": [80, 24], "apart": True}, {}], ids=["tty", "pipes"])
def test_megabytes_of_words_cost_little_memory(far, terminal, size):
    link = far.link()
    link.run("true")
    before = peak(link.about["pid"])
    said = link.run("sh", "-c", f"head -c {size} /dev/zero >&2; exit 1", **terminal)

    assert said.exit["code"] == 1
    assert len(said.exit.get("words", "")) == (4000 if terminal else 0)
    assert len(said.stderr) == (0 if terminal else size)
    assert peak(link.about["pid"]) - before < 8 << 10
