"""`dap serve` as a process: how it starts, how it stops, and what it says when it cannot."""

import asyncio
import json
import os
import re
import signal
import socket
from contextlib import asynccontextmanager

import pytest
from support.dap import environment, on_a_terminal
from support.exec_client import Access, Request, run
from support.peer import OWN, UPGRADE, once, peer
from support.repeated import again
from support.waiting import until

from gateway.errors import ConfigError
from gateway.protocol.subprotocols import OWN as OWN_ROW
from gateway.protocol.subprotocols import V5
from gateway.server import listen
from gateway.server.local_socket import LocalSocket
from gateway.server.run import serve
from gateway.server.run import token as own_token
from gateway.settings.loader import load
from gateway.settings.paths import socket_paths

NAP = f"9{os.getpid()}"  # seconds that nothing else on this machine sleeps for
pytestmark = pytest.mark.timeout(40)


@asynccontextmanager
async def serving(home):
    """(process, URL) of a `dap serve --demo` that is ready, and prints no link where no terminal is."""
    words = ("serve", "--demo", "--listen", "127.0.0.1:0", "--log", "json")
    process = await home.start(*words, stdin=asyncio.subprocess.DEVNULL)
    try:
        line = (await process.stdout.readline()).decode()
        assert line, (await process.stderr.read()).decode()
        assert await process.stdout.readline() == b"dap: for a link to open in a browser: dap open\n"
        yield process, re.search(r"http://\S+", line)[0]
    finally:
        if process.returncode is None:
            process.terminate()  # it removes what it made
        await process.communicate()


def opened_link(called):
    """The link that `dap open` prints."""
    done = called("open")
    assert (done.code, done.err) == (0, "")
    return done.out.decode().strip()


async def test_a_stop_is_told_to_every_session_and_ends_well(home, called):
    """SIGTERM: Status, close 1000, the reason, exit 0 within 10 s, and nothing left of what ran."""
    async with serving(home) as (process, url):
        link = opened_link(called)
        access = Access(url, socket=str(home.socket))
        began = [asyncio.Event() for _ in range(4)]
        commands = (
            ("cat",), ("sh", "-c", f"trap '' TERM HUP INT; echo up; sleep {NAP}"), ("sleep", NAP), ("sh",),
        )  # fmt: skip

        async def one(number):
            async def script(_):
                began[number].set()

            streams = ("stdin", "stdout", "tty") if commands[number] == ("sh",) else ("stdin", "stdout")
            row = OWN_ROW if number % 2 else V5
            return await run(access, Request(commands[number], streams=streams), script, row=row, seconds=15)

        async with asyncio.TaskGroup() as tasks, asyncio.timeout(12):
            talks = [tasks.create_task(one(number)) for number in range(4)]
            for event in began:
                await event.wait()
            await until_metric(home, 'dap_ssh{cluster="default",what="channels"} 4.0')
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            _, err = await process.communicate()
        assert process.returncode == 0
    for number, talk in enumerate(talks):
        said = talk.result()
        assert said.close_code == 1000
        assert said.status.code == 503
        assert "gateway: the gateway was stopped (shutdown)" in said.status.message
        if number % 2:
            assert (said.controls[-1]["code"], said.controls[-1]["hop"]) == ("shutdown", "gateway")
    events = [json.loads(line)["event"] for line in err.decode().splitlines() if line.startswith("{")]
    assert events.count("session_closed") == events.count("session_opened") == 4
    assert events[-1] == "stopped"
    assert "Traceback" not in err.decode()
    assert link.partition("#ticket=")[2] not in err.decode()
    assert not home.socket.exists()
    assert not [name for name in running_commands() if NAP in name]


async def until_metric(home, line):
    """Waits until /metrics has it."""

    async def has_line():
        return line in (await once(str(home.socket), "GET", "/metrics")).body.decode()

    await until(has_line, 5)


def running_commands():
    from pathlib import Path

    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


