"""Defects of the relay's own, put into it: the session where one is ends by name, the others do not notice."""

import signal
import socket
from contextlib import suppress

import pytest
from support.leaks import gone

from gateway.relay import wire
from gateway.relay.loop import Loop, OwnLoop

WORDS = "a defect of the relay: RuntimeError: boom"
# Each breaks the sessions whose argv says so, or that come later than one that did.
BREAKS = """
def _break(owner, name, when):
    whole = getattr(owner, name)

    def broken(self, *arguments):
        if when(self, *arguments):
            raise RuntimeError("boom")
        return whole(self, *arguments)

    setattr(owner, name, broken)
"""
MARKED = """
def _marked(self, *_):
    return self.env_of_test

_run = Command.run
def _noted(self, request, *arguments):
    self.env_of_test = "BREAK" in request.env
    self.input.env_of_test = self.journal.env_of_test = self.env_of_test
    _run(self, request, *arguments)
Command.run = _noted
"""


def breaking(name):
    """What is added to command.py so that this method of a marked command fails."""
    owner, _, method = name.rpartition(".")
    return {"command": f"{BREAKS}{MARKED}_break({owner}, {method!r}, _marked)\n"}


@pytest.mark.parametrize(
    "name",
    ["Command._read", "Stdin.feed", "Command._exited", "Command._reported", "Command.resize", "Journal.append",
     "Journal.read"],
)  # fmt: skip
@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
def test_a_defect_ends_its_session_alone(far, name, tty):
    link = far.link(more=breaking(name))
    terminal = {"tty": [80, 24]} if tty else {}
    healthy = link.open("sh", "-c", "read x; echo got $x", **terminal)
    link.until(lambda: link.streams[healthy].started)
    broken = link.open("sh", "-c", "echo hi; read x; exit 3", env={"BREAK": "1"}, **terminal)
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
        link.step(0.1)
        with suppress(BrokenPipeError):
            link.say(wire.PING, 0)

    assert link.bye == WORDS
    assert far.link().about["pid"] == link.about["pid"]


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
