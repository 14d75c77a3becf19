"""What the wrapper's streams mean, in any pieces; and the wrapper itself, run by a real bash."""

import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.leaks import gone
from support.repeated import again, examples
from support.wrapped import NONCE, bash, environment, in_terminal, piped

from gateway.backends.plain.wrapper import Parsed, Stderr, Stdout, exec_line, send_argv

RS = b"\x1e" + NONCE.encode()
READY, START, EXIT, END = RS + b" ready\n", RS + b" start 77\n", RS + b" exit 3\n", RS + b"\n"
# what looks like a mark and is none: it has another nonce, or is one's beginning
_NEARLY = [
    RS[:-1],
    RS[:1],
    b"\x1e\x1e",
    RS[:-1] + b"x",
    b"\x1e" + b"f" * 16 + b" exit 0\n",
    b"ready\n",
    b"\n",
    b"\x1e",
]
datas = st.lists(st.sampled_from(_NEARLY) | st.binary(max_size=9), max_size=6).map(b"".join)
data_of_commands = datas.filter(lambda data: RS not in data)
cuts = st.lists(st.integers(0, 10_000), max_size=8)
arguments = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["", " ", "\n", "\n\n", "'", '"', "$(id)", "`id`", "$HOME", "-n", "--", "-c", "*", "\\", "a\rb", "\x03", "\x04", "\x1a",
     "\x01", "\x7f", "\x1c", "\x11\x13", "é", "\u2028", "\U0001f600", "!", "${a[0]}", "'; exit 1 #"]
)  # fmt: skip


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def parsed(parts: list[bytes]) -> tuple[bytes, bytes, Parsed]:
    stdout = Stdout(NONCE)
    body = b"".join(stdout.feed(part) for part in parts) + stdout.end()
    return body, stdout.talk, stdout.seen


def stderr_of(parts: list[bytes]) -> tuple[bytes, bytes, bool]:
    stderr = Stderr(NONCE)
    body = b"".join(stderr.feed(part) for part in parts) + stderr.end()
    return body, stderr.talk, stderr.ended


@examples(300)
@given(data_of_commands, data_of_commands, data_of_commands, cuts)
@example(RS[:5], RS[:5], RS[:5], [3])
def test_stdout_in_any_pieces(talk, body, words, places):
    data = talk + READY + START + body + EXIT + words + END + b"behind the end"
    seen = Parsed(ready=True, pid=77, code=3, words=words, complete=True)

    assert parsed([data]) == (body, talk, seen)
    assert parsed(pieces(data, places)) == (body, talk, seen)
    assert parsed([data[i : i + 1] for i in range(len(data))]) == (body, talk, seen)


@examples(200)
@given(data_of_commands, cuts, st.integers(0, 80))
def test_stdout_that_is_cut_off_loses_nothing_of_the_command(body, places, length):
    """Where the link ends within a mark, what had come of the mark cannot be told from output."""
    tail = EXIT + END
    data = READY + START + body + tail[:length]
    got, _, seen = parsed(pieces(data, places))

    assert got.startswith(body)
    assert got[len(body) :] in (b"", tail[:length])
    assert seen.complete == (length >= len(tail))
    assert seen.code == (3 if length >= len(EXIT) else None)


@examples(200)
@given(data_of_commands, data_of_commands, cuts, st.integers(0, 30))
def test_stderr_in_any_pieces(talk, body, places, length):
    data = talk + END + body + END[:length] + (b"behind the end" if length >= len(END) else b"")
    whole = stderr_of([data])

    assert whole == (body + (b"" if length >= len(END) else END[:length]), talk, length >= len(END))
    assert stderr_of(pieces(data, places)) == whole
    assert stderr_of([data[i : i + 1] for i in range(len(data))]) == whole


def test_talk_alone_is_the_diagnosis():
    assert parsed([b"no such", b" instance\n"]) == (b"", b"no such instance\n", Parsed())
    assert stderr_of([b"Error: x\n"]) == (b"", b"Error: x\n", False)


def test_long_talk_is_kept_from_its_end():
    assert len(parsed([b"x" * 100_000, b"last"])[1]) <= 4096
    assert parsed([b"x" * 100_000, b"last"])[1].endswith(b"xlast")


def test_the_request_does_not_grow_with_the_arguments():
    short = exec_line("vm", NONCE, ("a",), tty=True)
    long = exec_line("vm", NONCE, tuple(["x" * 60_000] * 5), tty=True)

    assert len(long) == len(short) < 1024
    assert shlex.split(short)[:5] == ["incus", "exec", "vm", "-t", "--"]
    assert shlex.split(exec_line("v m", NONCE, ("a",), tty=False))[2:4] == ["v m", "-T"]


