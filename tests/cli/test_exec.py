"""`dap exec` and `dap run` with pipes, against a scripted gateway."""

import asyncio
import os
import signal
import subprocess

import pytest
from support.beside import beside
from support.dap import DAP, on_a_terminal
from support.fake_gateway import a_failure, fake_gateway, fake_tcp_gateway
from support.repeated import again

from gateway.cli.commands.open import target
from gateway.protocol.messages import Control, Output
from gateway.protocol.outcome import Outcome


async def echo(client):
    """Sends back all it got, then ends with 0."""
    await client.hello()
    await client.out(await client.input())
    await client.end(0)


def ending(outcome, out=b"", err=b""):
    async def script(client):
        await client.hello()
        if out:
            await client.out(out)
        if err:
            await client.out(err, 2)
        await client.end(outcome)

    return script


async def test_output_goes_to_stdout_and_stderr_and_the_exit_code_is_the_command_s(home):
    async with fake_gateway(ending(3, b"out\n", b"err\n"), home.socket) as gateway:
        command = ("ls", "-n", "--", "a b", "--kill-on-disconnect")
        done = await home.dap("exec", "web-0", "-n", "shop", "-c", "nginx", "--", *command)

    assert (done.code, done.out, done.err) == (3, b"out\n", "err\n")
    assert gateway.clients[0].path == "/api/v1/namespaces/shop/pods/web-0/exec"
    assert gateway.clients[0].query == [
        *(("command", word) for word in command),
        ("container", "nginx"), ("stdout", "true"), ("stderr", "true"),
    ]  # fmt: skip


async def test_no_input_is_asked_where_stdin_is_the_null_device(home):
    """An end of input that nobody reads may cost the cluster the exit code."""
    async with fake_gateway(ending(3), home.socket) as gateway:
        nothing = await home.dap("exec", "web-0", "-i", "--", "true", stdin=subprocess.DEVNULL)

    assert nothing.code == 3
    assert "stdin" not in dict(gateway.clients[0].query)


async def test_binary_input_comes_through_and_ends_with_a_half_close(home):
    """Pipes are exact, and their end is the command's EOF."""
    data = os.urandom(1 << 20) + bytes(range(256))
    async with fake_gateway(echo, home.socket) as gateway:
        done = await home.dap("exec", "web-0", "-i", "--", "cat", data=data)

    assert done.code == 0
    assert done.out == data
    assert ("stdin", "true") in gateway.clients[0].query


async def test_input_from_a_file(home, tmp_path):
    """What epoll does not take."""
    (tmp_path / "data").write_bytes(b"x" * 100_000)
    async with fake_gateway(echo, home.socket):
        with (tmp_path / "data").open("rb") as file:
            from_file = await home.dap("exec", "web-0", "-i", "--", "cat", stdin=file)

    assert from_file.out == b"x" * 100_000


def test_a_wrong_place_for_the_command_is_told(called):
    """Everything after -- is the command; without it there is a hint, and exit 2."""
    missing = called("exec", "web-0", "ls", "-l", "/")
    nothing = called("exec", "web-0")
    empty = called("exec", "web-0", "--")
    unknown = called("exec", "web-0", "--nonsense", "--", "ls")

    assert [done.code for done in (missing, nothing, empty, unknown)] == [2, 2, 2, 2]
    assert "put -- before the command: … -- ls -l /" in missing.err
    assert "after --" in nothing.err
    assert "No such option '--nonsense'" in unknown.err


def test_a_hop_that_failed_is_named_and_gives_125(home, called):
    with beside(fake_gateway(ending(Outcome("ssh_lost", "gone \x1b[2J\x9b")), home.socket)):
        done = called("exec", "web-0", "--", "ls")

    assert done.code == 125
    assert done.err == "dap: ssh: gone \\x1b[2J\\x9b (ssh_lost)\n"


def test_a_refusal_has_the_exit_status_of_its_cause(home, called):
    async def script(client):
        await client.refuse(Outcome("start_failed", 'exec: "nope": executable file not found in $PATH'))

    with beside(fake_gateway(script, home.socket)):
        done = called("exec", "web-0", "--", "nope")

    assert done.code == 127
    assert done.err == 'dap: pod: exec: "nope": executable file not found in $PATH (start_failed)\n'


def test_words_of_a_newer_gateway_are_passed_on(home, called):
    async def script(client):
        end = {"type": "end", "code": "warp_lost", "hop": "warp", "message": "core breach", "exitCode": None}
        await client.hello()
        await client.say(Control({"type": "never-heard-of"}), Control(end), Output(9, b"?"))
        await client.end(Outcome("gateway_error"))

    with beside(fake_gateway(script, home.socket)):
        done = called("exec", "web-0", "--", "ls")

    assert done.code == 125
    assert "(" in done.err


