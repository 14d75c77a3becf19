"""What is around the terminal: what is pasted, searched and set, and the head that warns."""

import re

import pytest
from playwright.async_api import expect
from support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def site(server):
    return server


async def opened(tab, server, path):
    await tab.visit(f"#ticket={server.ticket()}&path={path}")
    await tab.state("connected")


async def stdin(tab, server, text):
    for _ in range(100):
        if bytes(server.sessions[-1].stdin) == text:
            return
        await tab.page.wait_for_timeout(50)
    raise AssertionError(bytes(server.sessions[-1].stdin))


async def test_lines_are_shown_before_they_are_pasted_and_keys_that_the_browser_takes_are_actions(
    tab, server
):
    """What is pasted cannot end its paste."""
    await opened(tab, server, "/default/default/web-0")
    await tab.paste("rm \x1b[20\x1b[201~1~x\necho y\n")
    await expect(tab.page.get_by_label("What is pasted")).to_have_text("rm x\necho y")
    await tab.page.keyboard.press("Escape")
    assert server.sessions[0].stdin == b""
    await tab.paste("one \x1b[201~line")
    await stdin(tab, server, b"one line")
    await tab.page.keyboard.press("Control+c")
    await tab.paste("a\nb\n")
    await tab.page.get_by_role("button", name="Paste").click()
    await stdin(tab, server, b"one line\x03a\rb\r")
    await tab.page.get_by_role("button", name="Actions").click()
    await tab.page.keyboard.type("ctrl-w")
    await tab.page.keyboard.press("Enter")
    await tab.keys("x")
    await stdin(tab, server, b"one line\x03a\rb\r\x17x")


async def test_the_terminal_is_searched_and_set_as_a_person_likes_it(tab, server):
    await opened(tab, server, "/default/default/web-0")
    await tab.keys("echo needle\r")
    await tab.shows(re.compile(r"needle\s*needle"))
    await tab.page.keyboard.press("Control+Shift+F")
    await tab.page.keyboard.type("needle")
    await expect(tab.page.locator(".searchbar .count")).to_have_text("2 of 2")
    await tab.page.keyboard.press("Escape")
    columns, _ = await tab.size()
    await tab.page.get_by_role("button", name="Settings").click()
    await tab.page.get_by_label("Font size").fill("28")
    await tab.page.get_by_label("Colours").select_option("contrast")
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.locator("#size")).not_to_have_text(f"{columns}\u00d7{(await tab.size())[1]}")
    assert (await tab.size())[0] < columns * 0.6
    await tab.page.reload()
    assert await tab.page.evaluate("document.documentElement.dataset.theme") == "contrast"
    await tab.state("connected")
    await tab.keys("x")  # the keyboard is in the terminal again
    await stdin(tab, server, b"x")


async def test_enter_on_something_else_runs_no_command_of_a_link(tab, server):
    """On a button that has the keyboard, and in a dialog."""
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/web-0?command=echo")
    button = tab.page.get_by_role("button", name="Run it")
    await expect(button).to_be_enabled()
    await tab.page.get_by_role("button", name="Settings").focus()
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("dialog", name="Settings")).to_be_visible()
    await tab.page.keyboard.press("Enter")  # on the button that closes it
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    assert not server.sessions
    await button.focus()
    await tab.page.keyboard.press("Enter")
    await tab.state("ended, exit 0")


async def test_the_head_warns_in_production_alone(tab, server):
    await opened(tab, server, "/east/shop/web-0")
    await expect(tab.page.locator("#head[data-production]")).to_have_count(1)
    await tab.page.evaluate("location.hash = '#/east/lab/web-0'")
    await expect(tab.page.locator("#head[data-production]")).to_have_count(0)
    await tab.state("connected")
    await expect(tab.page.locator("#head[data-production]")).to_have_count(0)


