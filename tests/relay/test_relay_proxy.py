"""The relay's kubectl proxy: one for all links, a socket for each generation, and what is said of one that does not start."""

import errno
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from support.leaks import alive, gone
from support.waiting import becomes

from gateway.relay import wire

# Tells every connection its pid, then echoes
SERVER = """#!{python} -IS
import os, socket, sys, threading
path = sys.argv[-1].partition("=")[2]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
sys.stderr.write("I0101 talk\\n" * {lines})
print("Starting to serve on", path, flush=True)
def serve(one):
    one.sendall(b"%d\\n" % os.getpid())
    while data := one.recv(65536):
        one.sendall(data)
    one.close()
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""


@pytest.fixture
def kubectl(far):
    return script(far, SERVER.format(python=sys.executable, lines=1))


def script(far, text, name="kubectl"):
    """The path of a program that is this text."""
    path = far.directory / name
    path.write_text(text)
    path.chmod(0o700)
    return str(path)


def ask(link, kubectl, **more):
    return link.ask(proxy={"argv": [kubectl, "proxy"], **more})


def connected(link, kubectl, **more):
    """(the stream, the generation, the proxy's pid)."""
    number = ask(link, kubectl, **more)
    said = link.streams[number]
    link.until(lambda: said.exit or said.stdout.endswith(b"\n"))
    assert said.exit is None
    return number, said.started["generation"], int(said.stdout)


def takes_connections(path):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except OSError:
            return False
        return True


def started(link, number):
    said = link.streams[number]
    link.until(lambda: said.exit or said.started)
    return said.started is not None


def echoes(link, number):
    before = link.streams[number].stdout
    link.say(wire.STDIN, number, b"hi")
    link.until(lambda: link.streams[number].stdout == before + b"hi")
    return True


def sockets(far):
    return sorted(one.name for one in far.places[0].glob("*.sock"))


def test_connections_of_every_link_share_one_proxy_that_no_link_ends(far, link, kubectl):
    assert link.about["features"] == ["proxy", "exec", "input"]
    first, second = connected(link, kubectl), connected(link, kubectl)
    assert first[1:] == second[1:] == (1, first[2])
    assert link.streams[first[0]].started["age"] <= link.streams[second[0]].started["age"] < 20

    other = far.link_at_hand()
    number, *same = connected(other, kubectl)
    link.leave()
    assert same == [1, first[2]]
    assert echoes(other, number)
    other.leave()
    assert alive(first[2])
    assert connected(far.link_at_hand(), kubectl)[1:] == (1, first[2])
    assert sockets(far) == ["kubectl-1.sock"]


def test_one_that_is_replaced_ends_with_its_last_connection(far, link, kubectl):
    watch, _, before = connected(link, kubectl)
    get, generation, after = connected(link, kubectl, newer=1)
    assert (generation, sockets(far)) == (2, ["kubectl-1.sock", "kubectl-2.sock"])
    assert after != before
    assert echoes(link, watch)
    assert connected(link, kubectl)[1:] == connected(link, kubectl, newer=1)[1:] == (2, after)

    link.say(wire.END, watch)
    assert gone(before)
    assert becomes(lambda: sockets(far) == ["kubectl-2.sock"])
    assert echoes(link, get)
    assert connected(link, kubectl, newer=2)[1] == 3
    assert sockets(far) == ["kubectl-1.sock", "kubectl-2.sock"]


def test_what_is_retired_and_not_used_ends_at_once(link, kubectl):
    number, _, before = connected(link, kubectl)
    link.say(wire.END, number)
    link.finish(number)
    connected(link, kubectl, newer=1)

    assert gone(before, 3)


def test_a_changed_kubeconfig_begins_the_next_generation_and_cuts_nothing_that_stays(far):
    config = far.directory / "config"
    config.write_text("a")
    server = script(far, SERVER.format(python=sys.executable, lines=1), "server")
    kubectl = script(far, f'#!/bin/sh\nKUBECONFIG={config} exec {server} "$@"\n')
    link = far.link(more={"kubeconfig": "PAUSE = 0.05\n"})
    watch, _, before = connected(link, kubectl, kubeconfig=1, stays=True)
    # an earlier gateway would go on to use its connection
    old, _, same = connected(link, kubectl, kubeconfig=1)
    assert same == before
    assert link.streams[watch].started["replaced"] is False

    time.sleep(0.2)  # a look at the files
    config.write_text("bb")
    assert link.finish(old).exit["changed"]
    link.until(lambda: link.streams[watch].started["replaced"])
    assert connected(link, kubectl, kubeconfig=1, stays=True)[1] == 2
    assert echoes(link, watch)
    link.say(wire.END, watch)
    assert gone(before)


def test_another_command_line_has_a_proxy_of_its_own(link, kubectl):
    one = connected(link, kubectl)
    number = link.ask(proxy={"argv": [kubectl, "--context=x", "proxy"]})
    link.until(lambda: link.streams[number].stdout.endswith(b"\n"))

    assert link.streams[number].started["generation"] == 2
    assert int(link.streams[number].stdout) != one[2]
    assert connected(link, kubectl)[1:] == one[1:]


def test_one_that_has_died_is_started_again(far, link, kubectl):
    number, _, before = connected(link, kubectl)
    os.kill(before, signal.SIGKILL)
    link.until(lambda: link.streams[number].eof)
    assert gone(before)
    while takes_connections(far.places[0] / "kubectl-1.sock"):
        time.sleep(0.001)  # the kernel closes what a killed process had one by one
    _, generation, after = connected(link, kubectl)

    assert generation > 1
    assert after != before
    assert len(sockets(far)) == 1


def test_one_that_refuses_is_replaced_and_so_is_the_next_but_no_third(far, link, kubectl):
    number, _, before = connected(link, kubectl)
    (far.places[0] / "kubectl-1.sock").unlink()
    assert connected(link, kubectl)[1] == 2
    assert echoes(link, number)
    assert alive(before)

    script(
        far, SERVER.format(python=sys.executable, lines=1).replace("listener.listen(64)", "os.unlink(path)")
    )
    assert link.finish(ask(link, kubectl, newer=2)).exit["errno"] == errno.ENOENT
    link.say(wire.END, number)
    assert gone(before)


def test_nobody_uses_it_and_it_ends(far, link, kubectl):
    number, _, pid = connected(link, kubectl, idle=0.2)
    assert not becomes(lambda: not alive(pid), 0.3)
    link.say(wire.END, number)

    assert gone(pid, 3)
    assert becomes(lambda: not sockets(far))
    assert connected(link, kubectl, idle=0.2)[1] == 2


def test_one_that_does_not_start_is_told_to_all_who_wait_and_tried_again_later(far):
    link = far.link(more={"proxy": "AGAIN = 0.3\n"})
    kubectl = script(far, '#!/bin/sh\necho "error: no config" >&2; exit 3\n')
    waiting = [ask(link, kubectl) for _ in range(3)]
    said = [link.finish(number).exit for number in [*waiting, ask(link, kubectl)]]
    assert said == [{"code": 3, "words": "error: no config\n", "generation": 1}] * 4

    script(far, SERVER.format(python=sys.executable, lines=1))
    assert becomes(lambda: started(link, ask(link, kubectl)), 3)
    assert connected(link, kubectl)[1] == 2


def test_where_there_is_no_kubectl_the_reason_has_its_number(shared_link):
    said = shared_link.finish(ask(shared_link, "/not/there")).exit

    assert (said["errno"], said["generation"]) == (errno.ENOENT, 1)
    assert shared_link.run("echo", "hi").stdout == b"hi\n"


def test_one_that_does_not_listen_in_time_is_ended(far):
    link = far.link(more={"proxy": "START = 0.2\n"})
    kubectl = script(far, '#!/bin/sh\necho $$ >"${0%/*}/pid"; exec sleep 100\n')
    said = link.finish(ask(link, kubectl)).exit

    assert (said["errno"], said["error"]) == (errno.ETIMEDOUT, "kubectl proxy did not start within 0.2 s")
    assert gone(int((far.directory / "pid").read_text()), 4)


def test_who_leaves_before_it_listens_hurts_nobody(far, link):
    server = script(far, SERVER.format(python=sys.executable, lines=1), "server")
    kubectl = script(far, f'#!/bin/sh\nsleep 0.2\nexec {server} "$@"\n')
    leaving, staying = ask(link, kubectl), ask(link, kubectl)
    link.say(wire.END, leaving)

    assert link.finish(leaving).exit == {"code": 0}
    link.until(lambda: link.streams[staying].stdout.endswith(b"\n"))


def test_what_it_writes_is_read_and_not_kept(far, link):
    kubectl = script(far, SERVER.format(python=sys.executable, lines=300_000))
    number, *_ = connected(link, kubectl)

    assert echoes(link, number)
    status = Path(f"/proc/{link.about['pid']}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) < 40 << 10


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, None], ids=["TERM", "KILL", "idle"])
def test_nothing_is_left_when_the_relay_ends(far, kubectl, end):
    link = far.link(idle=0.4)
    pid = connected(link, kubectl)[2]
    if end:
        os.kill(link.about["pid"], end)
    else:
        link.leave()

    assert gone(pid, 5)
    assert far.gone()


@pytest.mark.parametrize("method", ["Generation._take", "Generation.join", "ProxyRequest.command"])
def test_a_defect_is_told_to_the_connection_and_the_relay_goes_on(far, kubectl, method):
    broken = f"def _broken(*_):\n    raise RuntimeError('boom')\n\n{method} = _broken\n"
    link = far.link(more={"proxy": broken})

    assert "boom" in link.finish(ask(link, kubectl)).exit["error"]
    assert link.run("echo", "hi").stdout == b"hi\n"


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        {},
        {"argv": []},
        {"argv": ["x"], "idle": 0},
        {"argv": ["x"], "idle": 1e9},
        {"argv": ["x"], "newer": -1},
    ],
)
def test_a_request_that_is_malformed_breaks_a_rule(shared_link, wrong):
    shared_link.ask(proxy=wrong)
    with pytest.raises(ConnectionError, match="broken rule"):
        shared_link.until(lambda: False)
