"""What stands beside a shell: the container's log, and files."""

import asyncio
import hashlib
import random
import re
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect
from support.served import TOKEN, cluster_at, config_for, served

DROP = """() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['dropped'], 'a b.bin'));
    document.querySelector('.stage').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}"""
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def site(demo, tmp_path):
    """The gateway over a relay, which passes the cluster's API on."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path) as running:
        yield running


async def opened(tab, site):
    tokens = site.gateway.access.tokens
    await tab.visit(f"#ticket={tokens.ticket(tokens.identity(TOKEN))}&path=/default/default/web-0")
    await tab.state("connected")


async def test_a_log_is_followed_and_searched_beside_the_shell(tab, site):
    await opened(tab, site)
    assert re.search(r"gateway \d+ ms, .*shell", await tab.page.locator("#state").get_attribute("title"))
    size = await tab.page.locator("#size").inner_text()

    await tab.page.get_by_role("button", name="Logs").click()
    panel = tab.page.get_by_role("region", name="Logs of web-0")
    await expect(panel.locator(".state")).to_have_text(re.compile(r"^Following: [1-9]"))
    await expect(tab.page.locator("#size")).not_to_have_text(size)
    first = await panel.locator(".lines div").first.inner_text()
    await panel.locator(".lines").press("Control+Shift+F")
    await expect(panel.get_by_role("searchbox")).to_be_focused()
    await tab.keys("e")  # in several lines, of which the newest comes first
    count = panel.locator(".finder .count")
    many = await panel.locator(".match").count()
    await expect(count).to_have_text(f"{many} of {many}")
    await tab.page.keyboard.press("Enter")
    await expect(count).to_have_text(f"{many - 1} of {many}")
    await panel.get_by_role("button", name="Later match").click()
    await expect(count).to_have_text(f"{many} of {many}")
    await panel.get_by_role("searchbox").fill(first)
    await expect(panel.locator(".match.current")).to_have_text(first)
    await panel.get_by_role("button", name="Pause").click()
    await expect(panel.locator(".state")).to_have_text(re.compile("^Paused"))

    await tab.page.locator(".xterm").click()
    await tab.page.reload()
    await expect(panel.locator(".state")).to_have_text(re.compile(r"^Following: [1-9]"))
    await tab.state("connected")
    for height in (360, 700):
        await tab.page.set_viewport_size({"width": 1024, "height": height})
        await expect(panel.locator(".lines div").last).to_be_in_viewport()
    names = tab.page.locator("#place")
    assert await names.evaluate("(names) => names.scrollWidth <= names.clientWidth")  # whole, on a laptop
    await expect(tab.page.locator(".xterm-helper-textarea")).to_be_focused()
    await panel.locator(".lines").press("Escape")
    await expect(panel).to_have_count(0)
    await tab.keys("echo 'back again'\r")
    await tab.shows("again'back again")
    await tab.page.reload()
    await tab.state("connected")
    await expect(tab.page.get_by_role("button", name="Logs")).to_have_attribute("aria-pressed", "false")
    await expect(panel).to_have_count(0)


async def test_files_go_up_and_come_down_beside_the_shell(tab, site, tmp_path):
    (tmp_path / "d" / "sub").mkdir(parents=True)
    await opened(tab, site)
    content = random.Random(3).randbytes(300_000)
    digest = hashlib.sha256(content).hexdigest()
    await tab.page.get_by_role("button", name="Files").click()
    panel = tab.page.get_by_role("region", name="Files of web-0")
    await panel.get_by_label("Directory in the container").fill(".")
    await panel.locator("input[type=file]").first.set_input_files(
        {"name": "a b.bin", "mimeType": "", "buffer": content}
    )
    row = panel.locator(".file").first
    await expect(row.locator(".words")).to_have_text(
        re.compile("^Uploaded to ./a b.bin: 0.3 MB, the container has")
    )
    await expect(row.locator(".hash")).to_have_text(digest)

    await panel.get_by_label("Path of the file").fill("./a b.bin")
    async with tab.page.expect_download() as downloading:
        await panel.get_by_role("button", name="Download").click()
    download = await downloading.value
    saved = await asyncio.to_thread(Path(await download.path()).read_bytes)
    assert (download.suggested_filename, saved) == ("a b.bin", content)
    await expect(row.locator(".words")).to_have_text(re.compile("^Downloaded ./a b.bin"))

    await panel.get_by_label("Path of the file").fill(f"{tmp_path}/d/")
    async with tab.page.expect_download() as downloading:
        await panel.get_by_role("button", name="Download").click()
    assert (await downloading.value).suggested_filename == "d.tar"
    await expect(row.locator(".words")).to_have_text(re.compile(r"^Downloaded .*/d/: .*, an archive\.$"))

    (tmp_path / "d" / "sub" / "f").write_text("of a directory")
    await panel.get_by_label("Directory in the container").fill(f"{tmp_path}/d/sub")
    await panel.locator("input[webkitdirectory]").set_input_files(tmp_path / "d")
    await expect(row.locator(".words")).to_have_text(re.compile("^Uploaded to .*/d/sub/d: .*same SHA-256"))
    assert (tmp_path / "d" / "sub" / "d" / "sub" / "f").read_text() == "of a directory"
    await panel.get_by_label("Directory in the container").fill(".")

    await panel.get_by_role("button", name="Close the files").click()
    await tab.page.evaluate(DROP)
    await expect(row.locator(".words")).to_have_text("./a b.bin is there already.")
    await row.get_by_role("button", name="Replace it").click()
    await expect(row.locator(".words")).to_have_text(re.compile("^Uploaded to"))
    await panel.get_by_label("Path of the file").press("Escape")
    await tab.keys("cat 'a b.bin'\r")
    await tab.shows("dropped")
    await tab.keys("(while echo more; do :; done >> 'a b.bin')&\r")
    await tab.page.get_by_role("button", name="Files").click()
    await panel.get_by_label("Path of the file").fill("./a b.bin")
    async with tab.page.expect_download():
        await panel.get_by_role("button", name="Download").click()
    await expect(row.locator(".words")).to_have_text(
        re.compile(r"same SHA-256\. It grew while it was copied")
    )
    await panel.get_by_label("Path of the file").press("Escape")
    await tab.keys("kill $!; rm 'a b.bin'\r")


async def test_an_upload_that_is_cancelled_says_so(tab, site):
    await opened(tab, site)
    cancelled = asyncio.Event()

    async def hold(route):
        await cancelled.wait()
        await route.abort()

    await tab.page.route(re.compile(r"/transfers/[^/]+\?modified="), hold)
    await tab.page.get_by_role("button", name="Files").click()
    async with tab.page.expect_request(re.compile("modified=")):
        await tab.page.locator("input[type=file]").first.set_input_files(
            {"name": "cancelled.bin", "mimeType": "", "buffer": b"some"}
        )
    row = tab.page.locator(".file").first
    await row.get_by_role("button", name="Cancel").click()
    cancelled.set()
    await tab.page.wait_for_timeout(300)
    await expect(row.locator(".words")).to_have_text("Cancelled: nothing of it stays in the container.")
    await expect(row.get_by_role("button")).to_have_text("Hide")
