"""Shells side by side in one view: divided, moved in and closed by keys and mouse, and the same after a reload."""

import pytest
from playwright.async_api import expect
from support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def site(server):
    return server


def pane(tab, at):
    return tab.page.locator(".pane").nth(at)


async def width(tab, at):
    return (await pane(tab, at).bounding_box())["width"]


async def test_a_view_is_split_resized_and_closed_and_survives_a_reload(tab, server):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/kept-0")
    await tab.state("connected")
    await tab.keys("echo first\r")
    await tab.page.keyboard.press("Control+Shift+Enter")
    await expect(tab.page.locator(".pane")).to_have_count(2)
    await expect(pane(tab, 1).locator("small")).to_have_text("connected")
    await tab.keys("echo second\r")
    await expect(pane(tab, 1).locator(".xterm-rows")).to_contain_text("second")
    await expect(pane(tab, 0).locator(".xterm-rows")).not_to_contain_text("second")

    server.kept[1].write(b"\x1b]0;editing\x07")
    await expect(pane(tab, 1).locator("small")).to_have_text("connected · editing")

    whole = await width(tab, 0) + await width(tab, 1)
    await tab.page.keyboard.press("Control+Shift+ArrowUp")
    assert round(await width(tab, 1) / whole, 2) == 0.55
    border = await tab.page.get_by_role("separator").bounding_box()
    await tab.page.mouse.move(border["x"] + 4, border["y"] + 90)
    await tab.page.mouse.down()
    await tab.page.mouse.move(whole * 0.3, border["y"] + 90, steps=3)
    await tab.page.mouse.up()
    assert round(await width(tab, 0) / whole, 1) == 0.3

    await tab.page.keyboard.press("Control+Alt+Shift+ArrowRight")
    assert round(await width(tab, 0) / whole, 2) == 0.35
    await tab.page.keyboard.press("Control+Alt+Shift+ArrowLeft")
    await tab.page.keyboard.press("Alt+Shift+ArrowLeft")
    await tab.keys("here")
    await expect(pane(tab, 0).locator(".xterm-rows")).to_contain_text("here")
    await tab.page.get_by_role("button", name="Actions").click()
    await tab.page.keyboard.type("another here below")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator(".pane")).to_have_count(3)
    await expect(pane(tab, 2).locator("small")).to_have_text("connected")

    await tab.page.keyboard.press("Alt+Shift+ArrowRight")
    await tab.page.reload()
    await expect(tab.page.locator(".pane")).to_have_count(3)
    await expect(tab.page.locator(".pane[data-focused] .text")).to_have_text("kept-0 (2)")
    await until(lambda: all(session.attached for session in server.kept))
    assert len(server.sessions) == 3  # none was opened anew
    await expect(pane(tab, 0).locator(".xterm-rows")).to_contain_text("here")
    assert round(await width(tab, 0) / whole, 1) == 0.3

    await tab.page.get_by_role("button", name="Close kept-0 (2)").click()
    await tab.page.get_by_role("button", name="End it").click()
    await expect(tab.page.locator(".pane")).to_have_count(2)
    assert await width(tab, 0) == whole
    assert [session.heard.closes[-1:] for session in server.kept].count([1000]) == 1
