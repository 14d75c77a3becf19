"""One Chromium for the folder; a fresh server and a fresh tab for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from support.browser import ARGUMENTS, Tab, chromium, open_tab
from support.page_server import PAGE, PageServer, serve


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Any]:
    api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or set DAP_CHROMIUM")
    if not (PAGE / "index.html").exists():
        pytest.skip("the page is not built: hack/node npm --prefix web run build")
    async with api.async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[PageServer]:
    async with serve() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def site(server: PageServer) -> PageServer:
    """Whatever has the page: `url`, and `ticket()` for a fresh one. Its `default/default/web-0` has a shell."""
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser: Any, site: PageServer) -> AsyncIterator[Tab]:
    async with open_tab(browser, site.url) as opened:
        yield opened


@pytest.fixture
def new_tab(browser: Any, site: PageServer) -> Any:
    """Opens more tabs, each with options of its own for a browser context."""

    @asynccontextmanager
    async def opener(**context: Any) -> AsyncIterator[Tab]:
        async with open_tab(browser, site.url, **context) as opened:
            yield opened

    return opener
