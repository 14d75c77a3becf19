"""Draws every state of a shell on the page, as `page_states.py` does of the list: what is around the terminal, the
views that are split, the bars and the dialogs.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Browser, Page
from support.page_server import PageServer, serve

Size = tuple[int, int]


@dataclass(frozen=True)
class View:
    page: Page
    server: PageServer


async def shell(at: View) -> None:
    """A shell that has said something, in colours."""
    lines = "".join(f"\x1b[3{n % 8}mline {n} of what the program writes\x1b[0m\r\n" for n in range(1, 15))
    at.server.kept[-1].write(lines.encode())


async def splits(at: View) -> None:
    await shell(at)
    await at.page.keyboard.press("Control+Shift+Enter")
    await at.page.wait_for_timeout(700)
    await at.page.keyboard.press("Control+Alt+Shift+Enter")
    await at.page.wait_for_timeout(700)


async def tabs(at: View) -> None:
    await splits(at)
    await at.page.evaluate("location.hash = '#/east/shop/kept-1'")
    await at.page.wait_for_timeout(1200)
    await at.page.keyboard.press("Control+Alt+Shift+Enter")


async def actions(at: View) -> None:
    await splits(at)
    await at.page.locator("#actions").click()


async def search(at: View) -> None:
    await shell(at)
    await at.page.keyboard.press("Control+Shift+F")
    await at.page.keyboard.type("line")


async def clipboard(at: View) -> None:
    at.server.kept[-1].write(b"\x1b]52;c;a3ViZWN0bCBnZXQgcG9kcw==\x07")


async def ending(at: View) -> None:
    await at.page.locator("#end").click()


async def ended(at: View) -> None:
    await at.page.keyboard.type("exit 3\n")


async def settings(at: View) -> None:
    await at.page.locator("#settings").click()


STATES: dict[str, Callable[[View], Awaitable[None]]] = {
    each.__name__: each for each in (shell, splits, tabs, actions, search, clipboard, ending, ended, settings)
}


@asynccontextmanager
async def shown(browser: Browser, state: str, size: Size, scheme: str) -> AsyncIterator[Page]:
    """A page in a state; one as narrow as a phone is touched."""
    width, height = size
    async with serve() as server:
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 600
        )
        await page.goto(f"{server.url}/#ticket={server.ticket()}&path=/default/default/kept-0")
        await page.locator("#state[data-mood=good]").wait_for()
        await STATES[state](View(page, server))
        await page.wait_for_timeout(800)
        yield page
        await page.close()
