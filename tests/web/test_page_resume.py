"""A session that outlives its connection, as a person at the page sees it; and what the page says on the wire."""

import random
import re

import pytest
from playwright.async_api import expect
from support.repeated import again
from support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
ALTERNATE = r"printf '\033[?1049h\033[2J\033[3;3Hfull screen'"


@pytest.fixture
def site(server):
    return server


async def opened(tab, server, **options):
    await tab.visit(f"#ticket={server.ticket()}&path=/default/default/kept-0", **options)
    await tab.state("connected")
    await tab.shows("$")
    return server.kept[0]


def notice(tab):
    return tab.page.locator(".notice")


def button(tab, name):
    return tab.page.get_by_role("button", name=name, exact=True)


async def echo(tab, word):
    """The shell takes a line and answers."""
    await tab.keys(f"echo {word}\r")
    await tab.shows(re.compile(rf"echo {word}\s*{word}"))


async def away(tab, server, session):
    server.down = True
    session.cut()
    await tab.state("reconnecting")


async def test_it_says_for_how_long_the_shell_is_kept_and_closing_the_tab_leaves_it(tab, server):
    """A session that cannot be kept promises nothing."""
    session = await opened(tab, server)
    await expect(tab.page.locator("#kept")).to_have_text("kept 10 min")
    await expect(tab.page.locator("#kept")).to_have_attribute(
        "title", re.compile("the shell is kept for 10 min")
    )
    await expect(button(tab, "End")).to_be_visible()
    await tab.page.evaluate("location.hash = '#/default/default/web-0'")
    await expect(tab.page.locator("#kept")).to_be_hidden()
    await tab.state("connected")
    await expect(tab.page.locator("#kept")).to_be_hidden()
    await expect(button(tab, "End")).to_be_hidden()
    assert session.heard.closes == []
    await tab.page.close()
    await until(lambda: session.heard.closes)
    assert session.heard.closes != [1000]


