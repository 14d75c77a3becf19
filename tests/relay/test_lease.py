"""The relay's life: links that come and go, the lease, other gateways, other versions, sudden ends."""

import fcntl
import os
import random
import resource
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.leaks import alive, gone
from support.relayed import Ends, Linked, Said
from support.repeated import FEW
from support.waiting import becomes

from gateway.relay import fd_handover, run_directory, wire


def test_it_says_who_it_is(far, link):
    assert link.about["protocol"] == wire.PROTOCOL
    assert Path(f"/proc/{link.about['pid']}/comm").read_text() == "dap-relay\n"
    assert Path(f"/proc/{link.about['pid']}/cmdline").read_bytes().rstrip(b"\0") == b"dap-relay"
    assert Path(f"/proc/{link.process.pid}/cmdline").read_bytes().rstrip(b"\0") == b"dap-relay"
    (directory,) = far.places
    assert directory.stat().st_mode & 0o777 == 0o700


def test_it_takes_all_the_descriptors_that_it_may_have_and_its_commands_do_not(far):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        link = far.link()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = Path(f"/proc/{link.about['pid']}/limits").read_text()

    assert f"Max open files            {hard} " in limits
    assert link.run("sh", "-c", "ulimit -Sn").stdout == b"256\n"


def test_ping_comes_back(shared_link):
    shared_link.say(wire.PING, 0, b"body")
    shared_link.until(lambda: shared_link.pongs == [b"body"])


def test_the_links_end_ends_what_has_no_name(lasting):
    link = lasting.link()
    number = link.open("sleep", "1000")
    link.until(lambda: link.streams[number].started)
    link.leave()

    assert gone(link.streams[number].started["pid"])
    assert link.process.returncode == 0


def test_what_has_a_name_goes_on_over_the_next_link(lasting):
    """Its output meanwhile is there, from any offset that is kept, and its end too."""
    script = "echo one; read x; echo two $x; read y; exit 4"
    link = lasting.link()
    number = link.open("sh", "-c", script, name="s")
    link.until(lambda: link.streams[number].stdout == b"one\n")
    link.say(wire.STDIN, number, b"A\n")
    pid = link.streams[number].started["pid"]
    link.leave()

    second = lasting.link()
    assert second.about["pid"] == link.about["pid"]
    again = second.ask(attach="s", offset=2)
    second.until(lambda: second.streams[again].stdout == b"e\ntwo A\n")
    assert second.streams[again].started == {"pid": pid, "offset": 2, "received": 2}
    second.say(wire.STDIN, again, b"\n")
    assert second.finish(again).exit == {"code": 4}
    second.leave()

    third = lasting.link_at_hand()  # it may not have heard that
    assert third.finish(third.ask(attach="s", offset=10)).exit == {"code": 4}
    third.say(wire.END, 1)
    time.sleep(0.2)
    assert third.finish(third.ask(attach="s")).exit["errno"] == 2
    third.leave()


def test_what_has_a_name_ends_after_its_grace(shared_link):
    link = shared_link
    number = link.open("sleep", "1000", name="s", grace=0.6)
    link.until(lambda: link.streams[number].started)
    link.leave()
    pid = link.streams[number].started["pid"]
    time.sleep(0.1)

    assert alive(pid)
    assert gone(pid)


def test_a_new_link_takes_the_place_of_an_old_one(lasting):
    link, second = lasting.link(), lasting.link()
    assert second.about["pid"] == link.about["pid"]
    link.until(lambda: link.closed)

    assert link.bye == "another link took its place"
    assert second.run("echo", "hi").stdout == b"hi\n"
    lasting.leave()


def test_with_nothing_left_it_leaves(far):
    link = far.link(idle=0.4)
    number = link.open("sleep", "0.8", name="s")
    link.until(lambda: link.streams[number].started)
    link.say(wire.END, number)
    link.finish(number)
    time.sleep(0.8)
    assert alive(link.about["pid"]), "it has a link"
    link.leave()

    assert far.gone(3)
    assert gone(link.about["pid"])


def test_silence_ends_the_link(far):
    link = far.link(lease=0.5)
    number = link.open("sleep", "1000")
    link.until(lambda: link.streams[number].started)
    for _ in range(8):
        time.sleep(0.1)
        link.say(wire.PING, 0)
    assert not link.step(0) or link.bye is None
    link.until(lambda: link.closed)

    assert "0.5 s" in link.bye
    assert gone(link.streams[number].started["pid"])


