"""Draws every state of a shell on the page, as `page_states.py` does of the list: what is around the terminal, the
views that are split, the bars and the dialogs.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Page, expect
from support.page_server import PageServer, serve


@dataclass(frozen=True)
class View:
    page: Page
    server: PageServer


async def shell(at: View) -> None:
    """A shell that has said something, in colours."""
    lines = "".join(f"\x1b[3{n % 7 + 1}mline {n} of what the program writes\x1b[0m\r\n" for n in range(1, 15))
    at.server.kept[-1].write(lines.encode())
    await expect(at.page.locator(".xterm-rows").first).to_contain_text("line 14")


async def splits(at: View) -> None:
    await shell(at)
    for count, keys in enumerate(("Control+Shift+Enter", "Control+Alt+Shift+Enter"), 2):
        await at.page.keyboard.press(keys)
        await connected(at, count)


async def tabs(at: View) -> None:
    await splits(at)
    await at.page.evaluate("location.hash = '#/east/shop/kept-1'")
    await at.page.locator("#state[data-mood=good]").wait_for()
    await expect(at.page.locator(".tab")).to_have_count(2)
    await at.page.keyboard.press("Control+Alt+Shift+Enter")
    await connected(at, 2)


async def connected(at: View, count: int) -> None:
    """So many shells are in the view, and each has its prompt."""
    panes = at.page.locator(".shell:not(.behind) .pane")
    await expect(panes.locator("small", has_text=re.compile("^connected"))).to_have_count(count)


async def actions(at: View) -> None:
    await splits(at)
    await at.page.locator("#actions").click()
    await at.page.locator("dialog").wait_for()


async def search(at: View) -> None:
    await shell(at)
    await at.page.keyboard.press("Control+Shift+F")
    await at.page.keyboard.type("line")
    await expect(at.page.locator(".searchbar .count")).to_have_text("14 of 14")


async def clipboard(at: View) -> None:
    at.server.kept[-1].write(b"\x1b]52;c;a3ViZWN0bCBnZXQgcG9kcw==\x07")
    await at.page.locator(".notice").wait_for()


async def ending(at: View) -> None:
    await at.page.locator("#end").click()
    await at.page.locator(".notice").wait_for()


async def ended(at: View) -> None:
    await at.page.keyboard.type("exit 3\n")
    await expect(at.page.locator(".xterm-rows")).to_contain_text("Press Enter")


async def settings(at: View) -> None:
    await at.page.locator("#settings").click()
    await at.page.locator("dialog").wait_for()


STATES: dict[str, Callable[[View], Awaitable[None]]] = {
    each.__name__: each for each in (shell, splits, tabs, actions, search, clipboard, ending, ended, settings)
}


@asynccontextmanager
async def shown(page: Page, state: str) -> AsyncIterator[None]:
    """Brings the page into a state."""
    async with serve() as server:
        link = f"#ticket={server.ticket()}&path=/default/default/kept-0"
        await page.goto(f"{server.url}/?renderer=dom{link}")
        await page.locator("#state[data-mood=good]").wait_for()
        await STATES[state](View(page, server))
        yield
