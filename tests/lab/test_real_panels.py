"""Beside a shell of the page, over the real chain: a log through a lost hop, and 50 MB each way."""

import asyncio
import hashlib
import json
import random
import re
from pathlib import Path
from secrets import token_hex

import pytest
from playwright.async_api import expect
from support.lab import kubectl, namespace
from support.real_page import real_gateway, real_tab

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(180)]
MANY = 50_000_000
COUNT = "i=0; while :; do i=$((i+1)); echo $i; [ $((i%20)) = 0 ] && sleep 0.1; done"
CONTAINER = {"name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "command": ["sh", "-c", COUNT]}  # fmt: skip
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "count"},
    "spec": {"terminationGracePeriodSeconds": 0, "containers": [CONTAINER]},
}


@pytest.fixture
async def tab(cluster, lab, tmp_path):
    """A page beside whose shell in the pod `count` there can be panels."""
    assert cluster
    assert lab
    where = f"dap-panels-{token_hex(4)}"
    with namespace(where):
        kubectl("apply", "-n", where, "-f", "-", given=json.dumps(POD))
        kubectl("wait", "-n", where, "--for=condition=Ready", "pod/count", "--timeout=60s")
        async with real_gateway(tmp_path) as serve, real_tab(serve) as opened:
            await opened.visit(f"#ticket={await serve.ticket()}&path=/default/{where}/count/main")
            await opened.state("connected")
            yield opened


async def test_a_log_goes_on_after_a_lost_hop_with_each_line_once(tab, lab):
    await tab.page.get_by_role("button", name="Logs").click()
    state = tab.page.locator(".logs .state")
    await expect(state).to_have_text(re.compile("^Following: [1-9]"))
    await asyncio.to_thread(lab, "fault", "ssh-drop")
    await expect(state).not_to_have_text(re.compile("^Following"))
    await expect(state).to_have_text(re.compile("^Following"), timeout=30_000)
    seen = await tab.page.locator(".logs .lines div").all_inner_texts()
    await expect(tab.page.locator(".logs .lines div").last).not_to_have_text(seen[-1])

    lines = [int(line) for line in await tab.page.locator(".logs .lines div").all_inner_texts()]
    assert lines == list(range(lines[0], lines[-1] + 1))


async def test_50_mb_go_up_and_come_down_through_a_lost_hop(tab, lab, tmp_path):
    file = tmp_path / "many"
    file.write_bytes(random.Random(7).randbytes(MANY))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    await tab.page.get_by_role("button", name="Files").click()
    await tab.page.locator(".filepanel input[type=file]").first.set_input_files(file)
    row = tab.page.locator(".file").first
    await expect(row.locator(".words")).to_have_text(re.compile("^Uploaded to /tmp/many"), timeout=60_000)
    await expect(row.locator(".hash")).to_have_text(digest)

    await tab.page.get_by_label("Path of the file").fill("/tmp/many")
    async with tab.page.expect_download() as downloading:
        await tab.page.get_by_role("button", name="Download").click()
    await asyncio.to_thread(lab, "fault", "ssh-drop")
    saved = Path(await (await downloading.value).path())
    assert hashlib.sha256(await asyncio.to_thread(saved.read_bytes)).hexdigest() == digest
    await expect(row.locator(".words")).to_have_text(re.compile("^Downloaded /tmp/many"), timeout=60_000)
    await expect(row.locator(".hash")).to_have_text(digest)


async def test_an_upload_goes_on_after_a_lost_hop(tab, lab, tmp_path):
    file = tmp_path / "many"
    file.write_bytes(random.Random(8).randbytes(2 * MANY))
    await tab.page.get_by_role("button", name="Files").click()
    await tab.page.locator(".filepanel input[type=file]").first.set_input_files(file)
    row = tab.page.locator(".file").first
    await expect(row.locator(".words")).to_have_text(re.compile(r"^[1-9]\d MB of 100 MB"), timeout=60_000)
    await asyncio.to_thread(lab, "fault", "ssh-drop")
    await expect(row.locator(".words")).to_have_text(
        re.compile("^Waiting, to go on where it was: .*management host")
    )
    await expect(row.locator(".words")).to_have_text(re.compile("^Uploaded to /tmp/many"), timeout=60_000)
    await expect(row.locator(".hash")).to_have_text(hashlib.sha256(file.read_bytes()).hexdigest())
