"""What the relay sees of a kubectl that starts: the process behind a wrapper, a credential plugin, a changed kubeconfig."""

import time

import pytest

from gateway.backends.kube import credentials
from gateway.relay import kubectl_start, wire

PLUGIN = "KUBERNETES_EXEC_INFO={} sh -c 'echo said >&2; sleep 0.3'; echo err >&2; echo out"
WAITS = "KUBERNETES_EXEC_INFO={} sh -c 'echo code? >&2; exec sleep 100'; exit $?"


@pytest.fixture
def link(shared_link):
    return shared_link


def kubectl(seconds=10.0, words=2):
    return {"kubectl": {"words": words, "seconds": seconds}}


def test_what_a_plugin_writes_is_apart_and_the_rest_is_the_commands(link):
    said = link.run("sh", "-c", PLUGIN, "arguments", **kubectl())

    assert (said.stdout, said.stderr) == (b"out\n", b"err\n")
    assert said.exit == {"code": 0, "words": "said\n"}


def test_a_plugin_that_becomes_one_program_after_the_other_is_one_all_the_time(link, lasting):
    """In the middle of execve(2) a process shows no environment."""
    plugin = lasting.directory / "plugin"
    plugin.write_text('#!/bin/sh\n[ $1 = 0 ] && exec sleep 0.3\necho $1 >&2; exec "$0" $(($1 - 1))\n')
    plugin.chmod(0o700)
    said = link.run("sh", "-c", f"KUBERNETES_EXEC_INFO={{}} {plugin} 300; echo out", "arguments", **kubectl())

    assert (said.stdout, said.stderr) == (b"out\n", b"")
    assert said.exit["words"].split() == [str(number) for number in range(300, 0, -1)]


def test_without_the_field_nothing_is_kept_apart(link):
    said = link.run("sh", "-c", PLUGIN)

    assert (said.stderr, said.exit) == (b"said\nerr\n", {"code": 0})


@pytest.mark.parametrize("terminal", [{}, {"tty": [80, 24], "raw": True, "apart": True}])
def test_a_plugin_has_its_time_and_no_more(link, terminal):
    began = time.monotonic()
    said = link.run("sh", "-c", WAITS, "arguments", **kubectl(1.0), **terminal)

    assert 1.0 <= time.monotonic() - began < 5
    assert said.exit["credentials"]
    assert said.exit["words"] == "code?\n"
    assert b"code?" not in said.stdout + said.stderr


def test_a_size_that_is_told_before_the_pod_speaks_is_shown_to_kubectl_again_when_it_does(link):
    """While kubectl connects it drops each size that it sees."""
    connects = "trap '' WINCH; read x; trap 'stty size; exit' WINCH; echo out; while :; do sleep 0.05; done"
    number = link.open("sh", "-c", connects, "arguments", **kubectl(), tty=[80, 24], raw=True, apart=True)
    link.send(wire.encode_size(number, 200, 50))
    link.say(wire.STDIN, number, b"\n")

    assert link.finish(number).stdout == b"out\n50 200\n"


def test_without_a_plugin_there_is_no_such_limit(link):
    assert link.run("sh", "-c", "sleep 1.5; echo late", "arguments", **kubectl(0.5)).stdout == b"late\n"


@pytest.mark.parametrize("keys", [b"\x03", b"\x1c", b"x\r~.", b"~."])
def test_a_key_at_its_terminal_ends_it(link, keys):
    number = link.open("sh", "-c", WAITS, "arguments", **kubectl(), tty=[80, 24], raw=True, apart=True)
    time.sleep(0.5)
    link.say(wire.STDIN, number, keys)

    assert link.finish(number).exit["credentials"]


def test_the_process_behind_a_wrapper_is_told_before_its_first_log_line(link, lasting):
    wrapper, inner = lasting.directory / "kubectl", lasting.directory / "inner"
    wrapper.write_text('#!/bin/sh\n"${0%kubectl}inner" "$@"\nexit $?\n')
    line = "I0101 00:00:00.000000 %%7d x.go:1] y\\n"
    inner.write_text(f"#!/bin/sh\nprintf '{line.replace('%%', '%')}' $$ >&2; sleep 0.2; echo $$\n")
    for program in (wrapper, inner):
        program.chmod(0o700)
    said = link.run(str(wrapper), "exec", "p", **kubectl(words=1))

    assert said.started["pids"][0] == int(said.stdout)


def test_a_changed_kubeconfig_ends_it_and_any_other_file_does_not(link, lasting):
    config = lasting.directory / "config"
    config.write_text("a")
    number = link.open("sleep", "100", env={"KUBECONFIG": str(config)}, kubeconfig=1)
    time.sleep(1.3)
    (lasting.directory / "other").write_text("b")
    time.sleep(1.3)
    link.step(0.0)
    assert link.streams[number].exit is None
    (lasting.directory / "other").replace(config)

    assert link.finish(number).exit["changed"]


UNBORN = """
_read, _unborn = read, [3]
PAUSE = 0.05

def read(pid, name):
    _unborn[0] -= 1
    return _read(pid, name) if _unborn[0] < 0 else b""
"""


def test_a_process_that_has_no_environment_yet_is_looked_at_again(far):
    link = far.link(more={"kubeconfig": UNBORN})
    config = far.directory / "config"
    config.write_text("a")
    number = link.open("sleep", "100", env={"KUBECONFIG": str(config)}, kubeconfig=1)
    link.until(lambda: link.streams[number].started)
    assert not link.step(0.3)
    config.write_text("another")

    assert link.finish(number).exit["changed"]


@pytest.mark.parametrize(
    "field", [1, {}, {"words": 0, "seconds": 1}, {"words": 1}, {"words": "1", "seconds": 1}]
)
def test_a_field_that_says_nothing_ends_the_link(shared_link, field):
    shared_link.open("true", kubectl=field)

    shared_link.until(lambda: shared_link.bye is not None)
    assert "kubectl has words and seconds" in shared_link.bye


def test_the_keys_that_end_a_waiting_plugin_are_the_same_on_both_chains():
    assert credentials.INTERRUPT.pattern == kubectl_start.INTERRUPT.pattern
