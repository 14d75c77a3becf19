"""`dap shell` on a real pseudo-terminal, against a scripted gateway."""

import asyncio
import os
import signal

import pytest
from support.dap import on_a_terminal
from support.fake_gateway import fake_gateway
from support.repeated import again
from support.waiting import until

from gateway.protocol.messages import Control
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import TerminalSize


async def mirror(client):
    """A program that says what it got, and ends with 5 on Ctrl-D."""
    await client.hello()
    await client.out(b"ready\r\n")
    while (key := await client.typed(1)) != b"\x04":
        await client.out(b"<" + key + b">")
    await client.end(5)


async def test_a_good_run_shows_nothing_of_ours_and_restores_the_terminal(home):
    async with fake_gateway(mirror, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        shown = await screen.until(b"ready\r\n")
        assert screen.raw
        screen.type(b"a\x03\r\x04")
        code = await screen.ended()

    assert code == 5
    assert shown + screen.seen == b"ready\r\n<a><\x03><\r>"
    assert screen.restored
    query = gateway.clients[0].query
    assert [name for name, _ in query] == ["stdin", "stdout", "tty", "columns", "rows", "resume"]
    assert query[-3:-1] == [("columns", "80"), ("rows", "24")]


async def test_ctrl_c_discards_what_has_no_credit_where_nothing_can_be_resumed(home):
    """As on the plain chain. And who hangs up ends the session, as ever."""
    arrived = []

    async def script(client):
        await client.say(
            Control({"type": "hello", "session": "s", "window": 1000}), Control({"type": "started"})
        )
        await client.out(b"ready")
        arrived.append(await client.typed(1000))
        await interrupted.wait()
        await client.say(Control({"type": "received", "offset": 1000}))
        arrived.append(await client.typed(1))
        await client.end(0)

    interrupted = asyncio.Event()
    async with fake_gateway(script, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        os.set_blocking(screen.master, True)
        await asyncio.to_thread(os.write, screen.master, b"x" * 3000)
        await until(lambda: arrived and not screen.unread)  # the paste is held when the key comes
        await asyncio.sleep(0.2)
        screen.type(b"\x03")
        await until(lambda: not screen.unread)
        await asyncio.sleep(0.2)
        interrupted.set()
        code = await screen.ended()

    assert code == 0
    assert arrived == [b"x" * 1000, b"\x03"]


async def test_what_is_typed_early_arrives_once_and_in_order(home):
    """Until the command runs nothing is read and nothing is echoed."""

    async def script(client):
        await client.hello(started=False)
        await client.out(b"")  # Headlamp's empty frame is no sign of life
        await go.wait()
        await mirror(client)

    go = asyncio.Event()
    async with fake_gateway(script, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        await gateway.joined.wait()
        assert not screen.echoing
        screen.type(b"ls\r")
        go.set()
        await screen.until(b"<\r>")
        screen.type(b"\x04")
        code = await screen.ended()

    assert code == 5


async def test_ctrl_c_before_the_command_runs_gives_up(home):
    async def script(client):
        await client.hello(started=False)
        await client.receive()

    async with fake_gateway(script, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        await gateway.joined.wait()
        screen.type(b"\x03")
        code = await screen.ended()

    assert code == 130
    assert screen.restored


async def test_a_lost_gateway_is_said_in_words_on_a_line_of_its_own(home):
    async def script(client):
        await client.hello()
        await client.out(b"$ vi")
        client.connection.transport.abort()

    async with fake_gateway(script, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        code = await screen.ended()

    assert code == 125
    assert screen.seen == b"$ vi\r\ndap: gateway: the connection to the gateway was lost (gateway_lost)\r\n"
    assert screen.restored


async def test_a_hop_that_fails_is_named(home):
    async def script(client):
        await client.hello(started=False)
        await client.end(Outcome("incus_stopped", "the instance is not running"))

    async with fake_gateway(script, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        code = await screen.ended()

    assert code == 125
    assert screen.seen == b"dap: incus: the instance is not running (incus_stopped)\r\n"
    assert screen.restored


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, again(signal.SIGHUP), signal.SIGINT, again(signal.SIGQUIT)]
)
async def test_a_signal_ends_it_and_restores_the_terminal(home, number):
    async with fake_gateway(mirror, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        assert screen.raw
        os.kill(screen.pid, number)
        code = await screen.ended()
        await gateway.closed.wait()

    assert code == 128 + number
    assert screen.restored


async def test_new_sizes_are_told_and_the_latest_wins(home):
    async def script(client):
        await client.hello()
        await client.out(b"ready")
        while (await client.resized()).size != TerminalSize(200, 50):
            pass
        await client.end(0)

    async with fake_gateway(script, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        for columns in range(101, 200):
            screen.resize(columns, 40)
        screen.resize(200, 50)
        code = await screen.ended()

    assert code == 0


async def test_a_size_changed_before_the_start_is_told_at_the_start(home):
    async def script(client):
        await client.hello(started=False)
        await go.wait()
        await client.hello()
        assert (await client.resized()).size == TerminalSize(120, 30)
        await client.end(0)

    go = asyncio.Event()
    async with fake_gateway(script, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        await gateway.joined.wait()
        screen.resize(120, 30)
        go.set()
        code = await screen.ended()

    assert (code, gateway.failures) == (0, [])


async def test_a_paste_of_a_megabyte_arrives_whole(home):
    text = b"".join(b"line %06d of a long paste\r" % number for number in range(40_000))

    async def script(client):
        await client.hello()
        await client.out(b"ready")
        assert await client.typed(len(text)) == text
        await client.end(0)

    async with fake_gateway(script, home.socket) as gateway, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        os.set_blocking(screen.master, True)
        await asyncio.to_thread(_write_all, screen.master, text)
        code = await screen.ended()

    assert (code, gateway.failures) == (0, [])


def _write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


async def test_a_command_instead_of_a_shell(home):
    async with (
        fake_gateway(mirror, home.socket) as gateway,
        on_a_terminal(home, "shell", "web-0", "-n", "shop", "--", "python3", "-i") as screen,
    ):
        await screen.until(b"ready")
        screen.type(b"\x04")
        await screen.ended()

    assert gateway.clients[0].argv == ["python3", "-i"]
    assert gateway.clients[0].path == "/api/v1/namespaces/shop/pods/web-0/exec"


async def test_a_terminal_without_input_stays_as_it_is(home):
    """As kubectl: -t alone gives the command a terminal, and ours is not touched."""

    async def script(client):
        await client.hello()
        await client.out(b"ready")
        await client.resized()
        await client.end(0)

    async with (
        fake_gateway(script, home.socket) as gateway,
        on_a_terminal(home, "exec", "-t", "web-0", "--", "top") as screen,
    ):
        await screen.until(b"ready")
        assert screen.untouched
        screen.resize(90, 30)
        code = await screen.ended()

    assert code == 0
    assert ("stdin", "true") not in gateway.clients[0].query


async def test_after_a_stop_the_terminal_is_raw_again(home):
    """A shell that takes over while we are stopped sets the terminal to its own liking."""
    async with fake_gateway(mirror, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        os.kill(screen.pid, signal.SIGSTOP)
        screen.reset()
        assert not screen.raw
        os.kill(screen.pid, signal.SIGCONT)
        screen.resize(81, 24)
        await until(lambda: screen.raw)
        screen.type(b"\x04")
        code = await screen.ended()

    assert code == 5
    assert screen.restored
