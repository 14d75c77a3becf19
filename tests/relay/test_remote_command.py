"""Commands that the cluster's API runs: what a gateway sees of them, whatever the API server does."""

import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path

import pytest
from support import scripted_api
from support.scripted_api import SUCCESS, frame, path, send, status
from support.waiting import becomes

from gateway.relay import wire

OPEN = ["open"]
V5 = "v5.channel.k8s.io"
CHUNKED = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"


def written(far):
    """The path of the scripted kubectl."""
    program = far.directory / "kubectl"
    if not program.exists():
        program.write_text(scripted_api.PROGRAM.replace("{python}", sys.executable))
        program.chmod(0o700)
    return str(program)


@pytest.fixture
def kubectl(far):
    return written(far)


@pytest.fixture
def ask(far, kubectl):
    """Asks a new relay for a remote command; returns the stream's number."""
    return asking(far.link(), kubectl)


@pytest.fixture
def ask_again(lasting, shared_link):
    """As `ask`, of the module's relay, whose proxy lives on, too."""
    return asking(shared_link, written(lasting))


def asking(link, kubectl):
    """Returns what asks over `link`, which it has as an attribute, for a remote command."""

    def asked(*steps, stdin=True, protocols=(V5,), headers=(), **more):
        exec_ = {
            "path": path(*steps), "protocols": list(protocols), "headers": list(headers), "stdin": stdin,
            "proxy": {"argv": [kubectl, "proxy"]},
        }  # fmt: skip
        given = {name: more.pop(name) for name in ("answer", "silence", "generation") if name in more}
        return link.ask(exec={**exec_, **given}, **more)

    asked.link = link
    return asked


def test_both_streams_and_the_status_as_it_came(ask_again):
    text = b'{"metadata":{},"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}'
    number = ask_again(OPEN, send(frame(b"\1out"), frame(b"\2err"), frame(b"\1"), frame(b""), status(text)))
    said = ask_again.link.finish(number)

    assert (said.stdout, said.stderr) == (b"out", b"err")
    assert said.exit == {"generation": 1, "code": 3, "status": text.decode()}
    assert said.started == {"pid": 0, "generation": 1, "protocol": V5, "offset": 0}
    assert said.kinds[0] == wire.STARTED


def test_an_exit_code_of_a_windows_container_is_one_that_a_gateway_takes(ask_again):
    text = b'{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3221225786"}]}}'
    said = ask_again.link.finish(ask_again(OPEN, send(status(text))))

    assert said.exit["code"] == 3221225786


def test_what_comes_with_the_answer_and_in_pieces_is_not_lost(ask_again):
    large = bytes(range(256)) * 700
    pieces = (
        frame(b"\1a", first=2)
        + frame(b"", first=0x89)
        + frame(b"b", first=0x80)
        + frame(b"\1" + large)
        + status()
    )
    number = ask_again(OPEN, *(send(pieces[at : at + 9973]) for at in range(0, len(pieces), 9973)))
    said = ask_again.link.finish(number)

    assert said.stdout == b"ab" + large
    assert said.exit["code"] == 0


def test_input_goes_in_masked_frames_and_its_end_behind_it(ask_again):
    number = ask_again(OPEN, ["await", 2], ["tell"], send(status()))
    ask_again.link.say(wire.STDIN, number, b"x" * 300)
    ask_again.link.say(wire.EOF, number)
    said = ask_again.link.finish(number)
    frames = json.loads(said.stdout)

    assert [one[:3] for one in frames] == [[0x82, 1, "00000000"]] * 2
    assert [bytes.fromhex(one[3]) for one in frames] == [b"\0" + b"x" * 300, b"\xff\0"]


def test_the_size_comes_first_and_a_terminal_has_no_end_of_input(ask_again):
    number = ask_again(OPEN, ["await", 3], ["tell"], send(status()), tty=[80, 24])
    ask_again.link.say(wire.EOF, number)
    ask_again.link.say(wire.STDIN, number, b"k")
    ask_again.link.streams[number].started or ask_again.link.until(
        lambda: ask_again.link.streams[number].started
    )
    ask_again.link.send(wire.encode_size(number, 100, 30))
    frames = [bytes.fromhex(one[3]) for one in json.loads(ask_again.link.finish(number).stdout)]

    assert frames == [b'\4{"Width": 80, "Height": 24}', b"\0k", b'\4{"Width": 100, "Height": 30}']


