"""What a relay does once a command has ended: always, whoever hears of it."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.leaks import alive, gone
from support.waiting import becomes

from gateway.relay import wire


@pytest.fixture
def link(shared_link):
    return shared_link


@pytest.fixture
def notes(tmp_path):
    """A file, a command that adds a line to it, and what stands in it."""
    return Notes(tmp_path / "notes")


class Notes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def adds(self, line: str, and_then: str = "") -> list[str]:
        return ["sh", "-c", f"echo {line} >>{self.path}; {and_then}"]

    def read(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []

    def have(self, *lines: str, seconds: float = 5.0) -> bool:
        return becomes(lambda: self.read() == list(lines), seconds)


def running(link, *argv, **more) -> int:
    number = link.open(*argv, **more)
    link.until(lambda: link.streams[number].started)
    return number


def told(link) -> dict:
    link.until(lambda: link.afters)
    return link.afters.pop(0)


def test_it_is_done_when_the_command_has_ended_by_itself(link, notes):
    after = [notes.adds("one", "echo out; echo words >&2"), notes.adds("two")]
    said = link.run("sh", "-c", "exit 3", after=after, after_tag="s-1")

    assert said.exit == {"code": 3, "after": True}
    assert told(link) == {
        "tag": "s-1",
        "results": [{"code": 0, "out": "out\n", "words": "words\n"}, {"code": 0, "out": "", "words": ""}],
    }
    assert notes.read() == ["one", "two"]


def test_the_end_does_not_wait_for_it(link, notes):
    began = time.monotonic()
    link.run("true", after=[["sh", "-c", f"sleep 0.5; echo late >>{notes.path}"]])

    assert not notes.read()
    told(link)
    assert notes.read() == ["late"]
    assert time.monotonic() - began >= 0.5


def test_only_if_it_was_ended(link, notes):
    said = link.run("sh", "-c", "exit 1", after=[notes.adds("itself")], after_if="ended")
    assert said.exit == {"code": 1}
    number = running(link, "sleep", "1000", after=[notes.adds("end")], after_if="ended", after_tag="e")
    link.say(wire.END, number)
    assert told(link)["tag"] == "e"
    link.run("sh", "-c", "kill -KILL $$", after=[notes.adds("signal")], after_if="ended", after_tag="s")
    assert told(link)["tag"] == "s"

    assert notes.read() == ["end", "signal"]


def test_it_is_done_when_the_link_is_lost(lasting, link, notes):
    """And what nobody has heard is said on the next link."""
    number = running(link, "sleep", "1000", after=[notes.adds("lost", "exec sleep 0.3")], after_tag="l")
    pid = link.streams[number].started["pid"]
    link.leave()

    assert gone(pid)
    assert notes.have("lost")
    time.sleep(0.6)
    second = lasting.link_at_hand()
    assert second.about["pid"] == link.about["pid"]
    assert told(second)["tag"] == "l"


def test_what_has_a_name_has_it_after_its_grace(far, notes):
    link = far.link()
    number = running(link, "sleep", "1000", name="s", grace=0.6, after=[notes.adds("over")])
    left = time.time()
    link.leave()

    assert notes.have("over")
    assert notes.path.stat().st_mtime - left > 0.5
    assert gone(link.streams[number].started["pid"])


def test_what_has_a_name_and_ends_by_itself_has_it_at_once(link, notes):
    number = link.open("true", name="s", after=[notes.adds("over")])
    told(link)

    assert notes.read() == ["over"]
    link.say(wire.END, number)


def test_nothing_comes_after_what_could_not_be_started(link, notes):
    assert link.run("no-such-program", after=[notes.adds("never")]).exit["errno"] == 2
    link.run("true", after=[notes.adds("second")])
    told(link)

    assert notes.read() == ["second"]


def test_what_fails_is_tried_again(lasting, link, notes):
    """The good one of two is not done twice. Nobody is told before the end."""
    once = f"test $(wc -l <{notes.path}) -gt 2"
    running(link, "sleep", "1000", after=[notes.adds("good"), notes.adds("bad", once)], after_tag="t")
    link.leave()
    assert notes.have("good", "bad", "bad", seconds=8)

    time.sleep(0.3)
    assert told(lasting.link_at_hand())["results"][1]["code"] == 0


def test_the_relay_stays_until_it_is_done(far, notes):
    link = far.link(idle=0.2)
    running(link, "sleep", "1000", after=[notes.adds("slow", "exec sleep 1.5")])
    link.leave()
    assert notes.have("slow")
    time.sleep(0.8)
    assert alive(link.about["pid"])

    assert far.gone()


def test_a_relay_that_is_told_to_end_does_it_first(far, notes):
    link = far.link()
    running(link, "sleep", "1000", after=[["sh", "-c", f"sleep 0.3; echo ended >>{notes.path}"]])
    os.kill(link.about["pid"], signal.SIGTERM)
    assert far.gone()

    assert notes.read() == ["ended"]


def test_many_at_once_have_their_turn(link, notes):
    numbers = [running(link, "sleep", "1000", after=[notes.adds("x", "exec sleep 0.05")]) for _ in range(30)]
    for number in numbers:
        link.say(wire.END, number)
    link.until(lambda: len(link.afters) == 30)

    assert notes.read() == ["x"] * 30


def test_too_much_output_ends_it(link, notes):
    """And counts as a failure: it is tried again."""
    flood = f"test -e {notes.path} && echo short && exit 0; echo first >{notes.path}; exec yes"
    link.run("true", after=[["sh", "-c", flood]])

    assert told(link)["results"] == [{"code": 0, "out": "short\n", "words": ""}]


@pytest.mark.parametrize(
    "more",
    [
        {"after": []},
        {"after": [["a"]] * 5},
        {"after": "true"},
        {"after": [[]]},
        {"after": [["a\0b"]]},
        {"after": [["true"]], "after_if": "never"},
        {"after": [["true"]], "after_tag": 1},
    ],
)
def test_what_cannot_be_ends_the_link(shared_link, more):
    shared_link.open("true", **more)
    shared_link.until(lambda: shared_link.closed)

    assert shared_link.bye.startswith("broken rule: a")
