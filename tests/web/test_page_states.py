"""States of the page that only a scripted gateway gives on demand, and what it is sent byte for byte."""

import hashlib
import re

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def site(server):
    return server


async def opened(tab, server, pod, state="connected"):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/{pod}")
    await tab.state(state)


async def seen_until(tab, server, length):
    for _ in range(200):
        if len(server.sessions[-1].stdin) >= length:
            break
        await tab.page.wait_for_timeout(50)
    return bytes(server.sessions[-1].stdin)


async def test_the_request(tab, server):
    await tab.visit(
        f"#ticket={server.ticket()}&path=/east/shop/web-0/main%3Fcommand%3Dls%26command%3Da%2520b"
    )
    await tab.page.wait_for_timeout(600)
    await tab.page.get_by_role("button", name="Run it").click()
    await tab.state("ended, exit 0")
    query = {name: ["true"] for name in ("stdin", "stdout", "tty", "resume")} | {"container": ["main"]}
    assert server.sessions[0].query == query | {"command": ["ls", "a b"]}
    await tab.shows("ran ls 'a b'")


@pytest.mark.repetition
async def test_a_command_is_not_run_unasked(tab, server):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/web-0%3Fcommand%3Drm")
    await tab.page.wait_for_timeout(1000)
    assert server.sessions == []


@pytest.mark.repetition
async def test_the_first_size_comes_before_the_first_key(tab, server):
    await opened(tab, server, "web-0")
    assert server.sessions[0].sizes == [await tab.size()]


@pytest.mark.repetition
async def test_a_storm_of_sizes_ends_right(tab, server):
    await opened(tab, server, "web-0")
    for width in range(420, 1000, 20):
        await tab.page.set_viewport_size({"width": width, "height": 500})
    await tab.page.wait_for_timeout(500)
    assert server.sessions[0].sizes[-1] == await tab.size()
    assert len(server.sessions[0].sizes) <= 31


async def test_what_could_not_start_or_was_lost_is_said_and_hostile_words_are_only_shown(tab, server):
    """One shell behind the other, as links lead to them."""
    screen = tab.page.locator(".shell:not(.behind) .xterm-rows")
    await opened(tab, server, "missing-0", "failed: cluster")
    await expect(screen).to_contain_text(
        'The shell could not start. From the cluster: pods "missing-0" not found'
    )
    await expect(screen).to_contain_text("(pod_not_found)")
    await tab.page.evaluate("location.hash = '#/default/default/lost-0'")
    await tab.state("failed: ssh")
    await expect(screen).to_contain_text(
        "The shell was ended. From SSH to the management host: the connection"
    )
    await tab.page.evaluate("location.hash = '#/default/default/evil-0'")
    await tab.state("failed: cluster")
    await expect(screen).to_contain_text(
        r"\x1b]0;owned\x07\x1b[2J<img src=x onerror=alert(1)>\u{202e}evil\x0d\nend"
    )
    assert await tab.page.title() == "evil-0 · default · dap"
    assert await tab.page.locator("img").count() == 0
    await tab.page.evaluate("location.hash = '#/default/default/%3Cimg%20src=x%3E%E2%80%AE%1b'")
    await expect(tab.page.get_by_role("alert")).to_contain_text(
        r"“<img src=x>\u{202e}\x1b” cannot be the name of a pod."
    )
    assert await tab.page.locator("img").count() == 0


async def test_a_gateway_that_is_lost_and_one_that_is_gone(tab, server):
    await opened(tab, server, "web-0")
    await tab.keys("drop\r")
    await tab.state("connection lost")
    await tab.shows("The connection to the gateway was lost")
    assert len(server.sessions) == 1  # nothing is tried again unasked
    await tab.page.get_by_role("button", name="New shell").click()
    await tab.state("connected")
    await tab.shows("New shell in default / default / web-0")
    await tab.page.route("**/gateway/v1/info", lambda route: route.abort())
    server.tokens.clear()
    await tab.keys("exit\r")
    await tab.state("ended, exit 0")
    await tab.keys("\r")
    await tab.state("failed: gateway")
    await tab.shows("The gateway does not answer at")


async def test_a_page_without_its_script_says_so_after_a_while(tab):
    await tab.page.route("**/main-*.js", lambda route: route.abort())
    await tab.visit()
    said = tab.page.get_by_text("If nothing follows, reload the page.")
    await expect(said).to_be_attached()
    await expect(said).not_to_be_visible()
    later = "document.getAnimations().map((each) => { each.currentTime = 5000; }).length"
    assert await tab.page.evaluate(later) == 1
    await expect(said).to_be_visible()
    await tab.page.unroute("**/main-*.js")
    await tab.page.reload()
    await tab.page.get_by_role("heading", name="Sign in with a link").wait_for()
    await expect(said).not_to_be_attached()


