"""kubectl that gave up on a silent connection: because of its input, or not."""

import pytest

from gateway.backends.kube import kubectl
from gateway.backends.kube.stdin_stall import MUCH, StdinStallDetector
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target

SILENT = (
    b"error: error reading from error stream: next reader: read tcp 10.0.0.1:4->10.0.0.2:443: i/o timeout\n"
)
CUT = b"error: error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF\n"
POD = Target("default", "default", "web-0", "main")


def end(words: bytes = SILENT, code: int = 1) -> Outcome:
    return kubectl.explain(code, words, POD, Command(("cat",), stdin=True, stdout=True))


def fed(given: int, seconds: float) -> StdinStallDetector:
    now = 1000.0
    one = StdinStallDetector(lambda: now)
    one.more(bytes(given // 2))
    one.more(bytes(given - given // 2))
    now += seconds
    return one


@pytest.mark.parametrize("seconds", [0, 61, 66, 90])
def test_much_input_before_the_silence(seconds):
    outcome = fed(MUCH, seconds).explain(end())
    assert outcome.code == "stdin_stalled"
    assert f"{MUCH} bytes" in outcome.message
    assert outcome.exit_code is None


@pytest.mark.parametrize(("given", "seconds"), [(0, 0), (MUCH - 1, 61), (MUCH, 91), (10 * MUCH, 4000)])
def test_little_input_or_long_before(given, seconds):
    outcome = end()
    assert outcome.code == "cluster_lost"
    assert fed(given, seconds).explain(outcome) is outcome


def test_one_key_long_after_much_input():
    now = 1000.0
    one = StdinStallDetector(lambda: now)
    one.more(bytes(MUCH))
    now += 3600
    one.more(b"x")
    now += 61
    assert one.explain(end()).code == "cluster_lost"


@pytest.mark.parametrize(
    ("words", "code"), [(CUT, 1), (b"", 0), (b"command terminated with exit code 3\n", 3)]
)
def test_other_ends_stay_what_they_are(words, code):
    outcome = end(words, code)
    assert fed(10 * MUCH, 61).explain(outcome) is outcome
