"""What output leaves set on a terminal, and what undoes exactly that."""

import pytest

from gateway.client.screen_state import ScreenState


def after(*parts):
    state = ScreenState()
    for part in parts:
        state.take(part)
    return state.undoing


@pytest.mark.parametrize(
    ("text", "undoing"),
    [
        (b"plain\r\n", b""), (b"\x1b[31mred", b"\x1b[m"), (b"\x1b[31mred\x1b[0m", b""), (b"\x1b[31mred\x1b[m", b""),
        (b"\x1b[48;2;0;0;0m", b"\x1b[m"), (b"\x1b[38;5;0m", b"\x1b[m"), (b"\x1b[38;5;0;0m", b""), (b"\x1b[31;0m", b""),
        (b"\x1b[58;2;1;2;3;00m", b""), (b"\x1b[38m", b"\x1b[m"), (b"\x1b[1;31m", b"\x1b[m"), (b"\x1b[0;1m", b"\x1b[m"), (b"\x1b[38:2::1:2:3m", b"\x1b[m"),
        (b"\x0elines", b"\x0f"), (b"\x0elines\x0f", b""), (b"\x1b[?25l\x1b[7m", b"\x1b[?25h\x1b[m"),
        (b"\x1b[?1049h\x1b[3", b"\x18\x1b[?1049l"), (b"\x1b[31mmmm", b"\x1b[m"), (b"m", b""),
    ],
)  # fmt: skip
def test_it_is_undone_wherever_the_output_is_cut(text, undoing):
    assert after(text) == undoing
    for cut in range(len(text)):
        assert after(text[:cut], text[cut:]) == undoing


def test_a_colour_that_is_cut_and_far_from_the_end_counts():
    assert after(b"\x1b[3", b"1m" + b"x" * 5000) == b"\x1b[m"


def test_a_title_and_a_character_that_are_cut_are_ended():
    assert after(b"\x1b]0;half a ti") == b"\x18"
    assert after("é".encode()[:1]) == b"\x18"
