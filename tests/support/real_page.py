"""A gateway of its own on the real chain, and its page in a Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from faultrig.served import Serve
from playwright.async_api import async_playwright
from support.browser import ARGUMENTS, Tab, chromium, open_tab


@asynccontextmanager
async def real_gateway(directory: Path) -> AsyncIterator[Serve]:
    """`dap serve` over the relay, whose sessions have ended at the end."""
    serve = Serve("relay", directory)
    try:
        await serve.start()
        yield serve
        await serve.clear()
    finally:
        await serve.end()


@asynccontextmanager
async def real_tab(serve: Serve) -> AsyncIterator[Tab]:
    """A tab of a Chromium at the gateway's page; without a Chromium the test is skipped."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or set DAP_CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        async with open_tab(browser, serve.access.url) as opened:
            yield opened
        await browser.close()
