"""The shell that the gateway starts itself, by the shells of this machine on a real terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from gateway.backends.kube import own_shell

# of bash, dash and busybox, and what a test says itself, with what bash sets behind it
_PROMPT = re.compile(rb"(?:[#$>] |go\r\n)(?:\x1b\[[0-9;?]*[a-z])*$")
_TOOLS = ("od", "head", "stty", "env", "readlink", "locale", "cat", "grep")


@pytest.fixture(params=["dash", "bash", "busybox"])
def image(request, tmp_path):
    """A directory of programs with this shell as its sh, and no other."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"no {request.param} here")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to(program)
    if request.param == "bash":
        (programs / "bash").symlink_to(program)
    for tool in _TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    return programs


def talk(image, *typed, script=own_shell.SCRIPT, **env):
    """What the terminal shows, where each of `typed` is typed once the prompt, or what was typed last, stands there."""
    master, slave = pty.openpty()
    env = {"PATH": str(image), "HOME": "/nowhere", **env}
    process = subprocess.Popen(
        [image / "sh", "-c", script], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    )
    os.close(slave)
    shown = b""
    try:
        for keys in [*typed, b""]:
            shown += _until(master, _PROMPT, shown)
            os.write(master, keys)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return shown.replace(b"\r\n", b"\n").decode()


def _until(master, prompt, before):
    shown, end = b"", time.monotonic() + 10
    while not prompt.search(shown):
        assert select.select([master], [], [], max(0, end - time.monotonic()))[0], before + shown
        shown += os.read(master, 65536)
    return shown


def value(image, name, script=own_shell.SCRIPT, **env):
    """What the environment of the shell's children says."""
    # of the environment itself: a shell's own variable is not enough
    shown = talk(image, f'echo "[[$(env | grep ^{name}=)]]"\n'.encode(), script=script, **env)
    return re.findall(r"\[\[([^$\]]*)\]\]", shown)[-1].partition("=")[2]


@pytest.mark.parametrize(("before", "after"), [
    ("xterm", "xterm-256color"), ("", "xterm-256color"), ("dumb", "xterm-256color"),
    ("xterm-kitty", "xterm-kitty"), ("screen", "screen"),
])  # fmt: skip
def test_a_terminal_with_all_colours_where_the_image_names_no_other(image, before, after, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "xterm-256color").touch()
    script = own_shell.SCRIPT.replace("/usr/share/terminfo", str(tmp_path))

    assert value(image, "TERM", script, TERM=before) == after


@pytest.mark.parametrize("kind", ["a database without it", "no database"])
def test_a_container_that_does_not_know_it_keeps_what_it_has(image, kind, tmp_path):
    """A busybox knows no terminals, and needs to know none."""
    if kind == "a database without it":
        (tmp_path / "x").mkdir()
    known = str(tmp_path if kind == "a database without it" else tmp_path / "none")
    script = own_shell.SCRIPT.replace(own_shell._KNOWN, known)
    drawn_alike = "busybox" in os.path.realpath(image / "sh") and kind == "no database"

    assert value(image, "TERM", script, TERM="xterm") == ("xterm-256color" if drawn_alike else "xterm")


@pytest.mark.parametrize(("env", "after"), [
    ({}, "C.UTF-8"), ({"LANG": "de_DE"}, "de_DE"), ({"LC_ALL": "C"}, ""), ({"LC_CTYPE": "C"}, ""),
])  # fmt: skip
def test_utf8_where_no_locale_is_set(image, env, after):
    assert value(image, "LANG", TERM="xterm", **env) == after


def test_no_locale_that_the_image_lacks(image):
    """Perl and others complain of one."""
    (image / "locale").unlink()
    (image / "locale").write_text("#!/bin/sh\necho C; echo POSIX\n")
    (image / "locale").chmod(0o755)

    assert value(image, "LANG", TERM="xterm") == ""


def test_backspace_takes_a_whole_character_in_the_shell_and_in_the_kernels_line(image):
    """Dash edits nothing itself, busybox and bash as the locale says."""
    keys = "aé\x7fb\n".encode()

    assert "   a   b  \\n" in talk(image, b"echo " + keys[:-1] + b" | od -An -c\n", TERM="xterm")
    assert "   a   b  \\n" in talk(image, b"echo g''o; head -n 1 | od -An -c\n", keys, TERM="xterm")


def test_nothing_is_said_where_the_image_has_no_tools(image):
    """The shell starts all the same."""
    for tool in _TOOLS:
        (image / tool).unlink()

    shown = talk(image, b"echo $((6 * 7))\n", TERM="xterm")
    assert "42\n" in shown
    assert "not found" not in shown
