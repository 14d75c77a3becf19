"""Several shells in one page: one is in front, the others live behind, and a reload keeps them all."""

import pytest
from playwright.async_api import expect
from support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def site(server):
    return server


def named(tab, pod):
    return tab.page.locator(".tab", has_text=pod)


def front(tab):
    return tab.page.locator(".shell:not(.behind) .xterm-rows")


async def test_shells_live_behind_each_other_and_over_a_reload(tab, server):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/kept-0")
    await tab.state("connected")
    await expect(tab.page.locator("#tabs")).to_be_hidden()  # one shell needs no strip
    await tab.keys("echo first\r")
    await expect(front(tab)).to_contain_text("first")
    await tab.page.evaluate("location.hash = '#/default/default/kept-1'")
    await tab.state("connected")
    await expect(named(tab, "kept-1").locator("a")).to_have_attribute("aria-current", "page")

    await tab.page.wait_for_timeout(1100)  # what a shell says to a new size is no news
    server.kept[0].write(b"news\r\n")
    await expect(named(tab, "kept-0")).to_have_attribute("data-active", "")
    await tab.page.keyboard.press("Control+Shift+ArrowLeft")
    await expect(front(tab)).to_contain_text("news")
    await expect(named(tab, "kept-0")).not_to_have_attribute("data-active", "")

    await expect(named(tab, "kept-0").locator(".uptime")).to_have_text("< 1 min")
    server.kept[0].age = 750
    await tab.page.reload()
    await tab.state("connected")
    await expect(front(tab)).to_contain_text("news")
    for shown in (tab.page.locator("#uptime"), named(tab, "kept-0").locator(".uptime")):
        await expect(shown).to_have_text("12 min")  # of the session, not of the tab
    await expect(tab.page.locator(".tab")).to_have_count(2)
    await until(lambda: all(session.attached for session in server.kept))
    assert len(server.sessions) == 2  # none was opened anew

    await named(tab, "kept-1").get_by_role("button").click()
    await tab.page.get_by_role("button", name="End it").click()
    await tab.state("connected")
    assert tab.page.url.endswith("#/default/default/kept-0")
    await expect(tab.page.locator("#tabs")).to_be_hidden()
    assert server.kept[1].heard.closes[-1] == 1000
