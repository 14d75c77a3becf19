"""The page against whatever behaves as a gateway: only `site` is used, and the shell of its `web-0`."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from support.browser import open_tab
from support.repeated import again

from gateway.access.identity import Identity

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
POD = "/default/default/web-0"
# What the page does by itself: against the gateway this only repeats
page_alone = pytest.mark.parametrize("site", ["scripted", again("demo")], indirect=True)


async def signed_in(tab, site, path=POD, **options):
    await tab.visit(f"#ticket={site.ticket()}&path={path}", **options)
    await tab.state("connected")


async def test_a_ticket_leaves_the_address_bar_and_opens_its_path(tab, site):
    """Who one is stands beside the pod, after a reload too."""
    await tab.visit(f"#ticket={site.ticket()}&path={POD}")
    await tab.state("connected")
    assert tab.page.url.endswith(f"#{POD}")
    assert "ticket" not in await tab.page.evaluate("location.href")
    assert "web-0" in await tab.page.title()
    who = await tab.page.locator("#who").text_content()
    assert who
    await tab.page.reload()
    await tab.state("connected")
    assert await tab.page.locator("#who").text_content() == who
    await tab.page.go_back()
    assert "ticket" not in tab.page.url


@pytest.mark.repetition
async def test_the_shell_answers(tab, site):
    await signed_in(tab, site)
    await tab.keys("echo hello\r")
    await tab.shows(re.compile(r"echo hello\s*hello"))


@pytest.mark.repetition
async def test_a_reload_keeps_the_token_and_opens_a_new_shell(tab, site):
    await signed_in(tab, site)
    await tab.page.reload()
    await tab.state("connected")


@page_alone
async def test_a_token_stays_in_its_tab(tab, site, new_tab):
    await signed_in(tab, site)
    async with new_tab() as other:
        await other.visit(f"#{POD}")
        await other.page.get_by_role("heading", name="Sign in with a link").wait_for()


async def test_the_exit_code_is_shown_and_enter_opens_a_new_shell(tab, site):
    await signed_in(tab, site)
    await tab.keys("exit 3\r")
    await tab.state("ended, exit 3")
    await tab.shows("The shell ended with exit code 3.")
    await tab.shows("Press Enter for a new shell.")
    await tab.keys("x")
    await tab.state("ended, exit 3")
    await tab.keys("\r")
    await tab.state("connected")
    await tab.keys("exit\r")
    await tab.state(re.compile("ended, exit 0"))


@page_alone
async def test_the_size_follows_the_window_and_a_count_that_no_screen_has_does_not_stop_the_page(tab, site):
    """Xterm.js would count to it, and nothing that was typed could end that."""
    await signed_in(tab, site)
    await tab.page.set_viewport_size({"width": 640, "height": 400})
    await tab.page.wait_for_timeout(300)
    columns, rows = await tab.size()
    await tab.keys("stty size\r")
    await tab.shows(f"{rows} {columns}")
    counts = "".join(rf"\033[2147483647{final}" for final in "ILMSTZb")
    await tab.keys(f"printf 'x{counts}still \\150ere'\r")
    await tab.shows("still here")


@page_alone
@pytest.mark.parametrize("query", ["?renderer=dom", "?renderer=webgl"], ids=["dom", "webgl"])
async def test_true_colours_under_the_policy(tab, site, query):
    await signed_in(tab, site, query=query)
    renderer = await tab.page.locator(".screen").get_attribute("data-renderer")
    if query == "?renderer=webgl" and renderer != "webgl":
        pytest.skip("this Chromium has no WebGL")
    assert query == f"?renderer={renderer}"
    await tab.keys(r"printf '\033[48;2;11;88;201m\033[38;2;255;100;50m  true colour  \033[0m'" + "\r")
    await tab.page.wait_for_timeout(700)
    seen = await tab.colours()
    assert seen.get("11,88,201", 0) > 500
    assert seen.get("255,100,50", 0) > 5


async def test_a_command_in_a_link_waits_for_enter(tab, site):
    await signed_in(tab, site)
    await tab.page.clock.install()
    await tab.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
    await tab.visit(f"#{POD}?command=echo&command=it%27s%20me")
    assert await tab.page.get_by_label("Command").inner_text() == r"echo 'it'\''s me'"
    await tab.page.keyboard.press("Enter")  # too early to be meant for this page
    await tab.page.clock.run_for(700)
    await tab.page.clock.resume()
    button = tab.page.get_by_role("button", name="Run it")
    await button.wait_for()
    assert await button.is_enabled()
    await tab.page.keyboard.press("Enter")
    await tab.state("ended, exit 0")
    await tab.shows("me")
    await tab.shows("Press Enter to run the command again.")


async def test_without_a_shell_signing_out_asks_nothing_and_a_used_ticket_is_refused_in_words(tab, site):
    ticket = site.ticket()
    await tab.visit(f"#ticket={ticket}&path=/?")
    await tab.page.get_by_role("heading", name="Open a shell in a pod").wait_for()
    await tab.page.get_by_role("button", name="Sign out", exact=True).click()
    await tab.page.get_by_role("heading", name="Sign in with a link").wait_for()
    assert await tab.page.evaluate("sessionStorage.length") == 0
    await tab.visit(f"#ticket={ticket}")
    await tab.page.get_by_text("did not take the ticket").wait_for()


async def test_the_form_opens_a_pod_and_one_without_a_namespace_is_in_the_clusters(tab, site):
    """And that is shown."""
    await tab.visit(f"#ticket={site.ticket()}&path=/?")
    field = tab.page.get_by_label("Namespace")
    await tab.page.get_by_placeholder(re.compile(r"^default \(the cluster.s default\)$")).wait_for()
    assert await field.input_value() == ""
    await tab.page.get_by_label("Pod").fill("Web_0")
    await tab.page.keyboard.press("Enter")
    await tab.page.get_by_text("cannot be the name of a pod").wait_for()
    await tab.page.get_by_label("Pod").fill("web-0")
    await tab.page.get_by_role("button", name="Open a shell").click()
    await tab.state("connected")
    assert tab.page.url.endswith("#/default//web-0")
    assert await tab.page.locator("#place [title='namespace: default']").count() == 1
    assert await tab.page.title() == "web-0 · default · dap"
    await tab.page.reload()
    await tab.state("connected")
    assert await tab.page.title() == "web-0 · default · dap"


@pytest.mark.repetition
@page_alone
async def test_the_form_opens_a_pod_in_a_namespace(tab, site):
    await tab.visit(f"#ticket={site.ticket()}&path=/?")
    await tab.page.get_by_label("Namespace").fill("default")
    await tab.page.get_by_label("Pod").fill("web-0")
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")
    assert tab.page.url.endswith(f"#{POD}")


async def test_signing_out_ends_the_token_and_an_unknown_one_leads_to_the_sign_in_and_back(tab, site):
    """The tab keeps nothing."""
    await signed_in(tab, site)
    token = await tab.page.evaluate("sessionStorage.getItem('dap-gateway.token')")
    sign_out = tab.page.get_by_role("button", name="Sign out", exact=True)
    await sign_out.click()
    await tab.page.get_by_role("button", name="Keep it").click()
    await tab.keys("echo hello\r")
    await tab.shows(re.compile(r"echo hello\s*hello"))
    await sign_out.click()
    await tab.page.get_by_role("button", name="End it and sign out").click()
    await tab.page.get_by_role("heading", name="Sign in with a link").wait_for()

    assert await sign_out.is_hidden()
    assert await tab.page.evaluate("sessionStorage.length") == 0
    asked = "token => fetch('/gateway/v1/info', {headers: {Authorization: `Bearer ${token}`}}).then(said => said.status)"
    assert await tab.page.evaluate(asked, token) == 401
    await tab.page.reload()
    await tab.page.get_by_role("heading", name="Sign in with a link").wait_for()
    await tab.page.evaluate("sessionStorage.setItem('dap-gateway.token', 'stale')")
    await tab.visit(f"#{POD}")
    await tab.page.get_by_text("does not know this tab any more").wait_for()
    assert await tab.page.evaluate("sessionStorage.length") == 0
    await tab.page.get_by_label("Link or ticket").fill(f"{site.url}/#ticket={site.ticket()}")
    await tab.page.keyboard.press("Enter")
    await tab.state("connected")


async def test_a_link_of_somebody_else_asks_before_the_tab_is_theirs_and_a_revoked_tab_is_told(browser, real):
    """Who is revoked is led to the sign-in."""
    async with open_tab(browser, real.url) as tab:
        await signed_in(tab, real)
        who = await tab.page.locator("#who").text_content()
        for answer, then in ((f"Stay {who}", who), ("Go on as ann", "ann")):
            ticket = real.tokens.ticket(Identity("ann", "uid"))
            await tab.page.evaluate("ticket => { location.hash = `#ticket=${ticket}&path=/?` }", ticket)
            await tab.page.get_by_role("button", name=answer).click()
            await tab.page.get_by_role("heading", name="Open a shell in a pod").wait_for()
            assert await tab.page.locator("#who").text_content() == then
        assert [grant.identity.name for grant in real.tokens.pages()] == ["ann"]
        await tab.page.evaluate(f"location.hash = '#{POD}'")
        await tab.state("connected")
        (grant,) = real.tokens.pages()
        real.tokens.revoke_named(grant.name)
        await tab.state("ended: signed out")
        await tab.shows("dap open")
        await tab.keys("\r")
        await tab.page.get_by_text("does not know this tab any more").wait_for()
