"""A line for sshd means the same to every login shell, and is really run by each of them."""

import shlex
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.backends.incus.quoting import command_line, incus_exec, quote
from gateway.backends.plain.lease_protocol import lease_line
from gateway.backends.plain.wrapper import exec_line
from gateway.backends.relay.bootstrap import link_line

SHELLS = ["sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish"]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=12)
HARD = st.text(st.sampled_from("'!\\\"$`~{}[]()<>|&;#*?^%= \tax1"), max_size=12)
NONCE = "0123456789abcdef01234567"


def start(shell, line, home):
    """`SHELL -c LINE` in that empty home, as sshd starts it; skips where there is no such shell."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no login shell of that kind here: {shell}")
    env = {"HOME": str(home), "PATH": f"{home}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [program, "-c", line], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )


def said(process):
    """All that it writes; it has to end well and without a complaint."""
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b""), process.args
    return out.decode()


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(TEXT | HARD, min_size=60, max_size=100))
@example(
    [
        "",
        "!",
        "!!",
        "a!b",
        "\\",
        "\\\\",
        "a\\",
        "\\'",
        "'",
        "''",
        "\\!",
        "!\\'",
        "\\n",
        "=ls",
        "~",
        "~root",
        "%1",
        "-n",
    ]
)
@example(
    words=["$'\\036'", "[!0-9]*", "a'b\"c`d$(e)", "{a,b}", "^x^y", "#", "größe 日本", "\x1b\x7f", "\t", " "]
)
def test_every_word_arrives_as_it_is(shell, tmp_path, words):
    line = command_line(["printf", "%s\\0", *words])

    assert said(start(shell, line, tmp_path)).split("\0")[:-1] == words


@pytest.mark.parametrize("word", ["a\nb", "\r", "\0"])
def test_what_no_line_can_carry_is_refused(word):
    with pytest.raises(ValueError, match="line break"):
        quote(word)


LINES = {
    "a session": exec_line("dap runner!", NONCE, ("a",), tty=False),
    "a terminal": exec_line("dap runner!", NONCE, ("a",), tty=True),
    "a relay": link_line("dap runner!", NONCE),
    "in a project": exec_line("far:runner", NONCE, ("a",), tty=True, project="a b!"),
    "a relay in a project": link_line("far:runner", NONCE, "a b!"),
}


def program(path, text):
    """A script of that text."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("what", LINES)
def test_incus_is_given_the_same_by_each(shell, tmp_path, what):
    line = LINES[what]
    assert "\n" not in line
    program(tmp_path / "incus", "printf '%s\\0' \"$@\"")

    assert said(start(shell, line, tmp_path)).split("\0")[:-1] == shlex.split(line)[1:]


def test_the_project_is_named_only_where_it_is_set():
    assert incus_exec("vm", tty=True) == ["incus", "exec", "vm", "-t", "--"]
    assert incus_exec("far:vm", "shop") == ["incus", "exec", "far:vm", "--project=shop", "-T", "--"]
    assert "--project=shop" in lease_line("vm", NONCE, project="shop")


def test_the_lease_and_its_loop_are_run_by_all(tmp_path):
    """The loop passes on what the lease says, and ends the incus client of what is gone."""
    line = lease_line("dap runner!", NONCE)
    assert "\n" not in line
    gone, running = "f" * 24, []
    for shell in filter(shutil.which, SHELLS):
        home = tmp_path / shell
        home.mkdir()
        program(home / "pkill", f'echo "$@" >{home}/killed')
        words = f"echo \"$2|$a\"; echo \"gone {gone}:kill 'x':!\"; sleep 2.3; printf '%s\\n' '\\036'"
        program(home / "incus", f"for a; do :; done; {words}")
        running.append((start(shell, line, home), home))

    for process, home in running:
        first, told, last, _ = said(process).split("\n")
        assert (first, told) == ("dap runner!|5", f"gone {gone}:kill 'x':!")
        assert last == "\\036", "as it is: the loop's own shell reads no backslash"
        assert (home / "killed").read_text() == f"-KILL -f dap ({gone}) \n"
