"""A tab of a headless Chromium on the gateway's page: what a person does, and what they see."""

import base64
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, expect

# The shell is the same engine without a browser's own windows: two thirds of the work
NAMES = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
)  # fmt: skip
# The address bar's list of suggestions is a page with a process of its own, in every window: a quarter of the work
FEATURES = "WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup"
ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--disable-background-networking", f"--disable-features={FEATURES}",
]  # fmt: skip
# Failed requests are written by the browser itself; so is what the graphics driver thinks of screenshots. xterm.js tells
# that its work for idle moments took long, on a busy machine
EXPECTED = re.compile(
    r"status of (40[13]|503)|net::ERR_|WebSocket connection to|GL Driver Message|webgl ?context|"
    r"Blocked attempt to show a 'beforeunload'|task queue exceeded allotted deadline"
)
REPORT = """addEventListener('securitypolicyviolation', (event) =>
    console.error('violation', event.violatedDirective, event.blockedURI, event.sample))"""


def chromium() -> str | None:
    """The path of a Chromium on this machine, `DAP_CHROMIUM` first."""
    return os.environ.get("DAP_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Tab:
    """`problems`: violations of the page's policy, uncaught errors, and what the page wrote to the console."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    async def visit(self, fragment: str = "", *, query: str = "?renderer=dom") -> None:
        """Loads the page anew, as from a link."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}/{query}{fragment}")

    async def state(self, text: str | re.Pattern[str]) -> None:
        await expect(self.page.locator("#state")).to_have_text(text, timeout=15_000)

    async def shows(self, text: str | re.Pattern[str]) -> None:
        """Waits until the terminal (DOM renderer) has the text on its screen."""
        await expect(self.page.locator(".xterm-rows")).to_contain_text(text, timeout=15_000)

    async def screen(self) -> str:
        return await self.page.locator(".xterm-rows").inner_text()

    async def lines(self) -> list[str]:
        """Everything above and on the screen, at most the 1000 lines that the page keeps over a reload."""
        text: str = await self.page.evaluate(
            """() => {
                dispatchEvent(new PageTransitionEvent('pagehide'));
                const name = Object.keys(sessionStorage).find((each) => each.startsWith('dap-gateway.session'));
                return JSON.parse(sessionStorage.getItem(name)).screen.text;
            }"""
        )
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).split("\r\n")

    async def size(self) -> tuple[int, int]:
        """Columns and rows, as the page says."""
        columns, rows = (await self.page.locator("#size").inner_text()).split("\u00d7")
        return int(columns), int(rows)

    async def keys(self, text: str) -> None:
        await self.page.keyboard.type(text)

    async def paste(self, text: str, times: int = 1) -> None:
        """Pastes `times` copies of the text as the browser does."""
        await self.page.evaluate(
            """([text, times]) => {
                const clipboardData = new DataTransfer();
                clipboardData.setData('text/plain', text.repeat(times));
                document.querySelector('.xterm-helper-textarea').dispatchEvent(
                    new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
            }""",
            [text, times],
        )

    async def colours(self) -> dict[str, int]:
        """Pixels of the terminal by colour, as "r,g,b", whatever draws it."""
        picture = base64.b64encode(await self.page.locator(".screen").screenshot()).decode()
        assert self.page.context.browser is not None
        other = await self.page.context.browser.new_page()  # one without a policy
        counted: dict[str, int] = await other.evaluate(
            """async (picture) => {
                const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
                const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
                context.drawImage(image, 0, 0);
                const { data } = context.getImageData(0, 0, image.width, image.height);
                const counted = {};
                for (let i = 0; i < data.length; i += 4) {
                    const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
                    counted[colour] = (counted[colour] ?? 0) + 1;
                }
                return counted;
            }""",
            picture,
        )
        await other.close()
        return counted


@asynccontextmanager
async def open_tab(browser: Browser, url: str, **context: Any) -> AsyncIterator[Tab]:
    """A tab with its own storage. Fails at the end if the page had a problem."""
    options = {
        "viewport": {"width": 1000, "height": 620},
        "color_scheme": "dark",
        "reduced_motion": "reduce",
        **context,
    }
    window = await browser.new_context(**options)
    try:
        await window.add_init_script(REPORT)
        tab = Tab(await window.new_page(), url)
        tab.page.on("console", lambda message: _note(tab, message))
        tab.page.on("pageerror", lambda error: tab.problems.append(f"uncaught: {error}"))
        tab.page.on("request", lambda request: tab.requested.append(request.url))
        yield tab
        assert not tab.problems, tab.problems
        foreign = [url for url in tab.requested if not url.startswith((tab.url, "data:", "about:"))]
        assert not foreign, foreign
    finally:
        await window.close()


def _note(tab: Tab, message: ConsoleMessage) -> None:
    if not EXPECTED.search(message.text):
        tab.problems.append(f"{message.type}: {message.text}")