async def test_a_stop_does_not_wait_for_a_client_that_does_not_read(home):
    """Ctrl-C this time."""
    async with serving(home) as (process, url), peer(str(home.socket)) as client, peer(url) as idle:
        client.writer.transport.pause_reading()
        client.request("GET", Request(("cat", "/dev/zero"), streams=("stdout",)).path(), [*UPGRADE, OWN])
        idle.send(b"GET / HT")
        await until_metric(home, 'dap_ssh{cluster="default",what="channels"} 1.0')
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_a_link_lets_a_browser_in_once_and_a_second_gateway_is_refused(home, called):
    """At a socket that a crash has left."""
    home.socket.parent.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home.socket))

    async with serving(home) as (_, url):
        assert (await once(str(home.socket), "GET", "/healthz")).code == 200
        assert json.loads(called("access", "--json").out)["access"] == [], "no link was made for nobody"
        link = opened_link(called)
        assert link.startswith(f"{url}/#ticket=")
        body = json.dumps({"ticket": link.partition("=")[2]}).encode()
        assert (await once(url, "POST", "/gateway/v1/token", body=body)).code == 200
        assert (await once(url, "POST", "/gateway/v1/token", body=body)).code == 401
        token = home.path / "state" / "dap" / "token"
        assert token.stat().st_mode & 0o777 == 0o600
        proof = ("Authorization", f"Bearer {token.read_text().strip()}")
        assert (await once(url, "GET", "/gateway/v1/info", (proof,))).code == 200

        one_line(
            await home.dap("serve", "--listen", "127.0.0.1:0", env=SOMEWHERE),
            2,
            "already listens",
            "gateway.sock",
        )
        assert (await once(str(home.socket), "GET", "/healthz")).code == 200
        port = url.rpartition(":")[2]
        with pytest.raises(ConfigError, match="in use"), listen.loopback(f"127.0.0.1:{port}"):
            pass
        assert (await once(str(home.socket), "GET", "/healthz")).code == 200
        doctor = await home.dap("doctor")
        assert doctor.code == 0, "who has no settings asks the gateway that runs"
        assert [line.split()[:2] for line in doctor.out.decode().splitlines()][-2:] == [
            ["PASS", "runner"], ["PASS", "cluster"],
        ]  # fmt: skip


async def test_a_terminal_is_shown_a_link(home, called):
    async with on_a_terminal(home, "serve", "--demo", "--listen", "127.0.0.1:0") as screen:
        shown = await screen.until(b"\n") + await screen.until(b"\n") + await screen.until(b"\r\n")
        while b"#ticket=" not in shown:
            shown += await screen.until(b"\r\n")
        assert b"dap open" not in shown
        (row,) = json.loads(called("access", "--json").out)["access"]
        assert row["kind"] == "ticket"
        # the shell that leads the session does not pass SIGHUP on, as make does not
        assert await screen.hang_up() in (0, 120)  # 120 is Python's own: its last flush fails


async def test_a_closed_stderr_ends_no_session(home):
    """Its reader went away: lines are lost, and nothing else. Its terminal's window is closed: all that it made is gone."""
    async with serving(home) as (process, url):
        process._transport.get_pipe_transport(2).close()
        for _ in range(2):
            said = await run(Access(url, socket=str(home.socket)), Request(("sh", "-c", "echo $DAP_DEMO")))
            assert b"/dap-demo-" in (directory := said.stdout.strip())
        for _ in range(2):  # one of the kernel, one of the shell, where a terminal's window is closed
            process.send_signal(signal.SIGHUP)
        assert await process.wait() in (0, 120)  # 120 is Python's own: its last flush fails
    assert not [line for line in running_commands() if directory.decode() in line]
    assert not (home.path / "state" / "dap" / "relay").exists(), "the next demo would ask this one's relay"


# what cannot start
SOMEWHERE = {"DAP_RUNNER_SSH_HOST": "127.0.0.1:1"}


def test_without_a_cluster_it_says_how_to_name_one(home, called):
    one_line(called("serve", "--listen", "127.0.0.1:0"), 2, "no cluster is configured", "dap config init")
    assert not home.socket.exists()
    done = called("exec", "web-0", "--", "true")
    one_line(done, 2, "no cluster is configured")


def one_line(done, code, *words):
    assert done.code == code, done
    lines = [line for line in done.err.splitlines() if line.startswith("dap: ")]
    assert len(lines) == 1, done.err
    assert done.err.splitlines()[-1] == lines[0]
    for word in words:
        assert word in lines[0]
    assert "Traceback" not in done.err


def test_a_port_in_use_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name in ("127.0.0.1", "localhost"):
            said = rf"^.* port {port}: the port is in use; .*\Z"
            with pytest.raises(ConfigError, match=said), listen.loopback(f"{name}:{port}"):
                pass