def test_a_ping_is_answered_before_input_that_waits(ask_again):
    number = ask_again(OPEN, send(frame(b"hi", first=0x89)), ["await", 1], ["tell"], send(status()))
    frames = json.loads(ask_again.link.finish(number).stdout)

    assert frames[0] == [0x8A, 1, "00000000", b"hi".hex()]


def test_the_handshake_says_who_asks(ask_again):
    number = ask_again(OPEN, ["head"], send(status()), headers=[["Impersonate-User", "ann"]])
    head = ask_again.link.finish(number).stdout

    assert b"\r\nHost: localhost\r\n" in head
    assert b"\r\nImpersonate-User: ann" in head
    assert b"\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n" in head


@pytest.mark.parametrize(
    ("steps", "code", "body"),
    [
        ([send(b'HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n{"code":404}')], 404, '{"code":404}'),
        ([send(b"HTTP/1.1 403 Forbidden\r\n\r\n"), ["end"]], 403, ""),
        (
            [send(CHUNKED + b'6\r\n{"code\r\nA;x=y\r\n":\r\n403.0}\r\n0\r\n\r\n'), ["end"]],
            403,
            '{"code":\r\n403.0}',
        ),
        ([send(CHUNKED + b"6\r\nabcd"), ["end"]], 403, "abcd"),
        ([send(CHUNKED + b"-1\r\nabcd\r\nx\r\n"), ["end"]], 403, ""),
        ([send(CHUNKED + b"1000\r\n" + b"y" * 4096)], 403, "y" * 4000),
        ([send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Le", b"ngth: 2\r\n\r\nno"), ["end"]], 502, "no"),
        ([["open", "v4.channel.k8s.io"]], 101, ""),
        ([send(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")], 101, ""),
        ([send(b"HTTP/1.1 101 OK\r\nUpgrade: SPDY/3.1\r\n\r\n")], 101, ""),
        ([send(b"SSH-2.0-x\r\n\r\n")], 0, ""),
        ([send(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000)], 0, ""),
    ],
)
def test_a_refusal_is_passed_on_and_no_command_has_begun(ask_again, steps, code, body):
    said = ask_again.link.finish(ask_again(*steps))

    assert (said.exit["refused"], said.exit["body"], said.started) == (code, body, None)


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"\1x", first=0xC2), frame(b"\1x", first=0x81), frame(b"\1x", first=0x83), frame(b"\1x", first=0x80),
        frame(b"\1", first=2) + frame(b"\1x"), frame(b"", first=9), frame(b"x" * 126, first=0x89), frame(b"\3", first=0x88),
        frame(b"\5x"), b"\x82\x82\1\2\3\4xx", b"\x82\x7e\0\2xx", b"\x82\x7f" + bytes(7) + b"\2xx", b"\x82\x7f\xff" + bytes(7),
    ],
    ids=[
        "reserved", "text", "opcode", "continues-nothing", "begins-within", "fragmented-ping", "long-ping", "half-code",
        "no-stream", "masked", "length-16", "length-64", "length-63",
    ],
)  # fmt: skip
def test_a_broken_rule_ends_the_command_by_name(ask_again, sent):
    said = ask_again.link.finish(ask_again(OPEN, send(frame(b"\1before")), ["sleep", 0.02], send(sent)))

    assert said.exit["error"].startswith("the API server broke a rule: ")
    assert said.exit["lost"]
    assert said.stdout == b"before"


@pytest.mark.parametrize("wrong", [frame(b"\1x", first=0xC2), frame(b"\5x")], ids=["frame", "stream"])
def test_what_comes_in_one_read_before_a_broken_rule_is_not_lost(ask_again, wrong):
    said = ask_again.link.finish(ask_again(OPEN, send(frame(b"\1before"), wrong)))
    ended = ask_again.link.finish(ask_again(OPEN, send(frame(b"\1before"), frame(b"\3" + SUCCESS), wrong)))

    assert said.exit["error"].startswith("the API server broke a rule: ")
    assert ended.exit["code"] == 0
    assert said.stdout == ended.stdout == b"before"


@pytest.mark.parametrize(
    "text", [b"no json", b"[]", b"{}", b'{"status":"Failure","reason":"NonZeroExitCode"}', b"[" * 60000]
)
def test_a_status_that_is_none_ends_the_command_by_name(ask_again, text):
    said = ask_again.link.finish(ask_again(OPEN, send(status(text))))

    assert said.exit["error"] == "the API server ended the command with what is no Status"
    assert said.exit["lost"]


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([OPEN, send(frame(b"\1x")), ["end"]], "the connection to the API server: closed"),
        (
            [OPEN, send(frame(b"\x03\xe8", first=0x88))],
            "the connection to the API server: closed without a status",
        ),
        ([["end"]], "no answer: the connection was closed"),
    ],
)
def test_an_end_without_a_status_is_no_success(ask_again, steps, error):
    said = ask_again.link.finish(ask_again(*steps))

    assert (said.exit["error"], said.exit["lost"]) == (error, True)


