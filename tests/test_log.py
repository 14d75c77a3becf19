"""The log: one form for everybody's lines, and nothing from outside that could act."""

import contextlib
import io
import json
import logging

import pytest
import structlog
from support.dap import log_as_before

from gateway import log

NASTY = '\x1b]0;title\x07\x1b[2J\r\n{"event":"forged"}\x9b31m\u2028\u202e\ud800\x00\x7f'


@pytest.fixture(params=["json", "console"])
def said(request):
    """What was written so far, as `request.param` has it."""
    text = io.StringIO()
    with log_as_before():
        with contextlib.redirect_stderr(text):
            log.setup(request.param)
        yield text.getvalue


def test_no_credential_is_written(said):
    url = "http://ann:s3cret?@proxy:1/x?y=s3cret"
    structlog.get_logger("gateway.x").info("event", message=f"no {url}, Bearer s3cret", long="x" * 2030 + url)
    logging.getLogger("aiohttp.server").warning("no %s", url)
    try:
        int(url)
    except ValueError:
        structlog.get_logger("gateway.x").exception("defect")

    assert "http://****@proxy:1/x" in said()
    assert "s3cret" not in said().replace('url = "http://ann:s3cret', "")
    assert "ann" not in said()


def test_what_comes_from_outside_cannot_act(said):
    """Field S5, S10: one line each, and no control character in it."""
    structlog.get_logger("gateway.x").info("event", target=NASTY, number=3)
    structlog.get_logger("gateway.x").info(NASTY)
    logging.getLogger("aiohttp.server").warning("library: %s", NASTY)

    lines = said().splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.isprintable()
        assert "\\x1b]0;title\\x07" in line.replace("\\\\", "\\")


def test_the_arguments_of_a_command_are_not_in_it(said):
    """In what kubectl says of a URL that it could not reach are all of them."""
    where = "https://node:10250/exec/ns/p/c"
    words = f'error sending request: Post "{where}?command=mysql&command=-pSECRET&tty=true": dial tcp: no'
    structlog.get_logger("gateway.x").info("session_closed", message=words)
    structlog.get_logger("gateway.x").info("session_closed", message=f"Get {where}?command=SECRET&x: no")

    assert said().count(where) == 2
    assert said().count(" no") == 2
    assert "SECRET" not in said()


def fail():
    raise ValueError(NASTY)


def test_a_traceback_keeps_its_lines_and_nothing_else(said):
    try:
        fail()
    except ValueError:
        structlog.get_logger("gateway.x").exception("defect")
    try:
        fail()
    except ValueError:
        logging.getLogger("aiohttp.server").exception("defect")

    text = said()
    assert text.count("Traceback (most recent call last)") == 2
    assert all(line.isprintable() for line in text.splitlines())


def test_long_values_are_cut(said):
    structlog.get_logger("gateway.x").info("event", value="x" * 100_000)

    assert len(said()) < 5000


@pytest.mark.parametrize("said", ["json"], indirect=True)
def test_json_is_one_object_a_line(said):
    structlog.get_logger("gateway.x").warning("one", a=1, b=None, c=["x"], d="é\n")
    logging.getLogger("asyncssh").error("two %d", 2)
    logging.getLogger("asyncssh").warning("not said")
    logging.getLogger("aiohttp").info("not said")
    structlog.get_logger("gateway.x").debug("not said")

    first, second = [json.loads(line) for line in said().splitlines()]
    assert {key: first[key] for key in ("event", "level", "a", "b", "c", "d")} == {
        "event": "one", "level": "warning", "a": 1, "b": None, "c": ["x"], "d": "é\\n",
    }  # fmt: skip
    assert (second["event"], second["level"], second["logger"]) == ("two 2", "error", "asyncssh")
    assert first["timestamp"].endswith("Z")


class Broken(io.StringIO):
    """A pipe that nobody reads, or a full disk."""

    def write(self, _):
        raise BrokenPipeError


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(said):
    with contextlib.redirect_stderr(Broken()):
        log.setup("json")
    structlog.get_logger("gateway.x").info("event")
    try:
        fail()
    except ValueError:
        structlog.get_logger("gateway.x").exception("defect")

    assert said() == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 字", "plain é 字"),
        ("a\nb\t", "a\\nb\\t"),
        ("\x1b\x9b", "\\x1b\\x9b"),
        ("\ud800", "\\ud800"),
        ("\u202e", "\\u202e"),
    ],
)
def test_printable(text, shown):
    assert log.printable(text) == shown
    assert log.printable(shown) == shown