def test_a_gateway_that_vanishes_is_a_failed_hop(home, called):
    async def script(client):
        await client.hello()
        await client.out(b"some")
        client.connection.transport.abort()

    with beside(fake_gateway(script, home.socket)):
        done = called("exec", "web-0", "--", "ls")

    assert (done.code, done.out) == (125, b"some")
    assert done.err == "dap: gateway: the connection to the gateway was lost (gateway_lost)\n"


def test_a_refused_upgrade_is_told_in_the_words_of_its_status(home, called):
    refuse = (403, a_failure(403, "Origin is not allowed"))
    with beside(fake_gateway(echo, home.socket, refuse=refuse)):
        done = called("exec", "web-0", "--", "ls")

    assert done.code == 125
    assert done.err == "dap: gateway: the gateway refused: Origin is not allowed (gateway_refused)\n"


def test_names_that_cannot_be_are_refused_here(called):
    bad = called("exec", "Web_0", "--", "ls")
    nul = called("exec", "web-0", "--", b"\xff".decode("utf-8", "surrogateescape"))

    assert (bad.code, nul.code) == (2, 2)
    assert "is not a pod name" in bad.err
    assert "not valid UTF-8" in nul.err


async def test_ctrl_c_ends_the_session_with_130(home):
    async def script(client):
        await client.hello()
        await client.out(b"ready")
        await client.receive()

    async with fake_gateway(script, home.socket) as gateway:
        process = await home.start("exec", "web-0", "-i", "--", "cat")
        assert await process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGINT)
        code = await process.wait()
        await gateway.closed.wait()
        err = await process.stderr.read()

    assert (code, err) == (130, b"")


async def test_ctrl_c_ends_it_where_the_gateway_takes_no_input(home):
    """The close does not get there behind what waits: the connection is cut."""
    over = asyncio.Event()

    async def script(client):
        await client.hello()
        await client.out(b"ready")
        await over.wait()

    async with fake_gateway(script, home.socket):
        process = await home.start("exec", "web-0", "-i", "--", "sleep", "1000")
        assert await process.stdout.read(5) == b"ready"
        process.stdin.write(bytes(64 << 20))
        await asyncio.sleep(1)
        process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(process.wait(), 8)
        over.set()

    assert code == 130


async def test_a_reader_that_goes_away_ends_it_quietly(home):
    """As `dap exec … -- yes | head -1`."""

    async def script(client):
        await client.hello()
        while True:
            await client.out(b"y\n" * 16384)

    async with fake_gateway(script, home.socket) as gateway:
        process = await home.start("exec", "web-0", "--", "yes")
        assert await process.stdout.read(2) == b"y\n"
        process.stdout._transport.close()
        code = await process.wait()
        await gateway.closed.wait()
        err = await process.stderr.read()

    assert (code, err) == (141, b"")


async def test_a_blocked_stdout_stops_the_sender_and_loses_nothing(home):
    """While nobody reads, the gateway is held back by TCP; signals still work, and all arrives in the end."""
    size = 16 << 20  # more than all on the way takes up

    async def script(client):
        await client.hello()
        for _ in range(size >> 15):
            await client.out(b"z" * 32768)
        await client.end(0)

    async with fake_gateway(script, home.socket) as gateway:
        process = await home.start("exec", "web-0", "--", "cat", "big")
        await asyncio.sleep(0.5)
        assert not gateway.closed.is_set()
        out, err = await process.communicate()

    assert (len(out), process.returncode, err) == (size, 0, b"")


def test_run_goes_to_the_runner(home, called):
    with beside(fake_gateway(ending(0), home.socket)) as gateway:
        done = called("run", "--cluster", "east", "--", "kubectl", "get", "pods", "-A")

    assert done.code == 0
    assert gateway.clients[0].path == "/gateway/v1/clusters/east/run"
    assert gateway.clients[0].argv == ["kubectl", "get", "pods", "-A"]


def test_a_pod_of_a_workload_in_another_cluster(home, called):
    """Its kind may be written as kubectl prints it; and that the command is to be killed is asked of the gateway."""
    with beside(fake_gateway(ending(0), home.socket)) as gateway:
        words = ("deployment.apps/api", "--cluster", "east", "-n", "shop", "--kill-on-disconnect")
        called("exec", *words, "--", "sleep", "9")

    assert gateway.clients[0].path == "/clusters/east/api/v1/namespaces/shop/pods/deployment%2Fapi/exec"
    assert ("killOnDisconnect", "true") in gateway.clients[0].query


