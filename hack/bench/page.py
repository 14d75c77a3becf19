"""The page in a Chromium: which one, ahead of what, signed in how, and what it takes of the machine."""

import json
import os
import shlex
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory import pss
from playwright.sync_api import Browser, Page
from served import Served

_AHEAD = -10  # as nice(1) counts


def chromium() -> str | None:
    """The path of a Chromium on this machine, `DAP_CHROMIUM` first."""
    return os.environ.get("DAP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def first(chromium: str, *, share: bool) -> Iterator[str]:
    """A program that is Chromium, ahead of others where two want a core."""
    if not share and (os.geteuid() or not Path("/proc/self/autogroup").exists()):
        print("as with --share: that takes root, and a kernel with autogroup", file=sys.stderr)
        share = True
    if share:
        yield chromium
        return
    with tempfile.TemporaryDirectory(prefix="dap-bench-") as directory:
        program = Path(directory) / "chromium"
        program.write_text(
            f'#!/bin/sh\necho {_AHEAD} >/proc/self/autogroup\nexec {shlex.quote(chromium)} "$@"\n'
        )
        program.chmod(0o700)
        yield str(program)


def ahead(pid: int) -> None:
    """Has the session of a process go first, too, where this user may say so: in life the gateway has a machine of its own."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_AHEAD))


def link(way: Served, path: str = "") -> str:
    """Returns a fresh sign-in link, which leads to `path`."""
    request = urllib.request.Request(
        f"{way.url}/gateway/v1/tickets",
        b"{}",
        {"Authorization": f"Bearer {way.token}", "Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        url = str(json.load(answer)["url"])
    return f"{url}&path={path}" if path else url


def memory(browser: Browser, page: Page) -> tuple[float, float]:
    """Returns MB of the page, the largest that the browser shows: proportional memory of its process as it is, and live objects of
    its scripts.
    """
    client = browser.new_browser_cdp_session()
    processes = client.send("SystemInfo.getProcessInfo")["processInfo"]
    client.detach()
    whole = max(pss(each["id"]) for each in processes if each["type"] == "renderer") * 1024 / 1e6
    client = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    objects = client.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    client.detach()
    return whole, objects
