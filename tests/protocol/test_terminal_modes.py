"""Which modes a program has set, what undoes them, and what sets them elsewhere."""

import random

import pytest

from gateway.protocol.terminal_modes import ModeHistory, TerminalModes

ONE_BY_ONE = [
    (b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?47h", b"\x1b[?47l"), (b"\x1b[?1h", b"\x1b[?1l"),
    (b"\x1b=", b"\x1b>"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?7l", b"\x1b[?7h"),
    (b"\x1b[?2004h", b"\x1b[?2004l"), (b"\x1b[?1000h", b"\x1b[?1000l"), (b"\x1b[?1004h", b"\x1b[?1004l"),
    (b"\x1b[4h", b"\x1b[4l"), (b"\x1b[>4;2m", b"\x1b[>4m"), (b"\x1b[4 q", b"\x1b[0 q"),
    (b"\x1b(0", b"\x1b(B"), (b"\x1b[2;20r", b"\x1b7\x1b[r\x1b8"), (b"\x1b[1;10r", b"\x1b7\x1b[r\x1b8"),
    (b"\x1b[10r", b"\x1b7\x1b[r\x1b8"), (b"\x1b[>1u", b"\x1b[<1u"),
]  # fmt: skip


def followed(*parts):
    modes = TerminalModes()
    for part in parts:
        modes.take(part)
    return modes


def test_what_is_set_is_undone_wherever_the_output_is_cut():
    for setting, undoing in ONE_BY_ONE:
        text = b"text " + setting + b" more\r\n"

        for cut in range(len(text) + 1):
            assert followed(text[:cut], text[cut:]).undoing == undoing, setting
        assert followed(*(bytes([byte]) for byte in text)).undoing == undoing, setting


def test_what_the_program_has_undone_itself_is_left_alone():
    for setting, undoing in ONE_BY_ONE:
        assert followed(setting + b"screen" + undoing).undoing == b"", setting
        assert followed(undoing).undoing == b"", undoing


def test_what_sets_the_modes_sets_the_same_ones():
    for setting, undoing in ONE_BY_ONE:
        modes = followed(b"\x1b[?1006h" + setting)

        assert followed(modes.setting).undoing == modes.undoing, setting
        assert undoing in modes.undoing, setting


def test_several_in_one_sequence_and_three_ways_to_one_screen():
    modes = followed(b"\x1b[?1000;1006;2004h\x1b[?1049h")

    assert modes.undoing == b"\x1b[?1049l\x1b[?1000l\x1b[?1006l\x1b[?2004l"
    assert followed(b"\x1b[?1049h\x1b[?47l").undoing == b""


def test_a_mode_is_one_however_many_zeros_are_before_its_number():
    zeros = b"".join(b"\x1b[?%s1h\x1b[?%s1049h" % (b"0" * count, b"0" * count) for count in range(96))
    modes = followed(zeros)

    assert modes.setting == b"\x1b[?1h\x1b[?1049h"
    modes.take(b"\x1b[?001l\x1b[?047l")
    assert (modes.setting, modes.undoing) == (b"", b"")


def test_keyboards_are_popped_as_often_as_they_were_pushed_and_before_the_screen_is_left():
    modes = followed(b"\x1b[?1049h\x1b[>1u\x1b[>5u")

    assert modes.undoing == b"\x1b[<2u\x1b[?1049l"
    modes.take(b"\x1b[<u")
    assert modes.undoing == b"\x1b[<1u\x1b[?1049l"
    modes.take(b"\x1b[<9u")
    assert modes.undoing == b"\x1b[?1049l"


def test_resets():
    everything = b"".join(setting for setting, _ in ONE_BY_ONE)

    assert followed(everything + b"\x1bc").undoing == b""
    soft = followed(everything + b"\x1b[!p").undoing
    assert b"\x1b[?47l" in soft  # DECSTR leaves the screen and the mouse alone
    assert b"\x1b[?1000l" in soft
    assert b"\x1b[?25h" not in soft


@pytest.mark.parametrize(
    "text",
    [
        b"\x1b[31mred",
        b"\x1b[?12h",
        b"\x1b[?99999999999h",
        b"\x1b]0;[?1049h\x07",
        b"[?25l",
        b"\x1b[?u",
        b"\x1b[6n",
        b"\x1b[r",
        b"\x1b[1;0r",
        b"\x1b[;r",
    ],
)
def test_what_is_no_mode_is_left_alone(text):
    modes = followed(text)

    assert (modes.setting, modes.undoing) == (b"", b"")


def test_what_never_ends_is_not_kept():
    modes = followed(b"\x1b[?" + b"1" * 5000)
    modes.take(b"049h")

    assert modes.undoing == b""


def test_random_output_in_random_pieces():
    for seed in range(200):
        dice = random.Random(seed)
        words = [setting for setting, _ in ONE_BY_ONE] + [undoing for _, undoing in ONE_BY_ONE]
        words += [b"text", b"\x1b", b"\x1b[", b"\x1b[?", b"\xc3\xa9", b"\x1b[1;31m"]
        text = b"".join(dice.choice(words) for _ in range(40))
        cut = sorted(dice.randrange(len(text)) for _ in range(5))
        pieces = [text[start:end] for start, end in zip([0, *cut], [*cut, len(text)], strict=True)]
        whole = followed(text)

        assert followed(*pieces).setting == whole.setting, seed
        assert followed(text + whole.undoing).undoing == b"", seed


def test_at_each_offset_of_the_last_bytes_the_modes_are_known():
    text = b"a\x1b[?1049hb\x1b[?2004hc\x1b[?1049ld"
    history = ModeHistory(len(text))
    for at in range(len(text)):
        history.take(at, text[at : at + 1])

    for offset in range(len(text) + 1):
        assert history.at(offset).encode() == followed(text[:offset]).setting


def test_before_them_the_modes_are_those_of_the_oldest():
    history = ModeHistory(10, b"\x1b[?1h")
    history.take(0, b"\x1b[?1049h")
    history.take(8, b"x" * 100 + b"\x1b[?25l")

    assert history.at(107) == "\x1b[?1h\x1b[?1049h"
    assert history.at(114) == "\x1b[?1h\x1b[?1049h\x1b[?25l"
    assert len(history._changes) == 1
