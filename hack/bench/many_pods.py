"""The page's list of 20,000 pods of the real chain, in a Chromium: how soon it is there, what a key in the filter takes,
and what of memory.

    .venv/bin/python hack/bench/many_pods.py [--pods N]

The pods name a scheduler that does not exist: objects of the API and nothing else. They are made straight at the API server, in
a namespace of their own, and deleted afterwards. `lab fault api-restart` waits for all pods, so nobody may call it meanwhile.
Exit code 1 when a limit is missed.
"""

import argparse
import json
import math
import os
import random
import re
import secrets
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memory import rss
from page import ahead, chromium, first, link, memory
from playwright.sync_api import Browser, Page, sync_playwright
from served import Served, serving

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from support.exec_client import Access
from support.lab import kubeconfig_access

_LIMITS = {
    "first 200 rows, ms": 300.0,
    "first 200 rows, another tab, ms": 300.0,
    "p95 of a key, ms": 16.0,
    "process of the page, MB": 150.0,
}
_GATEWAYS, _TABS = 5, 3
_WORKERS = 8
_WAIT = 120_000  # milliseconds for the whole list
_QUERIES = ("check", "pay 7", "many pend", "cafe", "00", "search-a b")
_RANDOM = random.Random(5)
_WATCH = """([hash, limit]) => new Promise((resolve, reject) => {
    const seen = { texts: [], rows: 0 };
    const began = performance.now();
    const look = () => {
        const count = document.querySelector('.find .count');
        const rows = Number(document.querySelector('#pods')?.getAttribute('aria-rowcount') ?? 0) - 1;
        if (!count) return;
        if (seen.texts.at(-1) !== count.textContent) seen.texts.push(count.textContent);
        if (rows >= 200) seen.rows ||= performance.now() - began;
        if (count.dataset.state === 'live') resolve({ ...seen, live: performance.now() - began });
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    setTimeout(() => reject(new Error(`the list is not there: ${seen.texts.at(-1)}`)), limit);
    location.hash = hash;
})"""
_KEYS = """() => {
    window.took = [];
    addEventListener('input', event => {  // after the page's own listener: what it has changed is laid out, too
        document.body.offsetHeight;
        took.push(performance.now() - event.timeStamp);
    });
}"""


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(prog="many_pods.py", description="The list of many pods.")
    parser.add_argument("--pods", type=int, default=20_000, metavar="N")
    parser.add_argument("--share", action="store_true", help="see quiet.py")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the end of all blocks: no pod stays
    path = chromium()
    if not (os.environ.get("DAP_LAB_KUBECONFIG") and path):
        print(
            "many_pods.py: needs a real chain and Chromium; see README.md beside this file", file=sys.stderr
        )
        return 2
    found: dict[str, list[float]] = {}
    with (
        _pods(kubeconfig_access(os.environ["DAP_LAB_KUBECONFIG"]), given.pods),
        first(path, share=given.share) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(_GATEWAYS):
            with serving("relay", "web-0", "main", "v1.dap-gateway") as way:
                if not given.share:
                    ahead(way.pid)
                for name, value in _measured(browser, way):
                    found.setdefault(name, []).append(value)
        browser.close()
    missed = False
    for name, values in found.items():
        value, limit = statistics.median(values), _LIMITS.get(name, math.inf)
        missed |= value > limit
        verdict = "" if limit == math.inf else f"limit {limit:g}: {'MISSED' if value > limit else 'met'}"
        print(f"{name:34}{value:8.1f} ({min(values):.1f} to {max(values):.1f})   {verdict}")
    return 1 if missed else 0


def _measured(browser: Browser, way: Served) -> Iterator[tuple[str, float]]:
    """Looks at the list as the gateway's first tab does, types in its filter, and looks in other tabs."""
    before = rss(way.pid)
    page, seen = _opened(browser, way)
    yield "first 200 rows, ms", seen["rows"]
    yield "all rows, ms", seen["live"]
    yield "growth of the gateway, MB", (rss(way.pid) - before) * 1024 / 1e6
    said = [text for text in seen["texts"] if re.fullmatch(r"Loading [\d,]+ of [\d,]+", text)]
    if not said:
        raise SystemExit(
            f"many_pods.py: the list did not say how many pods it has of how many: {seen['texts']}"
        )
    yield "times that it said n of m", len(said)
    took = sorted(_typed(page))
    yield "p50 of a key, ms", statistics.median(took)
    yield "p95 of a key, ms", took[int(len(took) * 0.95)]
    whole, objects = memory(browser, page)
    yield "process of the page, MB", whole
    yield "live objects in it, MB", objects
    page.close()
    for _ in range(_TABS):
        page, seen = _opened(browser, way)
        yield "first 200 rows, another tab, ms", seen["rows"]
        yield "all rows, another tab, ms", seen["live"]
        page.close()


def _opened(browser: Browser, way: Served) -> tuple[Page, dict[str, Any]]:
    """A tab that has signed in and shows all pods, and what was seen until then. The page's own files are there before."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(way.url)
    page.get_by_role("heading", name="Sign in").wait_for()
    return page, page.evaluate(_WATCH, [link(way, "/default").partition("#")[2], _WAIT])


def _typed(page: Page) -> list[float]:
    """Milliseconds from a key to the laid-out rows, for each key of the queries and for those that take them away again."""
    page.evaluate(_KEYS)
    for query in _QUERIES:
        page.keyboard.type(query, delay=30)
        for _ in query:
            page.keyboard.press("Backspace", delay=30)
    took: list[float] = page.evaluate("took")
    return took


@contextmanager
def _pods(api: Access, count: int) -> Iterator[None]:
    """So many pods in a namespace of their own, which are gone afterwards."""
    space = f"many-{secrets.token_hex(3)}"
    path = f"/api/v1/namespaces/{space}"
    names = [_name() for _ in range(count)]
    request(api, [("POST", "/api/v1/namespaces", {"metadata": {"name": space}})])
    time.sleep(2)  # for its service account, without which no pod is taken
    try:
        _spread("made", api, [("POST", f"{path}/pods", _pod(name)) for name in names])
        yield
    finally:
        now = {"gracePeriodSeconds": 0}
        _spread("deleted", api, [("DELETE", f"{path}/pods/{name}", now) for name in names])
        request(api, [("DELETE", path, None)])


def _spread(done: str, api: Access, requests: list[tuple[str, str, Any]]) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda at: request(api, requests[at::_WORKERS]), range(_WORKERS)))
    print(f"{len(requests)} pods {done} in {time.monotonic() - began:.0f} s", flush=True)


def request(api: Access, requests: list[tuple[str, str, Any]]) -> None:
    """Makes these requests, one after the other, over one connection."""
    connection = HTTPSConnection(urlsplit(api.url).netloc, context=api.tls, timeout=60)
    for method, path, body in requests:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in {200, 201, 202, 404}:
            raise SystemExit(f"many_pods.py: {method} {path}: {answer.status} {said[:300]!r}")
    connection.close()


def _name() -> str:
    app = _RANDOM.choice(["checkout", "payments", "search", "catalog", "web", "api", "cache", "mailer"])
    return f"{app}-{_RANDOM.getrandbits(32):08x}-{_RANDOM.getrandbits(20):05x}"


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": "docker.io/lab/busybox:1"}
    owned = {"name": name, "labels": {"app": name.partition("-")[0]}}
    spec = {"schedulerName": "nobody", "automountServiceAccountToken": False, "containers": [container]}
    return {"metadata": owned, "spec": spec}


if __name__ == "__main__":
    sys.exit(main())