async def test_at_random_cuts_every_line_is_there_once(tab, server):
    session = await opened(tab, server)
    await tab.keys("count 600\r")
    cuts = 0
    while f"number {600:06d}".encode() not in session.output:
        await tab.page.wait_for_timeout(random.randint(20, 400))
        session.cut()
        cuts += 1
        if cuts % 3 == 0:
            await tab.keys("x")
    await tab.state("connected")
    await tab.shows("number 000600")
    await tab.keys("\r")
    await tab.shows("not found")
    numbers = re.findall(r"number (\d{6})", "\n".join(await tab.lines()))
    assert numbers == [f"{number:06d}" for number in range(1, 601)]
    assert bytes(session.taken) == b"count 600\r" + b"x" * (cuts // 3) + b"\r"
    assert len(session.heard.attaches) >= 3
    assert len(server.sessions) == 1


async def test_what_is_typed_while_away_arrives_once(tab, server):
    """The bar that says so does not touch the terminal's size."""
    session = await opened(tab, server)
    await away(tab, server, session)
    await tab.keys("echo back again\r")
    await expect(notice(tab)).to_contain_text("The connection to the gateway is lost. The shell is kept")
    await expect(notice(tab)).to_contain_text(re.compile(r"(9:5\d|10:00) left"))
    server.down = False
    await tab.state("connected")
    await tab.shows(re.compile(r"echo back again\s*back again"))
    await expect(notice(tab)).to_have_count(0)
    assert bytes(session.taken) == b"echo back again\r"
    assert len(set(session.sizes)) == 1


async def test_it_tries_at_once_when_there_is_reason_to(tab, server):
    session = await opened(tab, server)
    for why in ("online", "button"):
        await away(tab, server, session)
        await tab.page.wait_for_timeout(4500)  # long pauses by now
        server.down = False
        if why == "online":
            await tab.page.evaluate("dispatchEvent(new Event('online'))")
        else:
            await button(tab, "Try now").click()
        await expect(tab.page.locator("#state")).to_have_text("connected", timeout=1500)


@pytest.mark.repetition
async def test_input_that_was_not_taken_is_sent_again(tab, server):
    session = await opened(tab, server)
    session.taking = False
    await tab.keys("echo once\r")
    await until(lambda: session.heard.furthest == 10)
    session.cut()
    await until(lambda: session.heard.attaches)
    await tab.state("connected")
    session.read_again()
    await tab.shows(re.compile(r"echo once\s*once"))
    assert bytes(session.taken) == b"echo once\r"


async def test_a_reload_goes_on_in_the_same_shell_on_the_same_screen(tab, server):
    """A full-screen program draws itself anew."""
    session = await opened(tab, server)
    await tab.keys("list 300\r")
    await tab.shows("number 000300")
    await tab.keys(r"printf '\033[1;31mred'" + "\recho half a li")
    await tab.shows("echo half a li")
    screen = await tab.screen()
    await until(lambda: session.taken.endswith(b"half a li"))
    typed, session.taking = session.heard.furthest, False
    await tab.keys("ne\r")
    await until(lambda: session.heard.furthest == typed + 3)
    await tab.page.reload()
    await tab.state("connected")
    assert await tab.screen() == screen
    session.read_again()
    await tab.shows(re.compile(r"echo half a line\s*half a line"))
    numbers = re.findall(r"number (\d{6})", "\n".join(await tab.lines()))
    assert numbers == [f"{number:06d}" for number in range(1, 301)]
    assert session.taken.endswith(b"echo half a line\r")  # what was typed before the reload arrived once
    assert len(server.sessions) == 1
    assert session.heard.attaches[0]["offset"] is not None

    await tab.keys(ALTERNATE + "\r")
    await tab.shows("full screen")
    columns, rows = await tab.size()
    session.sizes.clear()
    await tab.page.reload()
    await tab.state("connected")
    await tab.shows("full screen")
    await until(lambda: session.sizes[-1:] == [(columns, rows)] and (columns, rows - 1) in session.sizes)


@pytest.mark.repetition
async def test_reloads_in_the_middle_of_output_lose_and_double_nothing(tab, server):
    await opened(tab, server)
    await tab.keys("count 500\r")
    for _ in range(4):
        await tab.page.wait_for_timeout(random.randint(50, 500))
        await tab.page.reload()
    await tab.shows("number 000500")
    numbers = re.findall(r"number (\d{6})", "\n".join(await tab.lines()))
    assert numbers == [f"{number:06d}" for number in range(1, 501)]
    assert len(server.sessions) == 1


async def test_a_crashed_tab_gets_what_the_journal_has(tab, server):
    session = await opened(tab, server)
    await echo(tab, "before")
    await tab.page.evaluate("addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true)")
    await tab.page.evaluate(
        """() => { for (const name of Object.keys(sessionStorage)) if (name.startsWith('dap-gateway.session'))
            { const kept = JSON.parse(sessionStorage.getItem(name)); delete kept.screen; kept.kept.offset = null;
              addEventListener('unload', () => sessionStorage.setItem(name, JSON.stringify(kept))); } }"""
    )
    session.modes = "\x1b[?1h"
    await tab.page.reload()
    await tab.state("connected")
    await tab.shows(re.compile(r"echo before\s*before"))
    assert session.heard.attaches[-1]["offset"] is None
    await tab.page.keyboard.press("ArrowUp")
    await until(lambda: session.taken.endswith(b"\x1bOA"))  # as the program has set the keys


async def test_another_link_and_back_is_the_same_shell_and_signing_in_again_too(tab, server):
    session = await opened(tab, server)
    await echo(tab, "here")
    await tab.page.evaluate("location.hash = '#/?'")
    await tab.page.get_by_role("heading", name="Open a shell in a pod").wait_for()
    await expect(tab.page.locator("#state")).to_be_empty()
    assert session.attached  # the shell is open behind
    await tab.page.go_back()
    await tab.state("connected")
    await tab.shows(re.compile(r"echo here\s*here"))
    server.tokens.clear()
    session.cut()
    await tab.page.get_by_text("does not know this tab any more").wait_for()
    await tab.page.get_by_label("Link or ticket").fill(server.ticket())
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")
    await tab.shows(re.compile(r"echo here\s*here"))
    assert len(server.sessions) == 1


async def duplicate(tab):
    """As a browser does: a new tab with a copy of the old one's sessionStorage."""
    items = await tab.page.evaluate("JSON.stringify(sessionStorage)")
    page = await tab.page.context.new_page()
    await page.add_init_script(
        f"if (!sessionStorage.length) Object.assign(sessionStorage, JSON.parse({items!r}))"
    )
    await page.goto(tab.page.url)
    return type(tab)(page, tab.url)


async def test_a_duplicated_tab_takes_over_once_and_is_taken_back_only_on_request(tab, server):
    session = await opened(tab, server)
    other = await duplicate(tab)
    await other.state("connected")
    await tab.state("taken over")
    await expect(notice(tab)).to_contain_text("goes on in another tab or program, which has taken it over")
    await tab.page.wait_for_timeout(3000)
    assert len(session.heard.attaches) == 1
    await tab.keys("rm -rf /\r")  # typed blindly: it goes nowhere
    await tab.page.reload()
    await tab.state("taken over")
    assert len(session.heard.attaches) == 1
    await button(tab, "Take it back").click()
    await tab.state("connected")
    await other.state("taken over")
    assert session.heard.attaches[-1]["secret"] is None
    await echo(tab, "mine")
    assert bytes(session.taken) == b"echo mine\r"
    await button(other, "New shell").click()
    await other.state("connected")
    assert len(server.sessions) == 2
    await tab.state("connected")


@pytest.mark.repetition
async def test_a_gap_is_marked_on_a_line_of_its_own(tab, server):
    session = await opened(tab, server)
    await session.say({"type": "gap", "bytes": 12_300_000})
    await tab.shows(re.compile(r"^\$\s+12 MB of output are left out here"))


async def test_a_lost_hop_is_named_and_a_warning_counts_down_until_it_goes(tab, server):
    """At last the session is gone, and that is said, too."""
    session = await opened(tab, server)
    await session.say({"type": "hop", "code": "ssh_lost", "hop": "ssh", "message": "gone", "seconds": 600})
    await tab.state("waiting: ssh")
    await expect(notice(tab)).to_contain_text("SSH to the management host is lost. The shell is kept")
    await expect(notice(tab)).to_contain_text(re.compile(r"(9:5\d|10:00) left"))
    await session.say({"type": "hop", "code": None})
    await tab.state("connected")
    await expect(notice(tab)).to_have_count(0)

    for code, words in (("idle", "press any key to keep it"), ("max_age", "reached the age")):
        await session.say({"type": "warning", "code": code, "seconds": 60})
        await expect(tab.page.get_by_role("alert")).to_contain_text(words)
        await expect(notice(tab)).to_contain_text(re.compile(r"0:5[789] left"))
        await session.say({"type": "warning", "code": None})
        await expect(notice(tab)).to_have_count(0)

    session.refusal = {"type": "refused", "code": "session_unknown", "hop": "gateway", "message": "no"}
    session.cut()
    await tab.state("gone")
    await tab.shows("The gateway does not have this shell any more")
    assert len(server.sessions) == 1


ENDS = {
    "killed": "The shell was ended from outside: \\x1b[2J<b>maintenance</b>\\n",
    "access_revoked": "The shell was ended from outside: \\x1b[2J<b>maintenance</b>\\n",
    "idle_timeout": "The shell was ended because nothing happened in it for too long.",
    "max_age": "The shell was ended because it reached the age that is allowed.",
    "client_lost": "The shell was ended because this page was away for too long.",
}


@pytest.mark.parametrize("code", [*list(ENDS)[:1], *map(again, list(ENDS)[1:])])
async def test_an_end_in_plain_words(tab, server, code):
    session = await opened(tab, server)
    session.finish(code, "gateway", "\x1b[2J<b>maintenance</b>\n")
    await tab.shows(ENDS[code])
    await tab.shows("Press Enter for a new shell.")
    assert await tab.page.locator("b").count() == 0
    await tab.page.reload()  # it is over: a link means a new shell again
    await tab.state("connected")
    assert len(server.sessions) == 2


@pytest.mark.repetition
async def test_an_end_while_away_is_told_behind_the_rest_of_the_output(tab, server):
    session = await opened(tab, server)
    await away(tab, server, session)
    session.write(b"last words\r\n")
    session.finish("exited", "pod", "", 3)
    server.down = False
    await tab.state("ended, exit 3")
    await tab.shows(re.compile(r"last words\s*The shell ended with exit code 3."))


async def test_giving_up_is_said_and_a_new_shell_is_opened_only_on_request(tab, server):
    server.grace = 1
    session = await opened(tab, server)
    await away(tab, server, session)
    await tab.state("gave up")
    server.down = False
    await button(tab, "Try again").click()  # one more try may find it
    await tab.state("connected")
    await echo(tab, "same")
    assert len(server.sessions) == 1
    tries = len(session.heard.attaches)

    await away(tab, server, session)
    await tab.state("gave up")
    await expect(notice(tab)).to_contain_text("could not be reached for as long as it keeps the shell")
    server.down = False
    await tab.page.wait_for_timeout(1500)
    assert (len(server.sessions), len(session.heard.attaches)) == (1, tries)
    await tab.page.locator(".xterm-helper-textarea").focus()
    await tab.keys("\r")
    await tab.state("connected")
    await tab.shows("New shell in default / default / kept-0")
    assert len(server.sessions) == 2


async def test_a_paste_into_a_program_that_does_not_read_waits_and_ctrl_c_drops_it(tab, server):
    """A paste that is too large is refused as a whole."""
    session = await opened(tab, server)
    session.taking = False
    await tab.paste("y", 140_000_000)
    await expect(notice(tab)).to_contain_text("140 MB of input were not sent: at most 134 MB can wait")
    await button(tab, "Hide").click()
    session.read_again()
    await echo(tab, "fine")
    assert bytes(session.taken) == b"echo fine\r"

    before, session.taking = len(session.taken), False
    await tab.paste("y", 20_000_000)
    await expect(notice(tab)).to_contain_text("Input is waiting for the program to read it")
    await expect(notice(tab)).to_contain_text("20 MB")
    await tab.page.set_viewport_size({"width": 700, "height": 500})
    await until(lambda: session.sizes[-1][0] < 90)
    assert before < session.heard.furthest <= before + session.window
    session.cut()  # it holds over a lost connection, too
    await until(lambda: session.heard.attaches)
    await tab.state("connected")
    await tab.page.locator(".xterm-helper-textarea").focus()
    await tab.page.keyboard.press("Control+c")
    await expect(notice(tab)).to_have_count(0)
    session.read_again()
    await tab.shows("^C")
    assert bytes(session.taken[before:]).strip(b"y") == b"\x03"
    assert len(session.taken) <= before + session.window


@pytest.mark.repetition
async def test_ctrl_c_under_a_flood(tab, server):
    session = await opened(tab, server)
    await tab.keys("yes\r")
    await until(lambda: len(session.output) > 3_000_000)
    await tab.page.keyboard.press("Control+c")
    await tab.shows(re.compile(r"MB of output are left out here\s*\^C\s*\$"))
    await echo(tab, "quiet")


@pytest.mark.repetition
async def test_what_is_drawn_is_told_in_large_steps(tab, server):
    session = await opened(tab, server)
    await tab.keys("bulk 80\r")
    await until(lambda: session.heard.seen[-1:] == [len(session.output)] and len(session.output) > 2_400_000)
    assert len(session.heard.seen) < len(session.output) / (session.window / 4) + 50
    assert session.heard.seen == sorted(session.heard.seen)


async def test_ending_asks_first(tab, server):
    session = await opened(tab, server)
    await button(tab, "End").click()
    await expect(notice(tab)).to_contain_text(
        re.compile("End this shell in default / .*kept-0.*, and what runs in it\\?")
    )
    await button(tab, "Keep it").click()
    await expect(notice(tab)).to_have_count(0)
    await button(tab, "End").click()
    await button(tab, "End it").click()
    await tab.shows("You ended the shell.")
    await until(lambda: session.heard.closes == [1000])
    await expect(button(tab, "End")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["dark", again("light")])
async def test_bars_fit_a_narrow_window(new_tab, server, scheme):
    async with new_tab(viewport={"width": 400, "height": 700}, color_scheme=scheme) as tab:
        session = await opened(tab, server)
        await session.say({"type": "hop", "code": "ssh_lost", "hop": "ssh", "message": "", "seconds": 600})
        await button(tab, "End").click()
        await expect(notice(tab)).to_have_count(2)
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == 400