def test_many_openings_start_one(far):
    links = [far.begin(idle=3) for _ in range(6)]
    pids = set()
    for link in links:
        try:
            pids.add(link.arrive().about["pid"])
        except ConnectionError:
            continue  # a later link took its place before it had said a word
    assert len(pids) == 1
    assert len(far.places) == 1


def test_another_secret_is_not_let_in(lasting, shared_link):
    other = lasting.link(secret="other")

    assert "belongs to another gateway" in other.problem
    assert shared_link.run("echo", "hi").stdout == b"hi\n"


def test_two_gateways_have_two_relays(far, link):
    other = far.link(key="f" * 24, secret="other")

    assert other.about["pid"] != link.about["pid"]
    assert len(far.places) == 2
    number = other.ask(attach="s")
    assert other.finish(number).exit["errno"] == 2


def of_another_version(link, protocol=wire.PROTOCOL):
    """As if another build had come."""
    return f"{protocol}-{link.about['version'].partition('-')[2][::-1]}"


def test_an_upgrade_goes_on_with_the_sessions_that_there_are(far, link):
    """And once they have ended the new version takes over."""
    number = link.open("sh", "-c", "read x; echo $x", name="s")
    link.until(lambda: link.streams[number].started)
    link.leave()

    newer = far.link(version=of_another_version(link))
    assert newer.about["pid"] == link.about["pid"]
    again = newer.ask(attach="s")
    newer.say(wire.STDIN, again, b"still\n")
    assert newer.finish(again).stdout == b"still\n"
    newer.send(wire.encode(wire.END, again))
    newer.finish(newer.ask(list=True))
    newer.leave()

    last = far.link(version=of_another_version(link))
    assert last.about["pid"] != link.about["pid"]
    assert last.about["version"] == of_another_version(link)


def test_of_another_protocol_nothing_can_be_gone_on_with(far, link):
    link.finish(link.open("true", name="s"))
    link.leave()

    other = far.link(version=of_another_version(link, wire.PROTOCOL + 1))
    assert other.about["pid"] != link.about["pid"]


def test_another_version_starts_beside_it(far, link):
    number = link.open("sh", "-c", "read x; echo $x")
    other = far.link(version="0" * 16)
    assert other.about["pid"] != link.about["pid"]
    (directory,) = far.places
    assert len(list(directory.iterdir())) == 2
    link.say(wire.STDIN, number, b"still\n")

    assert link.finish(number).stdout == b"still\n"


def test_killed_it_takes_all_along_and_its_directory_goes(far, link):
    """The kernel kills its children, the carrier what is left of their sessions."""
    number, parent = link.open("sleep", "1000"), link.open("sh", "-c", "sleep 1000 & echo $!; wait")
    link.until(lambda: link.streams[number].started and link.streams[parent].stdout.endswith(b"\n"))
    os.kill(link.about["pid"], signal.SIGKILL)
    link.until(lambda: link.closed)

    assert link.bye is None
    assert gone(link.streams[number].started["pid"])
    assert gone(int(link.streams[parent].stdout))
    link.process.wait(5)
    assert far.places == []


def test_told_to_end_it_ends_everything_first(far, link):
    number = link.open("sh", "-c", "trap '' HUP; sleep 1000")
    link.until(lambda: link.streams[number].started)
    os.kill(link.about["pid"], signal.SIGTERM)
    link.until(lambda: link.closed)

    assert link.bye == "the relay was told to end"
    assert gone(link.streams[number].started["pid"])
    assert far.gone()


def test_a_killed_carrier_is_a_lost_link(lasting):
    link = lasting.link()
    number = link.open("sleep", "1000", name="s")
    link.until(lambda: link.streams[number].started)
    link.process.kill()
    second = lasting.link_at_hand()
    again = second.ask(attach="s")
    second.until(lambda: second.streams[again].started)

    assert second.streams[again].started["pid"] == link.streams[number].started["pid"]
    second.say(wire.END, again)
    assert second.finish(again).exit == {"signal": 1}
    lasting.leave()