PRINT = ("printf", r"%s\0")


def printed(argv: tuple[str, ...]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in argv)


@examples(12)
@given(argv=st.lists(arguments, min_size=1, max_size=20).map(tuple))
@example(argv=("", "-n", "a\rb\x03\x1a\x1c\x04", "\n", "$(id)`id`'\"", "\x01\x7f", ""))
def test_argv_arrives_exactly(tmp_path_factory, argv):
    home = tmp_path_factory.mktemp("home")

    assert piped((*PRINT, *argv), home).stdout == printed(argv)
    quiet = ("sh", "-c", "stty raw; printf '%s\\0' \"$@\"", "sh")
    assert in_terminal((*quiet, *argv), home).stdout == printed(argv)


@pytest.mark.parametrize("tty", [False, True])
def test_large_arguments_arrive_exactly(tmp_path, tty):
    argv = tuple(letter * 60_000 for letter in "abcdé")
    script = ("stty raw; " if tty else "") + 'printf "%s\\0" "$@"'
    run = (in_terminal if tty else piped)(("sh", "-c", script, "sh", *argv), tmp_path)

    assert run.stdout == printed(argv)
    assert run.seen.code == 0


@pytest.mark.parametrize("tty", [False, True])
def test_the_command_is_a_program_and_no_word_of_bash(tmp_path, tty):
    """`kill`, `test` and `exit` are bash's too: what counts is what is on PATH."""
    run = in_terminal if tty else piped

    assert run(("exit", "7"), tmp_path).seen.absent
    stand_in(tmp_path, "echo program; exit 9", "exit")
    done = run(("exit", "7"), tmp_path)
    assert (done.stdout.split(), done.seen.code) == ([b"program"], 9)


@pytest.mark.parametrize("cut", [1, 30, 500, -3, -2, -1])
def test_what_is_cut_off_is_not_run(tmp_path, cut):
    """A client that goes away while argv is sent must not shorten `rm -r /data/old` to `rm -r /data`."""
    argv = ("sh", "-c", 'echo ran > "$1"', "sh", str(tmp_path / "mark"), "more")
    sent = send_argv(argv, kubectl=False)
    done = subprocess.run(
        bash(argv), input=sent[:cut], env=environment(tmp_path), capture_output=True, check=False, timeout=10
    )
    out = Stdout(NONCE)
    out.feed(done.stdout)

    assert not (tmp_path / "mark").exists()
    assert (out.seen.ready, out.seen.pid, out.seen.code) == (True, None, None)
    assert done.returncode


def test_every_exit_code_is_the_commands(tmp_path):
    """In one wrapper each, a few at a time; the wrapper's own is always 0, since incus cuts the output at 126 and 127."""
    codes = range(0, 256, 1 if os.environ.get("DAP_LAB") else 15)
    for code in codes:
        run = piped(("sh", "-c", f"echo out; echo err >&2; exit {code}"), tmp_path)
        assert (run.seen.code, run.stdout, run.stderr, run.code) == (code, b"out\n", b"err\n", 0)
        assert run.seen.complete


@pytest.mark.parametrize("code", [0, 1, 126, 127, 255])
def test_exit_codes_in_a_terminal(tmp_path, code):
    run = in_terminal(("sh", "-c", f"echo out; echo err >&2; exit {code}"), tmp_path)

    assert (run.seen.code, run.stdout, run.code) == (code, b"out\r\nerr\r\n", 0)
    assert (run.seen.complete, run.seen.words) == (True, b"")


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV]
)
def test_a_signal_is_128_and_its_number(tmp_path, tty, number):
    run = (in_terminal if tty else piped)(("sh", "-c", f"kill -{number} $$"), tmp_path)

    assert (run.seen.code, run.seen.complete, run.code) == (128 + number, True, 0)
    assert run.stdout == run.stderr == b""  # bash has something to say about it: not here


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("kubectl", [False, True])
def test_an_absent_program(tmp_path, tty, kubectl):
    run = (in_terminal if tty else piped)(("no-such-program", "x"), tmp_path, kubectl=kubectl)

    assert (run.seen.absent, run.seen.code, run.seen.complete, run.code) == (True, 127, True, 0)
    assert run.stdout == run.stderr == b""


@pytest.mark.parametrize("argv", [again(("no-such-program",)), ("sh", "-c", "exit 3")])
def test_the_term_that_answers_the_end_is_never_too_early(tmp_path, argv):
    """Eight at a time, so that the wrapper is often interrupted between its end mark and its own end."""
    with ThreadPoolExecutor(8) as threads:
        codes = [run.code for run in threads.map(lambda _: piped(argv, tmp_path), range(40))]

    assert set(codes) == {0}


