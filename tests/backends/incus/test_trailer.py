"""What ssh, incus and the login shell say when the wrapper never came up, or was cut off."""

import pytest

from gateway.backends.incus.trailer import loss, refusal
from gateway.protocol.outcome import Hop

ROWS = [
    (1, b"Error: Instance is not running\n", "incus_stopped", "Instance is not running"),
    (1, b"Error: The instance is not running\r\n", "incus_stopped", "The instance is not running"),
    (1, b"Error: Instance is frozen\n", "incus_frozen", "Instance is frozen"),
    (
        1, b'Error: Failed to fetch instance "x" in project "default": Instance not found\n', "incus_not_found",
        'Failed to fetch instance "x" in project "default": Instance not found',
    ),
    (1, b"Error: websocket: close 1006 (abnormal closure): unexpected EOF\n", "incus_lost", "websocket: close 1006"),
    (127, b"bash: line 1: incus: command not found\n", "incus_missing", "incus: command not found"),
    (127, b"/bin/sh: 1: incus: not found\n", "incus_missing", "incus: not found"),
    (127, b"Error: Command not found\n", "runner_failed", "Command not found"),
    (1, b'Error: Get "http://unix.socket/1.0": dial unix /run/incus: permission denied\n', "incus_failed", "permission"),
    (1, b"Error: Project not found\n", "incus_not_found", "Project not found"),
    (1, b'Error: The remote "far" doesn\'t exist\n', "incus_not_found", 'The remote "far"'),
    (5, b"welcome\r\nno entry\n", "runner_failed", "login shell ended with code 5: welcome\nno entry"),
    (0, b"", "runner_failed", "login shell ended with code 0 and said nothing"),
    (None, b"\xff\xfe\x00", "runner_failed", "login shell"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "talk", "name", "message"), ROWS)
def test_who_refused(code, talk, name, message):
    error = refusal(code, talk)

    assert error.code == name
    assert message in error.message
    assert "\r" not in error.message


@pytest.mark.parametrize(
    "words",
    [
        b"Error: You don't have the needed permissions to talk to the incus daemon (socket path: /run/s)\n",
        b'Error: Get "http://unix.socket/1.0": dial unix /run/s: connect: permission denied\n',
    ],
)
def test_whoever_may_not_talk_to_incus_is_told_the_group(words):
    message = refusal(1, words).message

    assert message.startswith(words.decode().strip().removeprefix("Error: "))
    assert "incus-admin" in message
    assert "next login" in message


def test_talk_before_incus_words_does_not_hide_them():
    assert refusal(1, b"motd\nError: Instance is not running\n").code == "incus_stopped"


def test_long_talk_is_cut_to_its_end():
    error = refusal(1, b"x" * 10_000 + b"the end")

    assert len(error.message) < 600
    assert error.message.endswith("the end")


@pytest.mark.parametrize("code", [None, 1, 137, 255, 0, -1])
def test_a_link_that_is_cut_is_incus_whatever_its_code(code):
    outcome = loss(code)

    assert (outcome.code, outcome.hop, outcome.exit_code) == ("incus_lost", Hop.INCUS, None)
    assert (str(code) in outcome.message) == (code is not None)