BROKEN = {
    "kind": b"\xff" * 7,
    "length": b"\x00\x00\x00\x00\x01\xff\xff",
    "no JSON": wire.encode(wire.OPEN, 1, b"{"),
    "no object": wire.encode(wire.OPEN, 1, b"[]"),
    "no argv": wire.encode(wire.OPEN, 1, b"{}"),
    "argv of numbers": wire.encode(wire.OPEN, 1, b'{"argv": [1]}'),
    "NUL in argv": wire.encode(wire.OPEN, 1, b'{"argv": ["a\\u0000b"]}'),
    "lone surrogate": wire.encode(wire.OPEN, 1, b'{"argv": ["\\udc80"]}'),
    "a size of nothing": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "tty": [0, 1]}'),
    "a size too large": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "tty": [65536, 1]}'),
    "credit of text": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "credit": "1"}'),
    "input of text": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "input": "262144"}'),
    "too little input": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "input": 65535}'),
    "too much input": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "input": 16777217}'),
    "an odd environment": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "env": {"a=b": "1"}}'),
    "an odd grace": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "name": "n", "grace": 1e999}'),
    "stream 0": wire.encode(wire.OPEN, 0, b'{"argv": ["true"]}'),
    "an odd address": wire.encode(wire.OPEN, 1, b'{"dial": "http://x"}'),
    "a port too large": wire.encode(wire.OPEN, 1, b'{"dial": "tcp:x:65536"}'),
    "the same stream": wire.encode_request(1, {"argv": ["sleep", "9"]}) * 2,
    "a long request": wire.encode(wire.PART, 1, bytes(wire.CHUNK)) * 129,
    "more than credit": wire.encode_request(1, {"argv": ["sleep", "9"]})
    + wire.encode(wire.STDIN, 1, bytes(wire.CHUNK)) * 100,
    "a short size": wire.encode_request(1, {"argv": ["sleep", "9"]}) + wire.encode(wire.RESIZE, 1, b"x"),
    "no such signal": wire.encode_request(1, {"argv": ["sleep", "9"]}) + wire.encode(wire.SIGNAL, 1, b"NO"),
    "a kind that it says itself": wire.encode_request(1, {"argv": ["sleep", "9"]})
    + wire.encode(wire.STARTED, 1),
    "too much credit": wire.encode_request(1, {"argv": ["sleep", "9"]})
    + wire.encode_credit(1, (1 << 32) - 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_ends_the_link_with_a_reason(lasting, shared_link, name):
    link = shared_link
    link.streams.update({number: Said() for number in (0, 1)})
    with suppress(BrokenPipeError):
        link.send(BROKEN[name])
    link.until(lambda: link.closed)

    assert link.bye
    assert link.bye.startswith("broken rule: ")
    assert lasting.link_at_hand().about["pid"] == link.about["pid"]


def test_noise_never_ends_the_daemon(far):
    """Frames that are nearly right, in any order."""
    chance = random.Random(4)
    first = far.link(idle=5)
    for _ in range(10 if FEW else 30):
        link = far.link_at_hand()
        link.streams.update({number: Said() for number in range(4)})
        noise = wire.encode_request(1, {"argv": ["cat"], "credit": 100})
        for _ in range(20):
            kind, size = chance.randrange(wire.KINDS + 1), chance.choice([0, 1, 4, 4, 300])
            body = chance.choice([chance.randbytes(size), b'{"argv": ["true"]}', b'{"attach": 3}', b"TERM"])
            noise += bytes([kind]) + wire.encode(0, chance.randrange(4), body)[1:]
        with suppress(BrokenPipeError):
            link.send(noise)
        while link.step(0.05) and not link.closed:
            pass
        assert alive(first.about["pid"])
    assert far.link_at_hand().about["pid"] == first.about["pid"]


def test_what_is_no_carrier_is_dismissed(lasting, shared_link):
    """A connection that says nothing, or gives no descriptors."""
    (directory,) = lasting.places
    one = run_directory.connect(str(directory), shared_link.about["version"])
    one.send(b"wrong")
    assert one.recv(10) == b"no"
    one.close()
    two = run_directory.connect(str(directory), shared_link.about["version"])
    two.send(lasting.settings["secret"].encode())
    assert two.recv(10) == b"ok 0"
    two.send(b"nothing with it")
    assert two.recv(10) == b""
    two.close()

    assert shared_link.run("echo", "hi").stdout == b"hi\n"


def test_a_place_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    monkeypatch.setattr(run_directory, "candidates", lambda _: [str(theirs), str(ours)])
    (theirs / "dap-relay-k").mkdir(mode=0o755)
    (theirs / "dap-relay-k").chmod(0o755)

    path, lock = run_directory.enter("k", {})
    os.close(lock)
    assert path == str(ours / "dap-relay-k")


def test_a_link_in_its_place_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "dap-relay-k").symlink_to(tmp_path / "real")
    monkeypatch.setattr(run_directory, "candidates", lambda _: [str(tmp_path)])

    with pytest.raises(OSError, match="Not a directory"):
        run_directory.enter("k", {})