@pytest.mark.parametrize("tty", [False, True])
def test_a_file_that_is_no_program(tmp_path, tty):
    run = (in_terminal if tty else piped)((str(tmp_path), "x"), tmp_path)

    assert run.seen.absent or run.seen.code == 126
    assert run.seen.complete


def test_input_follows_argv_at_once(tmp_path):
    data = os.urandom(300_000)
    run = piped(("cat",), tmp_path, data)

    assert run.stdout == data


def test_binary_output_passes_untouched(tmp_path):
    data = bytes(range(256)) * 500 + RS[:-1]
    file = tmp_path / "data"
    file.write_bytes(data)

    assert piped(("sh", "-c", f"cat {file}; cat {file} >&2"), tmp_path).stderr == data
    assert in_terminal(("sh", "-c", f"stty raw; cat {file}"), tmp_path).stdout == data


def test_keys_sent_at_once_wait_for_kubectl_and_mean_nothing_before(tmp_path):
    keys = b"\x03\x1a\x04\x1c\r\n\x16\x11\x13\x7f"
    stand_in(tmp_path, f"head -c {len(keys)}")
    run = in_terminal(("kubectl", "x"), tmp_path, keys, kubectl=True)

    assert run.stdout == keys


def stand_in(home, script: str, name: str = "kubectl") -> None:
    """A program that only this login shell has on its PATH."""
    (home / "bin").mkdir()
    (home / ".bash_profile").write_text('PATH="$HOME/bin:$PATH"\n')
    program = home / "bin" / name
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)


def test_kubectl_in_a_terminal_has_its_words_apart(tmp_path):
    stand_in(
        tmp_path,
        "[ -t 0 ] && [ -t 1 ] && ! [ -t 2 ] && echo terminal; printf 'command terminated with exit code 3\\n' >&2; exit 3",
    )
    run = in_terminal(("kubectl", "exec"), tmp_path, kubectl=True)

    assert (run.stdout, run.seen.code) == (b"terminal\n", 3)
    assert run.seen.words.strip() == b"command terminated with exit code 3"


def test_long_words_are_kept_from_their_end(tmp_path):
    stand_in(tmp_path, "head -c 100000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1")
    run = in_terminal(("kubectl", "exec"), tmp_path, kubectl=True)

    assert len(run.seen.words) < 4100
    assert run.seen.words.rstrip().endswith(b"xlast")


def test_kubectl_through_pipes_is_a_command_like_any(tmp_path):
    stand_in(
        tmp_path,
        'printf "%s|" "$@"; cat; printf err >&2; echo "command terminated with exit code 5" >&2; exit 5',
    )
    run = piped(("kubectl", "exec", "-i", "p", "--", "a b"), tmp_path, b"input", kubectl=True)

    assert run.stdout == b"exec|-i|p|--|a b|input"
    assert run.stderr == b"errcommand terminated with exit code 5\n"
    assert run.seen.code == 5


INNER = "echo $$; sleep 0.3; exit 3"
WRAPPERS = {
    "runs it": ('inner "$@"; exit $?', 1),
    "runs it twice removed": ('x=$(sleep 0.1); bash -c \'inner "$@"; exit $?\' bash "$@"; exit $?', 2),
    "becomes it": ('exec inner "$@"', 0),
}


@pytest.mark.parametrize("how", WRAPPERS)
def test_a_kubectl_that_is_a_script_has_the_process_below_it_told(tmp_path, how):
    script, depth = WRAPPERS[how]
    stand_in(tmp_path, script)
    inner = tmp_path / "bin" / "inner"
    inner.write_text(f"#!/bin/sh\n{INNER}\n")
    inner.chmod(0o755)
    run = piped(("kubectl", "exec", "p"), tmp_path, kubectl=True)

    kubectl = int(run.stdout)
    assert run.seen.code == 3
    assert (kubectl in run.seen.below) == (depth > 0)
    assert depth or kubectl == run.seen.pid
    assert piped(("kubectl", "exec", "p"), tmp_path).seen.below == ()


def test_kubectl_that_is_killed_in_a_terminal_leaves_no_word_of_bash(tmp_path):
    stand_in(tmp_path, "kill -KILL $$")
    run = in_terminal(("kubectl",), tmp_path, kubectl=True)

    assert (run.stdout, run.seen.words.strip(), run.seen.code) == (b"", b"", 137)