@pytest.mark.repetition
async def test_a_token_that_was_revoked_during_the_session(tab, server):
    await opened(tab, server, "web-0")
    server.tokens.clear()
    await tab.keys("exit\r")
    await tab.shows("Press Enter for a new shell.")
    await tab.keys("\r")
    await tab.page.get_by_text("does not know this tab any more: the token is unknown").wait_for()


@pytest.mark.repetition
async def test_a_large_paste_arrives_whole(tab, server):
    await opened(tab, server, "web-0")
    text = "".join(f"{number:07d} größe 😀 " for number in range(80_000))
    await tab.paste(text)
    stdin = await seen_until(tab, server, len(text.encode()))
    assert hashlib.sha256(stdin).digest() == hashlib.sha256(text.encode()).digest()
    assert server.sessions[0].largest <= 32 * 1024 + 1


@pytest.mark.repetition
async def test_ctrl_c_overtakes_a_paste_that_nobody_reads(tab, server):
    await opened(tab, server, "still-0")
    await tab.paste("y", 50_000_000)
    await tab.page.wait_for_timeout(300)
    await tab.page.keyboard.press("Control+c")
    await tab.page.wait_for_timeout(100)
    server.reading.set()
    await tab.page.wait_for_timeout(1500)
    stdin = bytes(server.sessions[0].stdin)
    assert 0 < len(stdin) < 49_000_000
    assert stdin.strip(b"y") == b"\x03"


@pytest.mark.repetition
async def test_bulk_output_is_drawn_to_its_end(tab, server):
    await opened(tab, server, "web-0")
    await tab.keys("bulk 100\r")  # 3 MB
    await tab.page.wait_for_timeout(1000)
    await tab.keys("echo all-there\r")
    await tab.shows(re.compile(r"all-there.*all-there"))


@pytest.mark.repetition
async def test_keys_typed_too_early_are_kept(tab, server):
    await opened(tab, server, "slow-0", "connecting")
    await tab.keys("ls\r")
    await tab.page.wait_for_timeout(300)
    assert server.sessions[0].stdin == b""
    server.reading.set()
    assert await seen_until(tab, server, 3) == b"ls\r"


async def test_webgl_falls_back_when_its_context_is_lost(tab, server):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/web-0", query="?renderer=webgl")
    await tab.state("connected")
    place = tab.page.locator(".screen")
    if await place.get_attribute("data-renderer") != "webgl":
        pytest.skip("this Chromium has no WebGL")
    await tab.page.evaluate(
        """() => { for (const canvas of document.querySelectorAll('canvas'))
            canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context').loseContext(); }"""
    )
    await expect(place).to_have_attribute("data-renderer", "dom", timeout=10_000)
    await tab.keys("echo still-here\r")
    await tab.shows("still-here")


async def test_the_screen_of_a_program_that_was_cut_off_is_left(tab, server):
    await opened(tab, server, "web-0")
    await tab.keys(r"printf '\033[?1049h\033[?1003hfull screen'" + "\r")
    await tab.shows("full screen")
    await tab.keys("exit 1\r")
    await tab.shows("The shell ended with exit code 1.")
    assert (await tab.screen()).count("full screen") == 1  # in the line that was typed


@pytest.mark.repetition
async def test_it_fits_a_narrow_window(new_tab, server):
    async with new_tab(viewport={"width": 400, "height": 700}) as tab:
        await opened(tab, server, "web-0")
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == 400


async def test_a_terminal_that_is_left_behind_stays_quiet_and_closing_a_tab_with_a_shell_asks(tab, server):
    await opened(tab, server, "web-0")
    await tab.keys("wait\rbulk 300\rexit\r")
    await tab.page.evaluate("location.hash = '#/?'")
    await tab.page.get_by_role("heading", name="Open a shell in a pod").wait_for()
    server.reading.set()
    await expect(tab.page.locator(".tab[data-mood='ended']")).to_have_count(1)  # how it ended
    await tab.page.go_back()
    await tab.state("ended, exit 0")
    await tab.page.get_by_role("button", name="New shell").click()
    await tab.state("connected")
    await tab.keys("echo x\r")
    async with tab.page.expect_event("dialog") as asked:
        await tab.page.close(run_before_unload=True)
    dialog = await asked.value
    assert dialog.type == "beforeunload"
    await dialog.accept()