def test_the_first_place_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "candidates", lambda _: [str(tmp_path / "absent"), str(tmp_path)])
    path, lock = run_directory.enter("k", {})
    os.close(lock)

    assert path == str(tmp_path / "dap-relay-k")
    assert Path(path).stat().st_mode & 0o777 == 0o700


def test_a_long_path_is_none_too_long(tmp_path):
    directory = tmp_path / ("x" * 120)
    directory.mkdir(mode=0o700)
    listener = run_directory.listen(str(directory), "v")
    one = run_directory.connect(str(directory), "v")
    assert isinstance(one, socket.socket)
    one.close()
    assert run_directory.leave(str(directory), listener) is False, "somebody is on the way"
    listener.accept()[0].close()
    assert run_directory.leave(str(directory), listener) is True
    listener.close()
    assert not directory.exists()


def test_what_a_command_listens_on_goes_with_the_directory(far, link):
    script = "import socket,time; s=socket.socket(socket.AF_UNIX); s.bind('x.sock'); print(flush=True); time.sleep(99)"
    number = link.open("sh", "-c", 'cd "$0" && exec python3 -c "$1"', link.about["directory"], script)
    link.until(lambda: link.streams[number].stdout == b"\n")
    assert max(path.name for path in far.places[0].iterdir()) == "x.sock"
    os.kill(link.about["pid"], signal.SIGTERM)
    link.until(lambda: link.closed)

    assert far.gone()


def test_what_is_not_ours_or_held_is_not_swept(tmp_path):
    """What another user made, or what is no directory, is not touched; a lock that is held neither."""
    (tmp_path / "dap-relay-file").write_text("x")
    held = tmp_path / "dap-relay-held"
    held.mkdir(mode=0o700)
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (tmp_path / "dap-relay-open").mkdir(mode=0o755)
    (tmp_path / "dap-relay-open").chmod(0o755)
    run_directory.sweep_all({"TMPDIR": str(tmp_path)})
    os.close(lock)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dap-relay-file",
        "dap-relay-held",
        "dap-relay-open",
    ]


def test_what_was_killed_with_its_carrier_is_swept_by_the_next_start(far):
    """Of whichever gateway; the live ones are left alone."""
    live, dead = far.link(key="e" * 24), far.link(key="d" * 24)  # the live one's own sweep is over by then
    (directory,) = [path for path in far.places if path.name.endswith("d" * 24)]
    (directory / "kubectl.sock").touch()
    number = dead.open("sh", "-c", "exec sleep 1000")
    dead.until(lambda: dead.streams[number].started)
    for pid in (dead.process.pid, dead.about["pid"]):
        os.kill(pid, signal.SIGKILL)
    dead.process.wait(5)
    assert gone(dead.streams[number].started["pid"])
    assert len(far.places) == 2
    far.link()

    assert becomes(lambda: directory not in far.places)
    assert live.run("echo", "hi").stdout == b"hi\n"


def test_without_a_place_it_says_so(far):
    """A read-only or full disk, a directory that is not there."""
    (far.directory / "file").touch()
    env = {"TMPDIR": str(far.directory / "file"), "XDG_RUNTIME_DIR": "/proc/self", "HOME": "/nowhere/at/all"}
    not_tmp = "[one for one in _all(env) if not one.endswith('tmp')]"
    link = far.link(
        env=env, more={"run_directory": f"_all = candidates\ncandidates = lambda env: {not_tmp}\n"}
    )

    assert link.problem.startswith(
        "error no private directory can be made; make one of these usable: /proc/self: "
    )
    assert f"{far.directory}/file: Not a directory" in link.problem
    assert "/nowhere/at/all: No such file or directory" in link.problem


def test_a_carrier_that_is_about_to_come_keeps_the_relay(far):
    """It has been let in when the idle time ends, and brings its link just afterwards."""
    first = far.link(idle=0.4)
    (place,) = far.places
    carrier = run_directory.connect(str(place), first.about["version"])
    fd_handover.greet(carrier, far.settings["secret"])
    first.leave()
    time.sleep(1.0)
    link = Linked(Ends(carrier), "")
    far.links.append(link)
    link.until(lambda: link.about)

    assert link.about["pid"] == first.about["pid"]
