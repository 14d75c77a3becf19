"""Defects of the relay's own, put into it: the session where one is ends by name, the others do not notice."""

import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from support.leaks import gone
from support.relayed import lasting_side
from support.waiting import becomes

from gateway.relay import wire
from gateway.relay.loop import Loop, OwnLoop

WORDS = "a defect of the relay: RuntimeError: boom"
BREAKS = """
def _break(owner, name, when):
    whole = getattr(owner, name)

    def broken(self, *arguments):
        if when(self, *arguments):
            raise RuntimeError("boom")
        return whole(self, *arguments)

    setattr(owner, name, broken)
"""
# The method that a command's environment names fails for this command.
MARKED = """
_run = Command.run
def _noted(self, request, *arguments):
    self.broken = self.input.broken = self.journal.broken = request.env.get("BREAK")
    _run(self, request, *arguments)
Command.run = _noted

def _break_where_named(owner, method):
    _break(owner, method, lambda self, *_: self.broken == owner.__name__ + "." + method)
"""
METHODS = ["Command._read", "Stdin.feed", "Command._exited", "Command._reported", "Command.resize", "Journal.append",
           "Journal.read"]  # fmt: skip


@pytest.fixture(scope="module")
def breaking(lasting):
    """Where a relay runs in which each of these methods fails for the commands that name it."""
    each = (name.split(".") for name in METHODS)
    text = "".join(f"_break_where_named({owner}, {method!r})\n" for owner, method in each)
    with lasting_side(lasting.python, {"command": f"{BREAKS}{MARKED}{text}"}) as side:
        yield side


@pytest.fixture
def breaking_link(breaking):
    yield breaking.link_at_hand()
    breaking.leave()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
def test_a_defect_ends_its_session_alone(breaking_link, name, tty):
    link = breaking_link
    terminal = {"tty": [80, 24]} if tty else {}
    healthy = link.open("sh", "-c", "read x; echo got $x", **terminal)
    link.until(lambda: link.streams[healthy].started)
    broken = link.open("sh", "-c", "echo hi; read x; exit 3", env={"BREAK": name}, **terminal)
    link.say(wire.RESIZE, broken, wire.encode_size(0, 100, 30)[7:])
    link.say(wire.STDIN, broken, b"\n")
    said = link.finish(broken)

    assert said.exit == {"error": WORDS} or (
        name == "Command.resize" and not tty and said.exit == {"code": 3}
    )
    if said.started:
        assert gone(said.started["pid"])
    link.say(wire.STDIN, healthy, b"x\n")
    assert b"got x" in link.finish(healthy).stdout
    assert link.run("echo", "hi").stdout == b"hi\n"


def test_a_disk_that_cannot_be_read_keeps_no_spool_of_what_it_ends(far):
    """And its owner's limit is free again."""
    broken = 'def _read(*_):\n    raise OSError(5, "Input/output error")\nSpool.read = _read\n'
    link = far.link(more={"spool": broken}, memory=1000, spools_per_owner=100_000)
    for _ in range(2):
        number = link.open("head", "-c", "90000", "/dev/zero", credit=0, owner="ann")
        link.until(lambda n=number: link.streams[n].started)
        assert becomes(lambda: spools(link) == 1)
        link.send(wire.encode_credit(number, 1 << 20))
        assert "a defect of the relay" in link.finish(number).exit["error"]
        assert becomes(lambda: spools(link) == 0)


def spools(link):
    """How many files without a name the relay has open in its directory."""
    found = 0
    for one in Path("/proc/{pid}/fd".format(**link.about)).iterdir():
        with suppress(FileNotFoundError):
            found += str(one.readlink()).startswith(link.about["directory"])
    return found


def test_a_defect_at_the_start_is_told(far):
    link = far.link(more={"command": f"{BREAKS}_break(Command, 'run', lambda *_: True)\n"})

    assert link.finish(link.open("true")).exit == {"error": WORDS}
    assert link.finish(link.open("true")).exit == {"error": WORDS}


def test_a_defect_of_a_connection_ends_it_alone(far):
    link = far.link(more={"dial": f"{BREAKS}_break(DialStream, '_settled', lambda *_: True)\n"})
    with_socket = link.ask(dial="unix:/dev/null")
    link.finish(with_socket)
    listener = socket.create_server(("127.0.0.1", 0))
    number = link.ask(dial=f"tcp:127.0.0.1:{listener.getsockname()[1]}")

    assert link.finish(number).exit == {"error": WORDS}
    assert link.run("echo", "hi").stdout == b"hi\n"
    listener.close()


@pytest.mark.parametrize("name", ["_read", "_fill", "_check_lease"])
def test_a_defect_of_the_link_ends_the_link_alone(far, name):
    """The daemon is there for the next one."""
    more = {"link": f"{BREAKS}_break(Link, {name!r}, lambda self, *_: self.streams)\n"}
    link = far.link(more=more, lease=2.0)
    link.open("sleep", "1000")
    while not link.closed:
        if not link.step(0.1):
            with suppress(BrokenPipeError):
                link.say(wire.PING, 0)

    assert link.bye == WORDS
    assert far.link_at_hand().about["pid"] == link.about["pid"]


def test_what_nobody_owns_comes_out_of_run():
    """And what somebody owns does not."""
    told = []
    loop = Loop()
    own = OwnLoop(loop, told.append)
    own.later(0.0, lambda: 1 / 0)
    loop.later(0.01, [].pop)

    before = signal.getsignal(signal.SIGCHLD)
    with pytest.raises(IndexError):
        loop.run()
    signal.signal(signal.SIGCHLD, before)
    assert [type(one) for one in told] == [ZeroDivisionError]
