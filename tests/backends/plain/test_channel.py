"""The channel of the plain chain over a scripted process: what its marks and its end make of a session."""

import asyncio

import pytest
from support.virtual_time import now, run

from gateway.backends.kube.kubectl_stderr import HOLD
from gateway.backends.plain.channel import PlainChannel
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target, TerminalSize

RS = b"\x1eNONCE"
POD, RUNNER = Target("default", "ns", "p"), Target("default")
START = [(1, RS + b" start 42\n"), (2, RS + b"\n")]
LINE = b"command terminated with exit code 3\n"


class Process:
    """What it says: a list of chunks is read at once, a number is a pause; then it is closed."""

    def __init__(self, *says, code=0, lost=False):
        self.says = [[(2, b"motd\n"), (1, b"motd\n" + RS + b" ready\n")], *says]
        self.exit_code = code
        self.lost = lost
        self.written: list[bytes] = []
        self.calls: list[object] = []

    async def read(self):
        while self.says and isinstance(self.says[0], float):
            pause, self.says[0] = self.says[0], 0.0
            began = now()
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                self.says[0] = pause - (now() - began)
                raise
            self.says.pop(0)
        return self.says.pop(0) if self.says else []

    async def write(self, data):
        self.written.append(data)

    def write_eof(self):
        self.calls.append("eof")

    def resize(self, size):
        self.calls.append(size)

    def failure(self):
        return HopFailed("ssh_lost", "cut")


def played(process, target=POD, *, tty=False, argv=("ls",)):
    """Outcome, and (seconds, stream, bytes) of all output."""

    async def story():
        command = Command(argv, "exec" if target.pod else "run", stdout=True, stderr=True, tty=tty)
        channel = PlainChannel(process, "NONCE", target, command)
        await channel.start(("kubectl", "x"))
        found = [(round(now(), 3), int(stream), data) async for stream, data in channel.output()]
        assert channel.ended
        process.says.append("late")
        await channel.write(b"late")
        assert b"late" not in process.written
        return await channel.wait(), found

    return run(story())


def end(code, words=b""):
    return [(1, RS + b" exit %d\n" % code + words + RS + b"\n"), (2, RS + b"\n")]


def test_output_and_exit_code():
    outcome, found = played(Process(START, [(1, b"out"), (2, b"err")], [(2, LINE)], end(3)))

    assert outcome.exit_code == 3
    assert found == [(0, 1, b"out"), (0, 2, b"err")]


def test_in_a_terminal_the_words_come_behind():
    outcome, found = played(
        Process(START[:1], [(1, b"out")], [(1, RS + b" exit 3\n" + LINE + RS + b"\n")]), tty=True
    )

    assert (outcome.exit_code, found) == (3, [(0, 1, b"out")])


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(("target", "code"), [(POD, "kubectl_missing"), (RUNNER, "start_failed")])
def test_a_program_that_is_absent(tty, target, code):
    said = [(1, RS + b" absent\n"), *([] if tty else [(2, RS + b"\n")])]
    outcome, found = played(Process(said, end(127)[: 1 if tty else 2]), target, tty=tty)

    assert (outcome.code, found) == (code, [])


def test_a_prompt_is_held_for_a_moment_only():
    outcome, found = played(Process(START, [(2, b"Name: e")], 5.0, [(2, b"rror: no\n")], end(0)))

    assert found == [(0, 2, b"Name: "), (HOLD, 2, b"e"), (5.0, 2, b"rror: no\n")]
    assert outcome.exit_code == 0


def test_kubectls_own_failure_is_no_output():
    said = b'Error from server (NotFound): pods "p" not found\n'
    outcome, found = played(Process(START, [(2, said)], HOLD / 2, end(1)))

    assert (outcome.code, found) == ("pod_not_found", [])


def test_where_the_end_is_late_it_still_explains():
    said = b'Error from server (NotFound): pods "p" not found\n'
    outcome, found = played(Process(START, [(2, said)], 2.0, end(1)))

    ((held, *rest),) = found
    assert (outcome.code, rest) == ("pod_not_found", [2, said])
    assert HOLD < held < 2.0


def test_klog_lines_of_kubectl_are_no_output():
    klog = b"E0728 12:00:00.123456   42 v3.go:1] websocket: close sent\n"
    outcome, found = played(Process(START, [(2, b"a\n" + klog[:20])], HOLD / 2, [(2, klog[20:])], end(0)))

    assert b"".join(data for *_, data in found) == b"a\n"
    assert outcome.exit_code == 0


def test_a_link_that_ends_loses_no_output():
    outcome, found = played(Process(START, [(1, b"out\x1eNON"), (2, b"err: comm")], code=137))

    assert outcome.code == "incus_lost"
    assert b"".join(data for _, stream, data in found if stream == 1) == b"out\x1eNON"
    assert b"".join(data for _, stream, data in found if stream == 2) == b"err: comm"


CUT = b"Error: websocket: close 1006 (abnormal closure): unexpected EOF\n"


@pytest.mark.parametrize("tty", [False, True])
def test_what_incus_says_when_it_is_cut_is_no_output(tty):
    outcome, found = played(
        Process(START[: 1 if tty else 2], [(1 if tty else 2, b"a\n" + CUT)], code=1), tty=tty
    )

    assert outcome.code == "incus_lost"
    assert b"".join(data for *_, data in found) == b"a\n"


@pytest.mark.parametrize("tty", [False, True])
def test_a_command_may_say_the_same(tty):
    kind = 1 if tty else 2
    says = [[(kind, CUT[:-1])], [(kind, b"\n" + CUT)], end(0)[: 1 if tty else 2]]
    outcome, found = played(Process(START[: 1 if tty else 2], *says), tty=tty)

    assert outcome.exit_code == 0
    assert b"".join(data for *_, data in found) == CUT + CUT


def test_a_connection_that_is_lost():
    outcome, found = played(Process(START, [(1, b"out")], lost=True, code=None))

    assert (outcome.code, found) == ("ssh_lost", [(0, 1, b"out")])


def test_an_end_without_a_trailer_on_stderr_has_its_code():
    outcome, _ = played(Process(START, [(1, RS + b" exit 0\n" + RS + b"\n")]))

    assert outcome.exit_code == 0


@pytest.mark.parametrize(("lost", "code"), [(True, "ssh_lost"), (False, "incus_stopped")])
def test_no_wrapper(lost, code):
    process = Process(lost=lost, code=1)
    process.says = [[(2, b"Error: Instance is not running\n")]]
    with pytest.raises(HopFailed) as failed:
        played(process)
    assert failed.value.code == code


def test_input_and_size_are_for_where_they_have_a_meaning():
    async def story(*, tty):
        process = Process(START)
        channel = PlainChannel(process, "NONCE", POD, Command(("ls",), stdin=True, tty=tty))
        await channel.start(("kubectl",))
        channel.write_eof()
        channel.resize(TerminalSize(80, 24))
        return process.calls

    assert run(story(tty=True)) == [TerminalSize(80, 24)]
    assert run(story(tty=False)) == ["eof"]