def test_of_two_that_start_at_once_one_listens(tmp_path):
    """Before either serves: bound with SO_REUSEADDR both would be."""
    with listen.loopback("127.0.0.1:0") as (first,):
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match="in use"), listen.loopback(f"127.0.0.1:{port}"):
            pass
    with listen.unix(tmp_path / "s" / "x.sock"):
        with pytest.raises(ConfigError, match="already listens"), listen.unix(tmp_path / "s" / "x.sock"):
            pass
        assert (tmp_path / "s" / "x.sock").exists()


@pytest.mark.parametrize(
    "where",
    [
        "0.0.0.0:0", "[::]:0", "example.com:80", "localhost", "localhost:x", ":8080", "127.0.0.1:70000", "192.168.0.1:80",
        "", ":", "localhost:-1", "127.1:80", "localhost.:80", "[::1%lo]:80",
    ],
)  # fmt: skip
def test_what_is_not_loopback_is_refused(where):
    """Plain http would carry tokens over the network."""
    with pytest.raises(ConfigError, match="listen on"), listen.loopback(where):
        pass


@pytest.mark.parametrize(
    "url", ["https://ann:s3cret@gate", again("https://ann:s3/cret@gate"), again("https://gate:ann")]
)
def test_a_public_url_with_a_password_is_refused(called, url):
    """Every link would have it."""
    done = called("serve", "--listen", "127.0.0.1:0", env=SOMEWHERE | {"DAP_GATEWAY_PUBLIC_URL": url})
    one_line(done, 2, "gateway.public_url is 'https://")
    assert "s3" not in done.err


def test_the_token_of_a_file_may_hold_nothing_that_a_header_cannot(tmp_path):
    file = tmp_path / "token"
    file.write_text("s3cret s3cret s3cret\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        own_token(tmp_path)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("token", [again("a"), "fifteen-letters"])
async def test_a_token_that_could_be_guessed_is_refused(home, token):
    config = load(env=home.env | SOMEWHERE | {"DAP_GATEWAY_TOKEN": token})
    words = r"gateway\.token \(environment DAP_GATEWAY_TOKEN\) has fewer than 16 characters"
    with pytest.raises(ConfigError, match=words) as refused:
        await serve(config, banner=pytest.fail)
    assert token == "a" or token not in str(refused.value)


def test_a_refused_address_is_said_in_one_line(called):
    one_line(
        called("serve", "--listen", "0.0.0.0:0", env=SOMEWHERE),
        2,
        "beyond loopback",
        "DAP_GATEWAY_PUBLIC_URL",
    )


def test_settings_that_cannot_be_used_are_said_in_one_line(home, called):
    def refused(word):
        with pytest.raises(ConfigError, match=word) as said:
            load(env=home.env)
        assert "\n" not in str(said.value)

    config = home.path / "config" / "dap" / "config.toml"
    config.parent.mkdir(parents=True)
    for text, word in (
        ("not toml", "not valid TOML"),
        ("[nope]\n", "unknown table"),
        ("[gateway]\nlisten = 1\n", "listen"),
    ):
        config.write_text(text)
        refused(word)
    one_line(called("serve"), 2, word)
    config.write_bytes(b"\xff\xfe")
    refused(r"config\.toml")
    config.unlink()
    config.mkdir()
    refused(r"config\.toml")


async def test_a_token_that_others_can_read_is_said_in_one_line(home):
    token = home.path / "state" / "dap" / "token"
    token.parent.mkdir(parents=True, mode=0o700)
    token.write_text("x" * 43)
    token.chmod(0o644)

    with environment(home, SOMEWHERE), pytest.raises(ConfigError, match=r"^.*chmod 600.*\Z"):
        await serve(load(), banner=pytest.fail)
    assert not home.socket.exists()


def test_a_directory_that_others_can_write_to_is_refused(home):
    """No other directory is tried instead."""
    home.socket.parent.mkdir(parents=True)
    home.socket.parent.chmod(0o777)

    with pytest.raises(ConfigError, match=r"writable by nobody else$"):
        LocalSocket(socket_paths(home.env), lambda _: True).open()
    assert not list(home.path.rglob("gateway.sock"))


def test_a_missing_key_is_named_to_whoever_asks(home, called):
    """The gateway runs, so that the page and doctor can say what is wrong; a command fails in one line."""
    env = {"DAP_RUNNER_SSH_KEY": str(home.path / "none"), "DAP_RUNNER_SSH_HOST": "127.0.0.1:1"}

    done = called("exec", "web-0", "--quiet", "--", "true", env=env)

    one_line(done, 125, "there is no such file (DAP_RUNNER_SSH_KEY names it)", "ssh_config")
