"""An editor is open when the way breaks: `dap shell` and a browser tab go on with the same one, every key in its place."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from secrets import token_hex

import pytest
from faultrig.served import Serve
from playwright.async_api import expect
from support.dap import Home, on_a_terminal
from support.real_page import real_gateway, real_tab

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(150)]

BACK = 30.0  # seconds, from when the hop is there again
ESCAPE = 0.5  # seconds after which vi takes an escape for the key
EXIT = 7
Break = Callable[[Serve, Callable[..., str]], Awaitable[None]]


async def ssh_is_cut(_: Serve, lab: Callable[..., str]) -> None:
    await asyncio.to_thread(lab, "fault", "ssh-drop")


async def a_minute_without_network(_: Serve, lab: Callable[..., str]) -> None:
    await asyncio.to_thread(lab, "fault", "ssh-blackhole")
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.to_thread(lab, "fault", "ssh-unblackhole")


async def the_gateway_is_restarted(serve: Serve, _: Callable[..., str]) -> None:
    await serve.end(signal.SIGTERM)
    await serve.start()


async def the_gateway_is_killed(serve: Serve, _: Callable[..., str]) -> None:
    await serve.end(signal.SIGKILL)
    await serve.start()


BREAKS = [ssh_is_cut, a_minute_without_network, the_gateway_is_restarted, the_gateway_is_killed]


@pytest.fixture
async def serve(cluster, lab, tmp_path):
    """`dap serve`, over the relay."""
    assert cluster
    assert lab
    async with real_gateway(tmp_path) as process:
        yield process


@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: one.__name__)
async def test_vi_in_dap_shell(serve, lab, tmp_path, broken):
    file = f"/tmp/{token_hex(6)}"
    async with on_a_terminal(
        Home(tmp_path), "shell", "web-0", "-c", "main", env=serve.access.environment
    ) as screen:
        await screen.until(b"# ")
        screen.type(b"vi %b\r" % file.encode())
        await screen.until(b"~")
        screen.type(b"ione ")
        await screen.until(b"one")
        async with asyncio.TaskGroup() as tasks:
            breaking = tasks.create_task(broken(serve, lab))
            await asyncio.sleep(1)
            screen.type(b"two ")
            await breaking
        async with asyncio.timeout(BACK):
            await screen.until(b"two")
        screen.type(b"three\x1b")
        await asyncio.sleep(ESCAPE)
        screen.type(b":wq\r")
        screen.type(b"clear; cat %b; rm %b; exit %d\r" % (file.encode(), file.encode(), EXIT))
        async with asyncio.timeout(BACK):
            code = await screen.ended()

    assert code == EXIT
    assert b"one two three\r\n" in screen.seen
    assert screen.restored


@pytest.fixture
async def tab(serve):
    """A Chromium on its page."""

    async def accept(dialog):
        await dialog.accept()

    async with real_tab(serve) as opened:
        opened.page.on("dialog", accept)
        yield opened


@pytest.mark.parametrize("broken", [*BREAKS, None], ids=lambda one: one.__name__ if one else "it_is_reloaded")
async def test_vi_in_a_tab(serve, lab, tab, broken):
    file = f"/tmp/{token_hex(6)}"
    await tab.visit(f"#ticket={await serve.ticket()}&path=/default/default/web-0/main")
    await tab.state("connected")
    await tab.shows("#")
    await tab.keys(f"vi {file}\r")
    await tab.shows("~")
    await tab.keys("ione ")
    await tab.shows("one ")
    async with asyncio.TaskGroup() as tasks:
        breaking = tasks.create_task(broken(serve, lab) if broken else tab.page.reload())
        await asyncio.sleep(1)
        await tab.keys("two ")
        await breaking
    await expect(tab.page.locator(".xterm-rows")).to_contain_text("one two", timeout=BACK * 1000)
    await tab.keys("three\x1b")
    await asyncio.sleep(ESCAPE)
    await tab.keys(f":wq\rclear; cat {file}; rm {file}\r")
    await tab.shows(re.compile(r"^\s*one two three"))
    await tab.state("connected")
    await tab.keys(f"exit {EXIT}\r")
    await expect(tab.page.locator("body")).to_contain_text(f"exit code {EXIT}")
