"""What the command wrote to stderr, and what kubectl did: from one pipe, in any pieces."""

import asyncio
import itertools
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.repeated import examples

from gateway.backends.kube.kubectl_stderr import LIMIT, KubectlStderrFilter

PID = 4242
KLOG = b'E0728 12:00:00.123456   %d memcache.go:265] "Unhandled Error" err="error: no route"\n'
LINE = b"command terminated with exit code %d\n"
_PIECES = [
    b"", b"\n", b"err", b"prompt: ", b"error: ", b"error: mine\n", b"e", b"com", b"command t", b"command terminated",
    LINE % 3, LINE % 1, LINE % 255, LINE % 3221225786, LINE[:-4], b'Error from server (NotFound): pods "p" not found\n',
    b"Error from server: no", b"The connection to the server x was refused\n", b"Unable to connect to the server: x\n",
    b"error: error reading from error stream: next reader: websocket: close 1006\n", KLOG % PID, KLOG % 777,
    b"E0728 12:00:00.123456    4242 a.go:1] x", b"E07", b"W", b"I0101 00:00:00.0 4242 not klog\n", b"\xff\x00\x1e",
]  # fmt: skip
texts = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=6), max_size=8).map(b"".join)
codes = st.sampled_from([0, 1, 3, 126, 137, 255])


def parted(pieces: list[bytes], code: int, pid: int | None = PID) -> tuple[bytes, bytes]:
    words = KubectlStderrFilter()
    words.know([pid] if pid else [])
    out = b"".join(words.feed(piece) for piece in pieces)
    held, said = words.end(code)
    return out + held, said


def without_klog(text: bytes) -> bytes:
    klog = rb"[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+ +4242 [\w./-]+\.go:\d+\] [^\n]*(\n|\Z)"
    return re.sub(rb"(?m)^" + klog, b"", text)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@examples(400)
@given(texts, codes, st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([PID, None]))
@example(LINE % 1 + KLOG % PID, 1, [37], PID)
def test_any_pieces_give_the_same_and_nothing_is_lost(text, code, places, pid):
    out, said = parted([text], code, pid)

    assert out + said == (without_klog(text) if pid else text)
    assert parted(cut(text, places), code, pid) == (out, said)
    assert parted([text[i : i + 1] for i in range(len(text))], code, pid) == (out, said)


@examples(300)
@given(texts, codes, st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=8))
def test_what_is_released_is_not_lost_either(text, code, places):
    """Without klog: a line whose beginning was released stays."""
    text = text.replace(b"4242", b"4243")
    words, out, at = KubectlStderrFilter(), b"", 0
    words.know([PID])
    for place, release in sorted((place % (len(text) + 1), release) for place, release in places):
        out += words.feed(text[at:place])
        at = place
        if release and words.waiting:
            out += words.release()
            assert not words.waiting
    out += words.feed(text[at:])
    held, said = words.end(code)

    assert (out + held + said).startswith(text)
    assert out + held == text or out + held + said in (text, text + said)


@examples(200)
@given(
    texts,
    st.integers(1, 255) | st.sampled_from([256, 259, 3221225786]),
    st.lists(st.integers(0, 10_000), max_size=5),
)
def test_the_last_line_is_kubectls_whatever_stands_before(text, code, places):
    assume(without_klog(text + b"x").endswith(b"x"))  # klog ends its lines
    out, said = parted(cut(text + LINE % code, places), code % 256)

    assert said == LINE % code
    assert without_klog(text) == out or without_klog(text + LINE % code) == out + said


@pytest.mark.parametrize("code", [1, 3, 126, 255])
def test_the_exit_line_with_another_code_is_the_commands(code):
    assert parted([LINE % 7], code) == (LINE % 7, b"")


def test_with_exit_code_0_all_is_the_commands():
    for text in (LINE % 0, b"error: x\n", b"Error from server: x\n"):
        assert parted([text], 0) == (text, b"")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (b"", b'Error from server (NotFound): pods "p" not found\n'),
        (b"", b"error: container c is not valid for pod p out of: a, b\n"),
        (b"unfinished", b'error: error stream protocol error: invalid exit code value "3221225786"\n'),
        (b"unfinished", b"error: error reading from error stream: next reader: unexpected EOF\n"),
        (b"error: mine\n", b"error: Internal error occurred: boom\n"),
        (b"error: mine ", b"error: unable to upgrade connection: x\n"),
        (b"The end\n", b"Unable to connect to the server: dial tcp: lookup x: no such host\n"),
        (b"x\n", b"The connection to the server h:1 was refused - did you specify the right host or port?\n"),
    ],
)
def test_kubectls_own_failures_are_its_words(before, said):
    assert parted([before + said], 1) == (before, said)
    assert parted([before, said], 1) == (before, said)