@pytest.mark.parametrize(
    ("verb", "more", "wanted"),
    [
        ("exec", [], (1, 1)), ("shell", [], (1, 1)), ("exec", ["-n", "shop"], (0, 1)), again("shell", ["-n", "shop"], (0, 1)),
        again("exec", ["-q"], (0, 0)), ("shell", ["-q"], (0, 0)),
    ],
)  # fmt: skip
async def test_whoever_sits_there_is_told_what_is_to_be_known_of_the_pod(home, verb, more, wanted):
    """A namespace that was not named, and the gateway's note."""

    async def script(client):
        where = {"cluster": "default", "namespace": "shop", "pod": "api-1", "container": "main"}
        note = "deploy/api has no ready pod; this is api-1, which runs, and is not ready"
        await client.say(
            Control({"type": "hello", "session": "s1", "tty": False, "target": where, "note": note})
        )
        await client.end(0)

    lines = (
        b"dap: api-1 in namespace shop, the default there (-n names another)",
        b"dap: deploy/api has no ready pod; this is api-1, which runs, and is not ready",
    )
    async with fake_gateway(script, home.socket):
        async with on_a_terminal(home, verb, "deploy/api", *more, "--", "ls") as screen:
            assert await screen.ended() == 0
        assert tuple(screen.seen.count(line) for line in lines) == wanted


@pytest.mark.repetition
def test_a_pod_may_be_named_with_a_kind_in_capitals(home, called):
    with beside(fake_gateway(ending(0), home.socket)) as gateway:
        called("exec", "Deployment/api", "-n", "shop", "--", "ls")

    assert gateway.clients[0].path == "/api/v1/namespaces/shop/pods/deployment%2Fapi/exec"


def test_a_link_may_name_a_pod_as_kubectl_prints_it():
    assert target("deployment.apps/api", "default", "shop", None).path() == "default/shop/deployment%2Fapi"
    assert target("Pod/web-0", "default", "shop", None).path() == "default/shop/pod%2Fweb-0"


async def test_a_terminal_is_not_given_without_one_here(home):
    """As kubectl: a warning, and the command runs without."""
    async with fake_gateway(echo, home.socket) as gateway:
        done = await home.dap("exec", "-it", "web-0", "--", "cat", data=b"hi")

    assert (done.code, done.out) == (0, b"hi")
    assert done.err == "dap: stdin is no terminal, so the command gets none either\n"
    assert ("tty", "true") not in gateway.clients[0].query


@pytest.mark.parametrize("more", [again([]), ["-n", ""]])
def test_a_url_takes_the_token_along(called, more):
    """And a namespace that is not named is the gateway's to find."""
    with beside(fake_tcp_gateway(ending(0))) as (gateway, url):
        env = {"DAP_GATEWAY_URL": url, "DAP_GATEWAY_TOKEN": "t0ken"}
        done = called("exec", "deploy/api", *more, "--", "ls", env=env)

    assert (done.code, done.err) == (0, "")
    assert gateway.clients[0].headers["Authorization"] == "Bearer t0ken"
    assert gateway.clients[0].path == "/gateway/v1/clusters/default/pods/deploy%2Fapi/exec"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DAP_GATEWAY_URL": "ftp://x"}, "gateway.url"),
        ({"DAP_GATEWAY_URL": "http://dap.example.com", "DAP_GATEWAY_TOKEN": "t"}, "use https"),
        ({"DAP_GATEWAY_URL": "https://dap.example.com"}, "DAP_GATEWAY_TOKEN"),
        ({"DAP_RUNNER_MODE": "fast"}, "clusters.default.mode"),
    ],
)
def test_settings_of_no_use_are_one_line_and_exit_2(called, env, words):
    done = called("exec", "web-0", "--", "ls", env=env)

    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1


def test_a_gateway_that_is_not_there(called):
    env = {"DAP_GATEWAY_URL": "http://127.0.0.1:1", "DAP_GATEWAY_TOKEN": "t"}
    done = called("exec", "web-0", "--", "ls", env=env)

    assert done.code == 125
    assert done.err.startswith("dap: gateway: cannot reach the gateway at http://127.0.0.1:1: ")
    assert done.err.count("\n") == 1


async def test_a_closed_stdin_is_none(home):
    async with fake_gateway(ending(3), home.socket) as gateway:
        shell = ["sh", "-c", 'exec "$@" <&-', "sh", *DAP, "exec", "web-0", "-i", "--", "cat"]
        process = await asyncio.create_subprocess_exec(*shell, env=home.env)
        code = await process.wait()

    assert code == 3
    assert "stdin" not in dict(gateway.clients[0].query)
