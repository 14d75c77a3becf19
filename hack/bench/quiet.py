"""Ctrl-C under `yes` in the page: from the key to the last change of the screen, the new prompt among it.

    .venv/bin/python hack/bench/quiet.py [--runs N] [--mode MODE] [--share]

A headless Chromium with the DOM renderer, on the gateway's page, and beside it plain ssh, incus and kubectl, whose output
is read at full speed and drawn nowhere. Exit code 1 when the screen was not quiet in time in every run.

In life the browser has a machine of its own. Here the kernel shares the cores alike among all sessions that want them
(sched(7), autogroup), and under `yes` those are a dozen programs of the cluster: so Chromium's goes first, where this user
may say so. With `--share` it gets what each of them gets, which is then most of what is measured.
"""

import argparse
import os
import statistics
import sys
import time
from typing import Any

from conversation import Asked
from page import chromium, first, link
from playwright.sync_api import Page, sync_playwright
from raw import Raw
from rows import opened
from served import Served, serving

_FLOOD = 3.0  # seconds of it
_LIMIT = 300.0  # milliseconds
_CALM = 1500  # milliseconds without a change
_WAIT = 30_000  # milliseconds for anything that is to come
_WATCH = """calm => new Promise(resolve => {
    const rows = document.querySelector('.xterm-rows');
    let pressed = Infinity, changed = 0, text;
    addEventListener('keydown', event => { if (event.ctrlKey && event.key === 'c') pressed = event.timeStamp; }, true);
    const look = now => {
        if (rows.textContent !== text) [text, changed] = [rows.textContent, performance.now()];
        if (text.includes('^C') && now - changed > calm) resolve(changed - pressed);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""

_DONE = """([watched, limit]) => Promise.race([watched.done, new Promise(resolve => setTimeout(() => resolve(limit), limit))])"""


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(
        prog="quiet.py", description="Ctrl-C under `yes`, until the screen is quiet."
    )
    parser.add_argument("--runs", type=int, default=10, metavar="N")
    parser.add_argument("--mode", default="relay", choices=["plain", "relay"])
    parser.add_argument(
        "--share",
        action="store_true",
        help="the browser gets no more of the cores than each of the chain's programs",
    )
    given = parser.parse_args()
    browser_path = chromium()
    if not (os.environ.get("DAP_LAB") and browser_path):
        print("quiet.py: needs a real chain and Chromium; see README.md beside this file", file=sys.stderr)
        return 2
    raw = Raw(os.environ["DAP_LAB_SSH_CONFIG"], os.environ["DAP_RUNNER_VM"], "web-0", "main")
    times: dict[str, list[float]] = {"raw": [], "page": []}
    with (
        serving(given.mode, "web-0", "main", "v1.dap-gateway") as way,
        first(browser_path, share=given.share) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(given.runs):
            times["raw"].append(_raw(raw))
            times["page"].append(_page(browser.new_page(), way))
            print(" ".join(f"{name} {values[-1]:.0f} ms" for name, values in times.items()), flush=True)
        browser.close()
    for name, values in times.items():
        print(
            f"{name}, {given.mode}: median {statistics.median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})"
        )
    good = sum(value <= _LIMIT for value in times["page"])
    ratio = statistics.median(times["page"]) / statistics.median(times["raw"])
    print(f"{ratio:.2f} of raw; {good} of {given.runs} within {_LIMIT:g} ms")
    return 0 if good == given.runs else 1


def _raw(way: Raw) -> float:
    with opened(way, Asked(("sh",), tty=True)) as conversation:
        conversation.until(b"# ")
        conversation.send(b"yes\n")
        began = time.perf_counter()
        while time.perf_counter() - began < _FLOOD:
            conversation.fetch(1 << 16)
        began = time.perf_counter()
        conversation.send(b"\x03")
        conversation.until(b"# ")
        return (time.perf_counter() - began) * 1000


def _page(page: Page, way: Served) -> float:
    page.goto(f"{link(way)}&path=/default/default/web-0/main".replace("/#", "/?renderer=dom#"))
    page.locator(".xterm-rows").get_by_text("#").first.wait_for(timeout=_WAIT)
    page.keyboard.type("yes\r")
    page.wait_for_timeout(_FLOOD * 1000)
    watched: Any = page.evaluate_handle(f"calm => ({{ done: ({_WATCH})(calm) }})", _CALM)
    page.keyboard.press("Control+c")
    took: float = page.evaluate(_DONE, [watched, _WAIT])
    page.keyboard.type("exit\r")
    page.close()
    return took


if __name__ == "__main__":
    sys.exit(main())