async def test_what_the_terminal_has_is_saved_and_a_link_says_where_it_leads_before_it_opens(
    tab, server, tmp_path
):
    """As text and as a page in which nothing runs; and a script is no link."""
    await opened(tab, server, "/default/default/web-0")
    await tab.keys(r"printf '\033[31mred\033[0m <b>&\n'" + "\r")
    await tab.shows("red <b>&")
    for kind, begin in (("text", "$ printf"), ("HTML", "<!doctype html>")):
        await tab.page.get_by_role("button", name="Actions").click()
        await tab.page.keyboard.type(f"save {kind}")
        async with tab.page.expect_download() as download:
            await tab.page.keyboard.press("Enter")
        saved = await download.value
        await saved.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_text().startswith(begin)
        assert saved.suggested_filename.startswith("default_web-0_")
    assert "red <b>&\n" in (tmp_path / "text").read_text()
    assert "&lt;b>&amp;" in (tmp_path / "HTML").read_text()

    await tab.page.locator(".xterm-helper-textarea").focus()
    hidden = r"\033]8;;javascript:alert(1)\033\\bad\033]8;;\033\\ \033]8;;https://example.com/hidden\033\\good\033]8;;\033\\"
    await tab.keys(rf"printf '\033[2J\033[H{hidden} https://example.com/seen '" + "\r")
    await tab.shows("bad good https://example.com/seen")
    box = await tab.page.locator(".xterm-rows > div").first.bounding_box()
    columns, _ = await tab.size()
    screen = await tab.page.locator(".xterm-screen").bounding_box()
    address = tab.page.get_by_label("Address")
    for column, leads in ((1, None), (6, "https://example.com/hidden"), (15, "https://example.com/seen")):
        at = screen["x"] + screen["width"] / columns * (column + 0.5), box["y"] + box["height"] / 2
        await tab.page.mouse.move(at[0] + 20, at[1] + 40)
        await tab.page.mouse.move(*at)
        await tab.page.wait_for_timeout(300)
        await tab.page.mouse.click(*at)
        if leads:
            await expect(address).to_have_text(leads)
            await tab.page.keyboard.press("Escape")
        await expect(address).to_have_count(0)


async def test_a_selection_and_a_program_fill_the_clipboard_in_sight_and_no_program_reads_it(tab, server):
    """Ctrl-C is the program's, as in a terminal."""
    await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await opened(tab, server, "/default/default/kept-0")
    server.kept[0].write(b"\r\x1b[2Kchosen\r\n")
    await tab.shows("chosen")
    await tab.page.locator(".xterm-screen").dblclick(position={"x": 20, "y": 8})
    await tab.page.keyboard.press("Control+Shift+C")
    assert await tab.page.evaluate("navigator.clipboard.readText()") == "chosen"
    await tab.page.keyboard.press("Control+C")
    await tab.page.keyboard.press("Control+Shift+V")
    await until(lambda: bytes(server.kept[0].taken) == b"\x03chosen")

    await tab.page.evaluate("navigator.clipboard.writeText('before')")
    server.kept[0].write(b"\x1b]52;c;?\x07\x1b]52;c;b25l\x07")
    await expect(tab.page.locator(".notice")).to_contain_text("put this into the clipboard: one")
    assert await tab.page.evaluate("navigator.clipboard.readText()") == "one"
    server.kept[0].write("\r\x1b[2K\U0001f468\u200d\U0001f469\u200d\U0001f467\x1b[6n".encode())
    # one character, two columns wide; and no answer before
    await until(lambda: re.fullmatch(rb"\x03chosen\x1b\[\d+;3R", bytes(server.kept[0].taken)))


async def test_hostile_output_does_nothing_to_the_page(tab, server):
    await opened(tab, server, "/default/default/kept-0")
    title = await tab.page.title()
    server.kept[0].write(b"\x1b]0;evil\x07\x1b]2;evil\x07\x1bP" + b"q" * 1_000_000 + b"\x1b\\")
    server.kept[0].write(b"\x1b]52;c;" + b"A" * 1_000_000 + b"\x07\x1b[?2026hstill here")  # and no end of it
    await tab.shows("still here")
    assert await tab.page.title() == title
    await expect(tab.page.locator(".notice")).to_contain_text("at most 0.3 MB are taken")
    await tab.keys("x")
    await until(lambda: bytes(server.kept[0].taken) == b"x")


async def test_fingers_have_the_keys_that_their_keyboard_lacks(new_tab, server):
    phone = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}
    async with new_tab(**phone) as tab:
        await opened(tab, server, "/default/default/web-0")
        keys = tab.page.get_by_role("region", name="Keys of the terminal")
        for name in ("Esc", "Up", "Ctrl"):
            await keys.get_by_role("button", name=name, exact=True).tap()
        await tab.keys("a-")
        await stdin(tab, server, b"\x1b\x1b[A\x01-")
        (_, rows) = await tab.size()
        await tab.page.set_viewport_size({"width": 390, "height": 480})  # as the keyboard of the screen does
        await until(lambda: server.sessions[-1].sizes[-1][1] < rows - 10)