def test_a_status_whose_close_is_lost_counts(ask_again):
    said = ask_again.link.finish(ask_again(OPEN, send(frame(b"\3" + SUCCESS)), ["end"]))

    assert said.exit["code"] == 0


def test_no_answer_in_time(ask_again):
    said = ask_again.link.finish(ask_again(["sleep", 5], answer=0.1))

    assert said.exit["error"] == "no answer within 0.1 s"
    assert said.exit["errno"]


def test_a_killed_proxy_ends_its_commands_and_the_next_one_is_another_generation(ask):
    number = ask(OPEN, send(frame(b"\1x")))
    ask.link.until(lambda: ask.link.streams[number].stdout)
    ask.link.finish(ask(["die"]))
    said = ask.link.finish(number)

    assert said.exit["lost"]
    again = ask.link.finish(ask(OPEN, send(status())))
    assert (again.exit["code"], again.exit["generation"]) == (0, 2)
    assert ask.link.finish(ask(OPEN, send(status()), generation=1)).exit["other"] == 2


def test_a_proxy_that_does_not_start_is_said(shared_link):
    exec_ = {"path": "/x", "protocols": [V5], "proxy": {"argv": ["/nowhere/kubectl"]}}
    said = shared_link.finish(shared_link.ask(exec=exec_))

    assert said.exit["proxy"]["errno"] == 2
    assert said.started is None


def test_commands_wait_where_the_proxys_socket_is_full(ask, kubectl):
    text = scripted_api.PROGRAM.replace("{python}", sys.executable)
    slow = text.replace("listen(64)", "listen(0)").replace(
        "\nwhile True:\n", "\ntime.sleep(0.2)\nwhile True:\n"
    )
    Path(kubectl).write_text(slow)
    said = [ask.link.finish(number) for number in [ask(OPEN, send(status())) for _ in range(5)]]

    assert [one.exit["code"] for one in said] == [0] * 5


def test_commands_wait_for_the_next_proxy_too_where_the_first_one_refused(ask, kubectl):
    """Many come at once where a proxy has just died."""
    text = scripted_api.PROGRAM.replace("{python}", sys.executable)
    once = "listener.listen(0)\nif not os.path.exists(sys.argv[0] + '.had'):\n    listener.close()\n"
    once += "    open(sys.argv[0] + '.had', 'w')\n    print('Starting to serve on', path, flush=True)\n    time.sleep(60)\n"
    slow = text.replace("listener.listen(64)\n", once).replace(
        "\nwhile True:\n", "\ntime.sleep(0.2)\nwhile True:\n"
    )
    Path(kubectl).write_text(slow)
    said = [ask.link.finish(number) for number in [ask(OPEN, send(status()), answer=5.0) for _ in range(5)]]

    assert [(one.exit.get("code"), one.exit["generation"]) for one in said] == [(0, 2)] * 5


def test_a_command_without_a_descriptor_ends_alone(ask, kubectl):
    """The proxy, and who has a connection, go on."""
    text = scripted_api.PROGRAM.replace("{python}", sys.executable)
    wait = "\nopen(sys.argv[0] + '.began', 'w')\nwhile not os.path.exists(sys.argv[0] + '.go'):\n    time.sleep(0.01)\nprint("
    Path(kubectl).write_text(text.replace("\nprint(", wait))
    numbers = [ask(OPEN, send(status())) for _ in range(3)]
    pid = ask.link.about["pid"]
    assert becomes(lambda: Path(f"{kubectl}.began").exists())
    had = {int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()}
    free = [number for number in range(len(had) + 2) if number not in had]
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[1], limits[1]))
    Path(f"{kubectl}.go").touch()
    said = [ask.link.finish(number) for number in numbers]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    assert sorted(one.exit.get("errno", 0) for one in said) == [0, errno.EMFILE, errno.EMFILE]
    assert [one.exit["code"] for one in said if "errno" not in one.exit] == [0]
    assert ask.link.finish(ask(OPEN, send(status()))).exit == {
        "generation": 1,
        "code": 0,
        "status": SUCCESS.decode(),
    }


