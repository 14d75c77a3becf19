"""A flood in a tab of the page: what the page takes of memory and how many frames it draws a second while it lasts.

    .venv/bin/python hack/bench/flood.py [--demo] [--seconds N] [--renderer dom] [--share]

A program in the pod writes lines, every other one in colours, as fast as the way to the page takes them. Frames are those that
Chromium gives the page, so a page that is busy has fewer; output is what the terminal has drawn. Prints a line for each tenth
of the time. Exit code 1 when a limit is missed.
"""

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

from memory import rss
from page import chromium, first, link, memory
from playwright.sync_api import Browser, sync_playwright
from served import Served, serving

_MEMORY, _FRAMES = 300.0, 30.0  # MB at most, frames a second at least
_WAIT = 30_000  # milliseconds for anything that is to come
# yes(1) with colours: an editor's or a build's output is not all one colour
_FLOOD = r"""e=$(printf '\033'); yes "plain text of a program that says a lot
$e[1;31mred$e[0m $e[48;5;24mof 256$e[0m $e[38;2;90;200;160mtrue colour$e[0m $e[7mreversed$e[0m" """
_WATCH = """() => {
    window.frames_drawn = [];
    const draw = now => { frames_drawn.push(now); requestAnimationFrame(draw); };
    requestAnimationFrame(draw);
}"""
_TAKE = "() => frames_drawn.splice(0, frames_drawn.length - 1)"


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(prog="flood.py", description="A flood in a tab of the page.")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="N")
    parser.add_argument("--renderer", choices=["webgl", "dom"], help="else the page chooses")
    parser.add_argument("--demo", action="store_true", help="the embedded chain, in place of the real one")
    parser.add_argument("--share", action="store_true", help="see quiet.py")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the end of all blocks: no program stays
    path = chromium()
    if not ((given.demo or os.environ.get("DAP_LAB")) and path):
        print("flood.py: needs a real chain and Chromium; see README.md beside this file", file=sys.stderr)
        return 2
    with (
        serving("relay", "web-0", "main", "v1.dap-gateway", flags=("--demo",) * given.demo) as way,
        first(path, share=given.share) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        found = list(_flooded(browser, way, given.seconds, given.renderer))
        browser.close()
    most, least = max(megabytes for megabytes, _ in found), min(frames for _, frames in found)
    typical = statistics.median(frames for _, frames in found)
    good = most < _MEMORY and least >= _FRAMES
    print(
        f"at most {most:.0f} MB of {_MEMORY:g}, at least {least:.0f} frames a second of {_FRAMES:g} (median {typical:.0f})"
    )
    return 0 if good else 1


def _flooded(
    browser: Browser, way: Served, seconds: float, renderer: str | None
) -> Iterator[tuple[float, float]]:
    """Yields (MB of the page, frames a second) of each tenth of the flood."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    url = link(way, "/default/default/web-0/main")
    page.goto(url.replace("/#", f"/?renderer={renderer}#") if renderer else url)
    page.locator("#state", has_text="connected").wait_for(timeout=_WAIT)
    used = page.locator(".screen").get_attribute("data-renderer")
    print(f"drawn with {used}; load {os.getloadavg()[0]:.1f}")
    page.keyboard.type(_FLOOD.replace("\n", "\r") + "\r")
    page.evaluate(_WATCH)
    for _ in range(10):
        began = time.monotonic()
        page.evaluate(_TAKE)
        page.wait_for_timeout(seconds * 100)
        frames = page.evaluate(_TAKE)
        passed = time.monotonic() - began
        whole, objects = memory(browser, page)
        print(f"{len(frames) / passed:5.1f} frames a second, longest pause {_longest(frames):.0f} ms; {whole:.0f} MB, of them {objects:.0f} objects; "
              f"gateway {rss(way.pid) / 1024:.0f} MB; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        yield whole, len(frames) / passed
    page.keyboard.press("Control+c")
    page.locator("#state", has_text="connected").wait_for(timeout=_WAIT)
    page.keyboard.type("exit\r")
    page.locator("#state", has_text="ended").wait_for(timeout=_WAIT)


def _longest(frames: list[float]) -> float:
    return max((later - sooner for sooner, later in pairwise(frames)), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
