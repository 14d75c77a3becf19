"""The rig's checker is fed transcripts that somebody doctored: each is found out."""

from dataclasses import replace

import pytest
from faultrig.checker import Promise, Told, Transcript, check, check_orphans, missing, read
from faultrig.program import EXIT_CODE

LOST = Told("ssh_lost", "ssh", after=1.0)
BROKEN = Promise(frozenset({"ssh/ssh_lost"}), within=3.0)
WHOLE = Promise(whole=True, exit_code=EXIT_CODE)


def text(*rows: str, cut: int = 0) -> bytes:
    data = "".join(f"m {row}\n" for row in rows).encode()
    return data[: len(data) - cut]


def ended(*rows: str, cut: int = 0, told: Told | None = LOST) -> Transcript:
    return Transcript("v5 tty", "m", text(*rows, cut=cut), told)


GOOD = ended("out 0", "in 0", "out 1", "out 2", "in 1", cut=2)
FULL = replace(
    ended("out 0", "in 0", "out 1", "in 1", "end 2"), told=Told("exited", "pod", EXIT_CODE), typed=2
)


def test_what_kept_its_promise_is_no_complaint():
    assert check(GOOD, BROKEN) == []
    assert check(FULL, WHOLE) == []
    assert missing(read("m", FULL.output), typed=2) == 0


def test_a_terminal_s_line_breaks_and_a_client_s_title_are_no_lines():
    output = b"\x1b[22;2t\x1b]2;dap: away\x07" + FULL.output.replace(b"\n", b"\r\n") + b"\x1b[23;2t\x07"

    assert check(replace(FULL, output=output), WHOLE) == []


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (("out 0", "out 2"), "missing before it"),
        (("out 1",), "missing before it"),
        (("out 0", "out 1", "out 1"), "twice"),
        (("out 0", "in 0", "in 0"), "twice"),
        (("out 0", "out 1", "out 0"), "twice"),
        (("out 0", "in 1"), "missing before it"),
        (("out 0", "ou 1"), "of no program"),
    ],
)
def test_lines_that_are_lost_doubled_or_changed(rows, word):
    assert any(word in what for what in check(ended(*rows), BROKEN))


def test_bytes_that_are_cut_out_or_put_in():
    good = text("out 0", "out 1", "out 2")

    assert check(replace(GOOD, output=good.replace(b" 1\nm", b" 1m")), BROKEN)
    assert check(replace(GOOD, output=good + b"kubectl: lost"), BROKEN)
    assert check(replace(GOOD, output=b"x" + good), BROKEN)


def test_what_had_arrived_before_the_fault_stays():
    assert any("are gone" in what for what in check(replace(GOOD, before=len(GOOD.output) + 1), BROKEN))


@pytest.mark.parametrize("code", [0, 1, EXIT_CODE])
def test_an_exit_code_that_no_command_gave(code):
    complaints = check(replace(GOOD, told=Told("exited", "pod", code, 1.0)), BROKEN)

    assert any("did not end itself" in what for what in complaints)


def test_a_wrong_name_none_at_all_or_none_in_time():
    assert check(replace(GOOD, told=Told("incus_lost", "incus", after=1.0)), BROKEN)
    assert check(replace(GOOD, told=Told("ssh_lost", "runner", after=1.0)), BROKEN)
    assert check(replace(GOOD, told=Told("", after=1.0)), BROKEN)
    assert check(replace(GOOD, told=None), BROKEN)
    assert check(replace(GOOD, told=replace(LOST, after=3.1)), BROKEN)
    assert check(replace(GOOD, told=replace(LOST, exit_code=0)), BROKEN)


def test_a_connection_that_just_ends_is_right_only_where_it_is_allowed():
    assert check(replace(GOOD, told=Told("", after=1.0)), replace(BROKEN, ends=frozenset({""}))) == []


def test_a_resumed_session_has_all_of_both_ways():
    assert any(
        "2 arrived" in what
        for what in check(replace(FULL, output=text("out 0", "in 0", "out 1", "in 1", "end 3")), WHOLE)
    )
    assert any("came back" in what for what in check(replace(FULL, typed=3), WHOLE))
    assert any(
        "last line" in what for what in check(replace(FULL, output=text("out 0", "in 0", "in 1")), WHOLE)
    )
    assert check(replace(FULL, told=Told("exited", "pod", 0)), WHOLE)
    assert check(replace(FULL, told=LOST), WHOLE)
    assert check(replace(FULL, told=None), WHOLE)


def test_a_session_that_goes_on_is_told_which_hop_it_waits_for():
    promise = replace(WHOLE, ends=BROKEN.ends, within=3.0)
    whole = Told("exited", "pod", EXIT_CODE, after=60.0)

    assert check(replace(FULL, told=whole, waits=LOST), promise) == []
    assert check(replace(FULL, told=whole), promise) == ["v5 tty: was not told which hop it waits for"]
    assert check(replace(FULL, told=whole, waits=Told("incus_lost", "incus", after=1.0)), promise)
    assert check(replace(FULL, told=whole, waits=replace(LOST, after=3.1)), promise)


def test_lost_bytes_are_counted():
    assert missing(read("m", text("out 0", "out 3", "in 1"))) == len("out 1\nout 2\nin 0\n")
    assert missing(read("m", text("out 0", "end 2")), typed=1) == len("out 1\nin 0\n")


def test_every_process_that_lives_on_is_a_complaint():
    assert check_orphans([]) == []
    assert check_orphans(["17 kubectl exec"]) == ["left behind: 17 kubectl exec"]