def test_end_closes_the_connection_and_what_comes_after_is_run(ask_again, lasting):
    after = {"path": path(OPEN, send(frame(b"\1looked"), status())), "protocols": [V5]}
    after["proxy"] = {"argv": [str(lasting.directory / "kubectl"), "proxy"]}
    number = ask_again(OPEN, send(frame(b"\1x")), after=[{"exec": after}], after_if="ended", after_tag="t")
    ask_again.link.until(lambda: ask_again.link.streams[number].stdout)
    ask_again.link.say(wire.END, number)
    said = ask_again.link.finish(number)
    ask_again.link.until(lambda: ask_again.link.afters)

    assert said.exit["after"] is True
    assert ask_again.link.afters[0]["results"][0]["out"] == "looked"


def test_a_relay_that_is_told_to_end_does_what_comes_after_and_leaves(far, ask, kubectl):
    """With the proxy that there is, which ends last."""
    looks = {
        "path": path(OPEN, send(frame(b"\1looked"), status())),
        "protocols": [V5],
        "proxy": {"argv": [kubectl, "proxy"]},
    }
    marks = [far.directory / f"mark-{number}" for number in range(4)]
    after = [[{"exec": looks}, ["touch", str(mark)]] for mark in marks]
    numbers = [ask(OPEN, send(frame(b"\1x")), after=each) for each in after]
    ask.link.until(lambda: all(ask.link.streams[number].stdout for number in numbers))
    os.kill(ask.link.about["pid"], signal.SIGTERM)
    ask.link.until(lambda: ask.link.closed)

    assert ask.link.bye == "the relay was told to end"
    assert far.gone(10.0)
    assert [mark.exists() for mark in marks] == [True] * 4


def test_nothing_comes_after_a_command_that_ended_by_itself(ask_again, lasting):
    after = {
        "path": path(OPEN),
        "protocols": [V5],
        "proxy": {"argv": [str(lasting.directory / "kubectl"), "proxy"]},
    }
    said = ask_again.link.finish(ask_again(OPEN, send(status()), after=[{"exec": after}], after_if="ended"))

    assert "after" not in said.exit


def test_a_named_command_outlives_its_link(ask_again, lasting):
    number = ask_again(
        OPEN,
        send(frame(b"\1first")),
        ["await", 2],
        send(frame(b"\1second"), status()),
        name="a",
        tty=[80, 24],
    )
    ask_again.link.until(lambda: ask_again.link.streams[number].stdout == b"first")
    ask_again.link.leave()
    link = lasting.link_at_hand()
    again = link.ask(attach="a", offset=5)
    link.until(lambda: link.streams[again].started)
    link.say(wire.STDIN, again, b"k")
    said = link.finish(again)

    assert (said.stdout, said.exit["code"]) == (b"second", 0)
    link.say(wire.END, again)


def test_a_silent_server_is_pinged_and_then_given_up(ask_again):
    said = ask_again.link.finish(ask_again(OPEN, ["await", 1], ["tell"], ["await", 2], silence=0.3))

    assert said.exit["error"] == "the connection to the API server: silent for 0.3 s"
    assert json.loads(said.stdout) == [[0x89, 1, "00000000", ""]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "no"}, {"path": "/a b"}, {"path": "/a\r\nX: y"}, {"protocols": []}, {"protocols": ["a b"]},
        {"headers": [["a", "b\r\nc: d"]]}, {"headers": [["a:", "b"]]}, {"headers": ["a"]}, {"answer": 0}, {"generation": -1},
        {"proxy": None}, {"silence": "x"},
    ],
)  # fmt: skip
def test_a_request_that_breaks_a_rule_ends_the_link(shared_link, wrong):
    link = shared_link
    link.ask(exec={"path": "/x", "protocols": [V5], "proxy": {"argv": ["k"]}, **wrong})
    assert becomes(lambda: link.step(0.1) and link.bye)
