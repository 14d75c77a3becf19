"""The log of a container beside its shell."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect
from support.served import TOKEN, cluster_at, config_for, served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def site(demo, tmp_path):
    """The gateway over a relay, which passes the cluster's API on."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path) as running:
        yield running


async def test_a_log_is_followed_and_searched_beside_the_shell(tab, site):
    tokens = site.gateway.access.tokens
    await tab.visit(f"#ticket={tokens.ticket(tokens.identity(TOKEN))}&path=/default/default/web-0")
    await tab.state("connected")
    assert re.search(r"gateway \d+ ms, .*shell", await tab.page.locator("#state").get_attribute("title"))
    columns, _ = await tab.size()

    await tab.page.get_by_role("button", name="Logs").click()
    panel = tab.page.get_by_role("region", name="Logs of web-0")
    await expect(panel.locator(".state")).to_have_text(re.compile(r"^Following: [1-9]"))
    assert (await tab.size())[0] < columns
    first = await panel.locator(".lines div").first.inner_text()
    await panel.get_by_role("searchbox").fill(first)
    await expect(panel.locator(".match.current")).to_have_text(first)
    await panel.get_by_role("button", name="Pause").click()
    await expect(panel.locator(".state")).to_have_text(re.compile("^Paused"))

    await panel.locator(".lines").press("Escape")
    await expect(panel).to_have_count(0)
    await tab.keys("echo 'back again'\r")
    await tab.shows("again'back again")
