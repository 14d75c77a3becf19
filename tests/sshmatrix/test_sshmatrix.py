"""The matrix of ssh's and our logins: what both sides' words come to, and which differences are documented."""

import pytest
from ssh_matrix.documented import README, documented
from ssh_matrix.row import HOST_KEY, IN, LOGIN, NO_TERMINAL, SETTINGS, UNREACHABLE, filled, twice
from ssh_matrix.rows import ROWS
from ssh_matrix.verdict import MARK, of_ours, of_ssh


def test_each_row_has_a_name_of_its_own():
    assert len(ROWS) > 80
    assert twice(ROWS) == set()


def test_each_documented_difference_is_a_row_and_has_a_reason():
    found = documented(README.read_text("utf-8"))

    assert set(found) <= {row.name for row in ROWS}
    assert all(found.values())


def test_a_line_of_the_table_names_its_rows_in_backticks():
    text = "| setting | what happens here | why | rows |\n|---|---|---|---|\n| `A no` | refused | so | `one`, `the other` |\n| `B` | x | y | |\n"

    assert documented(text) == {"one": "so", "the other": "so"}


def test_variables_of_a_row_are_filled_in_and_redirections_left():
    assert filled("a <port> <key.host> 2>/dev/null", {"port": "1", "key.host": "k"}) == "a 1 k 2>/dev/null"
    with pytest.raises(KeyError):
        filled("<absent>", {})


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("Host key verification failed.\nConnection closed by UNKNOWN port 65535", HOST_KEY),
        ("root@127.0.0.1: Permission denied (publickey).", LOGIN),
        ("Received disconnect from 127.0.0.1: Too many authentication failures", LOGIN),
        ("/home/me/config: line 3: Bad configuration option: frob\n/home/me/config: terminating", SETTINGS),
        ("Unable to negotiate with 127.0.0.1 port 22: no matching cipher found.", SETTINGS),
        ("/bin/bash: line 1: /absent: No such file\nConnection closed by UNKNOWN port 65535", UNREACHABLE),
        ("ssh: connect to host 127.0.0.1 port 1: Connection refused", UNREACHABLE),
        ("something new", "other: something new"),
    ],
)
def test_what_ssh_says_when_it_does_not_get_in(words, verdict):
    assert of_ssh("", words) == verdict


def test_what_ssh_says_when_it_gets_in():
    assert of_ssh(f"{MARK}\n", "Warning: Permanently added a host") == IN
    assert of_ssh(f"{MARK}\n", "PTY allocation request failed on channel 0") == NO_TERMINAL
    assert of_ssh("other\n", "") == "other: other"


def test_what_the_gateway_says():
    assert of_ours(MARK, "", "") == IN
    assert of_ours("other", "", "") == "other: other"
    assert of_ours("", "ssh_host_key", "") == HOST_KEY
    assert of_ours("", "ssh_busy", "") == "other: ssh_busy"
