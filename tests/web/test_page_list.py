"""The list of pods, which a person sees first: found by keyboard alone, and left and found again as it was."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect
from support.browser import open_tab
from support.path_proxy import below
from support.served import TOKEN, cluster_at, config_for, served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
FOUND = "() => axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html, nodes[0].failureSummary]))"


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(demo, tmp_path):
    """The gateway with the demo behind it, over a relay, and a second cluster that nobody reaches."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    away = replace(cluster, name="away", vm="none")
    async with served(config_for(cluster, away), tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser, gateway):
    async with open_tab(browser, gateway.url) as opened:
        yield opened


async def visit(tab, gateway, path=""):
    tokens = gateway.gateway.access.tokens
    await tab.visit(f"#ticket={tokens.ticket(tokens.identity(TOKEN))}&path=/{path}")


async def accessible(tab):
    """Holds the page against axe, which finds nothing on it as it is."""
    if AXE.exists():  # else the page was built elsewhere
        await tab.page.evaluate(AXE.read_text())
        assert await tab.page.evaluate(FOUND) == []


def rows(tab):
    return tab.page.locator(".rows .row:not([hidden])")


async def test_two_keys_and_enter_lead_to_a_prompt_and_back_to_the_list_as_it_was(tab, gateway):
    await visit(tab, gateway)
    await expect(rows(tab)).to_have_count(6)
    await tab.keys("ba")
    await expect(rows(tab).first).to_contain_text("bash-0")
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")
    assert tab.page.url.endswith("#/default/default/bash-0")
    await tab.page.go_back()
    search = tab.page.get_by_role("combobox", name="Find a pod")
    await expect(search).to_have_value("ba")
    await expect(search).to_be_focused()
    await tab.page.keyboard.press("Escape")
    await expect(rows(tab).first).to_contain_text("bash-0")  # opened lately, so the first

    # what is not there and what is not reached are two states
    await tab.keys("no such pod")
    await tab.page.get_by_role("heading", name="Nothing here matches").wait_for()
    await accessible(tab)
    await tab.page.get_by_label("Cluster").select_option("away")
    await tab.page.get_by_role("button", name="Try again").wait_for()
    await tab.page.get_by_text("From Incus on the management host").wait_for()
    assert tab.page.url.endswith("#/away")
    await accessible(tab)

    await tab.page.get_by_role("button", name="Sessions").click()
    await tab.page.get_by_role("button", name=re.compile("Go on here|Take over")).click()
    await tab.state("connected")
    assert len(gateway.gateway.registry.sessions) == 1


async def test_a_container_is_chosen_by_keyboard_where_axe_finds_nothing(tab, gateway):
    await visit(tab, gateway, "default/team-a")
    await expect(rows(tab)).to_have_count(1)
    await tab.page.get_by_label("Namespace").select_option("")
    await expect(rows(tab)).to_have_count(6)
    await accessible(tab)
    await tab.keys("we")
    await expect(rows(tab).first).to_contain_text("web-0")
    await expect(rows(tab).filter(has_text="svc")).to_have_count(2)  # what leads to pods is found too
    await tab.page.keyboard.press("ArrowRight")
    container = tab.page.get_by_role("complementary", name="Pod web-0").get_by_role("listitem")
    await expect(container.first.get_by_role("button")).to_be_focused()
    await expect(container.first).to_contain_text("maindefault")
    await accessible(tab)
    await tab.page.keyboard.press("ArrowDown")
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")
    assert tab.page.url.endswith("#/default/default/web-0/side")


async def test_the_page_works_below_a_path(browser, gateway):
    async with below("/tools/dap/", gateway.url) as url, open_tab(browser, url) as tab:
        await visit(tab, gateway)
        await expect(rows(tab)).to_have_count(6)
        await tab.keys("ba")
        await tab.page.keyboard.press("Enter")
        await tab.state("connected")
        assert tab.page.url == f"{url}/?renderer=dom#/default/default/bash-0"
        await tab.page.reload()
        await tab.state("connected")
        await tab.page.keyboard.press("Control+Shift+K")
        await tab.page.keyboard.type("we")  # in place of the "ba" from before
        await expect(rows(tab).first).to_contain_text("web-0")
        await tab.page.keyboard.type(">")
        await expect(tab.page.get_by_role("dialog", name="Actions")).to_be_visible()
        # the window that is installed is of this path, and of nothing above it
        client = await tab.page.context.new_cdp_session(tab.page)
        found = await client.send("Page.getAppManifest")
        assert (found["errors"], found["manifest"]["startUrl"]) == ([], f"{url}/")
        assert found["manifest"]["scope"] == f"{url}/"
        assert (await client.send("Page.getInstallabilityErrors"))["installabilityErrors"] == []


async def test_a_dialog_over_the_list_has_the_keys_to_itself(tab, gateway):
    await visit(tab, gateway)
    await expect(rows(tab)).to_have_count(6)
    await tab.keys("ba")
    await tab.page.get_by_role("button", name="Settings").click()
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    await expect(tab.page.get_by_role("combobox", name="Find a pod")).to_have_value("ba")


async def test_a_list_lives_whatever_became_of_the_one_before(tab, gateway):
    """Of the palette, which Back closes, and of who has signed out."""
    await tab.page.clock.install()
    await visit(tab, gateway)
    await expect(rows(tab)).to_have_count(6)
    await tab.keys("ba")
    await expect(rows(tab).first).to_contain_text("bash-0")
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")
    await tab.page.keyboard.press("Control+Shift+K")
    await expect(tab.page.get_by_role("dialog", name="Find a pod")).to_be_visible()
    await tab.page.go_back()
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    await tab.page.get_by_label("Cluster").select_option("away")
    await tab.page.get_by_text("From Incus on the management host").wait_for()

    await tab.page.get_by_role("button", name="Sign out").click()
    await tab.page.get_by_role("button", name="End them and sign out").click()
    await tab.page.get_by_role("heading", name="Sign in").wait_for()
    tokens = gateway.gateway.access.tokens
    await tab.page.get_by_label("Link or ticket").fill(tokens.ticket(tokens.identity(TOKEN)))
    async with tab.page.expect_websocket() as connected:
        await tab.page.keyboard.press("Enter")
    await tab.page.get_by_text("From Incus on the management host").wait_for()
    await tab.page.clock.fast_forward(31_000)
    await tab.page.wait_for_timeout(300)
    assert not (await connected.value).is_closed()


async def test_going_on_with_a_session_leaves_the_other_shells_open(tab, gateway):
    await visit(tab, gateway)
    await expect(rows(tab)).to_have_count(6)
    for pod in ("web-0/main", "web-0/side"):
        await tab.page.evaluate(f"location.hash = '#/default/default/{pod}'")
        await tab.state("connected")
    await tab.page.get_by_role("button", name="Sessions").click()
    session = tab.page.get_by_role("row").filter(has_text="web-0 / main")
    await session.get_by_role("button", name=re.compile("Go on here|Take over")).click()
    await tab.page.wait_for_url(re.compile("web-0/main$"))
    await tab.state("connected")
    await expect(tab.page.locator("#tabs .tab")).to_have_count(2)
    assert len(gateway.gateway.registry.sessions) == 2