PROFILES = {
    "set": "set -eu",
    "no line end": "printf 'welcome'; printf 'err' >&2",
    "escapes": r"printf '\033[2J\033]0;title\007\036\036%s'; printf '\036' >&2",
    "ifs": "IFS=0123456789; export IFS",
    "options": "set -f; set -C; shopt -s nullglob failglob extglob; set -o pipefail; umask 077",
    "prompt": "PS1='> '; PROMPT_COMMAND='echo x'; PS4=; trap 'echo bye' EXIT",
    "functions": "a() { echo a; }; h=1; m=2; r=3; t=4; e=5; k=6; s=7; a=(x y z)",
    "many lines": "for i in $(seq 2000); do echo line $i; echo line $i >&2; done",
}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("tty", [False, True])
def test_the_talk_of_a_profile_is_not_the_commands(tmp_path, profile, tty):
    (tmp_path / ".bash_profile").write_text(profile + "\n")
    script = "echo out; exit 4"
    run = (in_terminal if tty else piped)(("sh", "-c", script), tmp_path)

    assert (run.stdout, run.stderr, run.seen.code) == (b"out\r\n" if tty else b"out\n", b"", 4)
    assert run.seen.complete
    assert run.code == 0
    assert (b"welcome" in run.talk) == ("welcome" in profile)


def test_a_profile_that_exits_is_the_diagnosis(tmp_path):
    (tmp_path / ".bash_profile").write_text("echo no entry; exit 5\n")
    run = piped(("true",), tmp_path)

    assert (run.seen, run.code, run.talk) == (Parsed(), 5, b"no entry\n")


@pytest.fixture
def group(tmp_path):
    """A wrapper through pipes, whose command has said `ready`."""
    started = []

    def start(script: str) -> tuple[subprocess.Popen, bytes]:
        argv = ("sh", "-c", script)
        process = subprocess.Popen(
            bash(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(tmp_path), start_new_session=True,
        )  # fmt: skip
        started.append(process)
        process.stdin.write(send_argv(argv, kubectl=False))
        process.stdin.flush()
        seen = b""
        while b"go\n" not in seen:
            seen += os.read(process.stdout.fileno(), 4096)
        return process, seen

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def code_of(seen: bytes) -> int | None:
    stdout = Stdout(NONCE)
    stdout.feed(seen)
    return stdout.seen.code


def test_term_ends_the_commands_group(group):
    process, seen = group("sleep 1000 & echo $!; echo go; wait")
    child = int(seen.split()[-2])
    process.terminate()
    rest = process.communicate(timeout=10)[0]

    assert gone(child)
    assert code_of(seen + rest) == 128 + signal.SIGTERM
    assert process.returncode == 0


def test_term_lets_the_command_end_by_itself(group):
    process, seen = group("trap 'echo bye; exit 6' TERM; echo go; while :; do sleep 0.02; done")
    process.terminate()
    rest = process.communicate(timeout=10)[0]

    assert b"bye\n" in rest
    assert code_of(seen + rest) == 6


def test_a_second_term_kills(group):
    process, seen = group("trap '' TERM; sh -c 'echo $$; exec sleep 1000' & echo go; wait; sleep 1000")
    process.terminate()
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    rest = process.communicate(timeout=10)[0]

    assert code_of(seen + rest) == 128 + signal.SIGKILL
    pids = [int(word) for word in (seen + rest).split() if word.isdigit() and word != b"77"]
    assert all(gone(pid) for pid in pids if pid != process.pid)


def test_a_command_that_is_stopped_costs_nothing_and_goes_on(group):
    process, seen = group("echo go; kill -STOP $$; exit 7")
    time.sleep(0.3)
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        ticks = sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13])
    os.kill(int(seen.split(b" start ")[1].split()[0]), signal.SIGCONT)
    rest = process.communicate(timeout=10)[0]

    assert code_of(seen + rest) == 7
    assert ticks < 10  # of 10 ms


def test_a_hangup_of_a_terminal_ends_all_of_it(tmp_path):
    """The terminal is closed: kubectl gets the hangup from the kernel."""
    stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; echo go; exec sleep 1000")
    master, slave = os.openpty()
    script = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    argv = ("kubectl", "exec")
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", script, *bash(argv, tty=True)],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment(tmp_path),
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while b"ready\n" not in seen:
        seen += os.read(master, 4096)
    os.write(master, send_argv(argv, kubectl=True))
    while b"go\n" not in seen:
        seen += os.read(master, 4096)
    os.close(master)

    assert gone(int((tmp_path / "pid").read_text()))
    process.wait(timeout=10)
