"""One Chromium for the folder; a fresh server and a fresh tab for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.browser import ARGUMENTS, Tab, chromium, open_tab
from support.page_server import PAGE, PageServer, serve
from support.served import TOKEN, cluster_at, config_for, served

from gateway.access.tokens import Tokens


@pytest_asyncio.fixture(loop_scope="session", scope="session")
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


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[PageServer]:
    async with serve() as running:
        yield running


@dataclass(frozen=True)
class Real:
    """The gateway itself, with the demo behind it."""

    url: str
    tokens: Tokens

    def ticket(self) -> str:
        identity = self.tokens.identity(TOKEN)
        assert identity is not None
        return self.tokens.ticket(identity)


SITES = [pytest.param("scripted", marks=pytest.mark.repetition), "demo"]


@pytest_asyncio.fixture(loop_scope="session", params=SITES)
async def site(request, demo, tmp_path) -> AsyncIterator[Any]:
    """Whatever has the page: `url`, and `ticket()` for a fresh one. Its `default/default/web-0` has a shell."""
    if request.param == "scripted":
        async with serve() as server:
            yield server
        return
    async with _served(demo, tmp_path) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def real(demo, tmp_path) -> AsyncIterator[Real]:
    """For what the scripted server has not."""
    async with _served(demo, tmp_path) as gateway:
        yield gateway


@asynccontextmanager
async def _served(demo: Any, directory: Path) -> AsyncIterator[Real]:
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
    async with served(config_for(cluster), directory) as running:
        yield Real(running.url, running.gateway.access.tokens)


@pytest_asyncio.fixture(loop_scope="session")
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