def test_two_exit_lines_are_one_of_each():
    """The first is a program's own text, with something behind it."""
    assert parted([LINE % 3 + LINE % 3], 3) == (LINE % 3, LINE % 3)
    assert parted([LINE % 3 + b"more" + LINE % 3], 3) == (LINE % 3 + b"more", LINE % 3)


def test_a_prompt_is_held_and_released():
    words = KubectlStderrFilter()
    assert words.feed(b"Password for e") == b"Password for "
    assert words.waiting
    assert words.release() == b"e"
    assert not words.waiting
    assert words.end(3) == (b"", b"")


def test_the_exit_line_is_not_released_by_time():
    """The trailer behind it may be late where the machine is busy."""
    words = KubectlStderrFilter()
    assert words.feed(b"error: mine\n" + LINE % 3) == b""
    assert words.waiting
    assert words.release() == b"error: mine\n"
    assert not words.waiting
    assert words.end(3) == (b"", LINE % 3)


def test_nor_is_its_beginning():
    for count in range(len(b"command t"), len(LINE % 3) + 1):
        words = KubectlStderrFilter()
        assert words.feed((LINE % 3)[:count]) == b"", count
        assert not words.waiting, count
        assert words.feed((LINE % 3)[count:]) == b"", count
        assert words.end(3) == (b"", LINE % 3), count


def test_text_behind_an_exit_line_lets_it_go():
    words = KubectlStderrFilter()
    assert words.feed(LINE % 3) == b""
    assert words.feed(b"x") == LINE % 3 + b"x"


def test_words_that_were_released_still_explain_the_end():
    words = KubectlStderrFilter()
    said = b'Error from server (NotFound): pods "p" not found\n'
    assert words.feed(said) == b""
    assert words.release() == said
    assert words.end(1) == (b"", said)


def test_words_that_hardly_a_command_has_are_held_for_longer():
    """On a busy machine kubectl takes more than the time of a prompt from its last word to its end."""
    sure, prompt = KubectlStderrFilter(), KubectlStderrFilter()
    sure.feed(b"error: error reading from error stream: next reader: websocket: close 1006\n")
    prompt.feed(b"error: more? ")
    assert sure.hold > prompt.hold


async def test_they_are_let_go_though_other_output_never_pauses(monkeypatch):
    monkeypatch.setattr("gateway.backends.kube.kubectl_stderr.LONGEST", 0.3)
    words = KubectlStderrFilter()
    assert words.feed(b"error: disk full\n") == b""

    async def read():
        await asyncio.sleep(0.001)
        return [(1, b"x")]

    async with asyncio.timeout(10):
        while await words.awaited(read):
            pass
    assert words.release() == b"error: disk full\n"
    assert await words.awaited(read) == [(1, b"x")]


def test_but_not_when_more_came():
    words = KubectlStderrFilter()
    words.feed(b"error: x\n")
    words.release()
    assert words.feed(b"output\n") == b"output\n"
    assert words.end(1) == (b"", b"")


def test_klog_lines_of_kubectl_are_not_shown_and_of_others_are():
    own, other = KLOG % PID, KLOG % 777
    assert parted([b"a\n" + own + own + b"b\n" + other], 0) == (b"a\nb\n" + other, b"")
    assert parted([own + b"error: error reading from error stream: x\n"], 1)[0] == b""
    assert parted([own], 0, pid=None) == (own, b"")


def test_a_klog_line_without_an_end_is_one_at_the_end():
    assert parted([b"a\n" + (KLOG % PID)[:-1]], 0) == (b"a\n", b"")


def test_what_is_held_has_a_limit():
    words = KubectlStderrFilter()
    text = b"error: " + b"x" * 3 * LIMIT
    out = words.feed(text)

    assert len(text) - len(out) <= LIMIT
    assert out + words.end(0)[0] == text
