"""Draws every state of the page's list, of its shells and of what stands beside them, at three sizes, dark and light, and holds each
against axe: `python hack/page_states.py DIRECTORY [PODS [STATE…]]`. Needs a built page, Chromium and the packages of the tests.
"""

import asyncio
import itertools
import json
import random
import re
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Page, async_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
import shell_states  # noqa: E402
from support.browser import ARGUMENTS, chromium  # noqa: E402
from support.scripted import Scripted  # noqa: E402
from support.served import TOKEN, cluster_at, config_for, served  # noqa: E402
from support.upstream import upstream_at  # noqa: E402

from gateway.protocol.outcome import Hop  # noqa: E402
from gateway.server import lookup  # noqa: E402

SIZES = {"1440x900": (1440, 900), "1024x640": (1024, 640), "390x844": (390, 844)}
LISTS = ("all", "loading", "empty", "forbidden", "failed", "stale", "found", "nothing", "inside")
SHELLS = ("opening", "logs", "nologs", "files")
COLUMNS = [{"name": name} for name in ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node")]
KEYS = {"found": ("checkout shop",), "nothing": ("nothing-of-that",), "inside": ("che", "ArrowRight")}
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
FOUND = "() => axe.run().then(({violations}) => violations.map(({id}) => id))"
RANDOM = random.Random(4)
REFUSED = 'pods is forbidden: User "ann" cannot list resource "pods" in API group "" at the cluster scope'
NO_LOGS = (
    'pods "x" is forbidden: User "ann" cannot get resource "pods/log" in API group "" in the namespace "shop"'
)
DEFAULT = {"kubectl.kubernetes.io/default-container": "app"}
POD = {
    "metadata": {"name": "x", "annotations": DEFAULT},
    "spec": {
        "nodeName": "node-07",
        "containers": [{"name": "metrics", "image": "registry.example.com/exporter:0.9"}, {"name": "app"}],
        "initContainers": [{"name": "migrate"}, {"name": "mesh", "restartPolicy": "Always"}],
        "ephemeralContainers": [{"name": "debugger-x7k2p", "image": "busybox"}],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"name": "app", "ready": True, "restartCount": 3, "state": {"running": {}}},
            {"name": "metrics", "restartCount": 12, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        ],
    },
}


def row() -> dict[str, object]:
    """Invents a pod."""
    app = RANDOM.choice(
        ["checkout", "payments", "search", "catalog", "web", "api", "ingress", "cache", "mailer", "reports"]
    )
    made, end = f"{app}-{RANDOM.getrandbits(32):08x}", f"{RANDOM.getrandbits(20):05x}"
    status = RANDOM.choices(["Running", "Pending", "CrashLoopBackOff", "Completed"], [94, 1, 2, 3])[0]
    born = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - RANDOM.expovariate(1 / 4e5)))
    namespace = RANDOM.choice(["default", "shop", "shop-staging", "kube-system", "team-a"])
    ready = "1/1" if status == "Running" else "0/1"
    cells = [
        f"{made}-{end}",
        ready,
        status,
        RANDOM.choice([0, 0, 0, 1, 17]),
        "",
        "",
        f"node-{RANDOM.randrange(60):02d}",
    ]
    owner = {"kind": "ReplicaSet", "name": made, "controller": True}
    named = {"name": cells[0], "namespace": namespace, "creationTimestamp": born, "ownerReferences": [owner]}
    return {"cells": cells, "object": {"metadata": named}}


class Api:
    """Answers as an API server in a state."""

    def __init__(self, state: str, count: int) -> None:
        self.state = state
        self.rows = [row() for _ in range(0 if state == "empty" else count)]

    async def answer(self, head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, _, query = head.split(b" ", 2)[1].decode().partition("?")
        if self.state == "forbidden":
            status = {"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden"}
            return self._send(writer, 403, status | {"message": REFUSED})
        if self.state == "failed":
            return self._send(writer, 503, "no route to host")
        if self.state == "opening":
            return None
        if path.endswith("/log"):
            return self._log(writer)
        if "/pods/" in path:
            return self._send(writer, 200, POD)
        if "watch=true" in query:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            if self.state == "stale":
                await asyncio.sleep(1)
                self.state = "failed"
                writer.close()
            return None
        rows = self.rows if path.endswith("/pods") else []
        at = int((re.search(r"continue=(\d+)", query) or ("", "0"))[1])
        if self.state == "loading" and at:
            await asyncio.Event().wait()
        left = max(0, len(rows) - at - 500)
        version = {"resourceVersion": "7"} | (
            {"continue": str(at + 500), "remainingItemCount": left} if left else {}
        )
        found = {
            "kind": "Table",
            "metadata": version,
            "columnDefinitions": COLUMNS,
            "rows": rows[at : at + 500],
        }
        return self._send(writer, 200, found)

    def _log(self, writer: asyncio.StreamWriter) -> None:
        if self.state == "nologs":
            return self._send(writer, 403, {"kind": "Status", "message": NO_LOGS})
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for second in range(60):
            what = (
                f"GET /carts/{RANDOM.randrange(9999)} {RANDOM.choice([200, 200, 200, 404, 503])} {second} ms"
            )
            line = f"2026-01-02T03:04:{second:02}.000000001Z \x1b[32minfo\x1b[0m {what}\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        return None

    def _send(self, writer: asyncio.StreamWriter, code: int, body: object) -> None:
        data = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (code, len(data))
        )
        writer.write(data)


async def main(directory: Path, count: int, states: list[str]) -> int:
    problems, number = 0, 0
    lookup.RESOLVE = lookup.VERIFY = 10.0  # seconds: a state that waits is to be looked at
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = await stack.enter_async_context(served(config_for(), place, alone=False))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        lists = [state for state in states if state not in shell_states.STATES]
        for size, scheme, state in itertools.product(SIZES, ("dark", "light"), lists):
            number += 1
            cluster = f"cluster-{number}"
            async with upstream_at(place / f"{number}.sock") as (upstream, api):
                upstream.answer = Api(state, count).answer
                backend = running.gateway.backends[cluster] = Scripted()
                backend.kube, backend.reaching = api, Hop.INCUS if state == "opening" else None
                running.gateway.config.clusters[cluster] = cluster_at("nobody", place, place, "vm")
                viewport = dict(zip(("width", "height"), SIZES[size], strict=True))
                page = await browser.new_page(viewport=viewport, color_scheme=scheme)
                where = f"#/{cluster}/shop/checkout-0" if state in SHELLS else f"#/{cluster}"
                picture = directory / f"{state}-{size}-{scheme}.png"
                found = await drawn(page, f"{running.url}/{where}", state, picture)
                await page.close()
                running.gateway.lists.stop()
            if found:
                problems += 1
                print(f"{state} {size} {scheme}: {', '.join(found)}")
        for size, scheme, state in itertools.product(
            SIZES, ("dark", "light"), set(shell_states.STATES) & set(states)
        ):
            number += 1
            async with shell_states.shown(browser, state, SIZES[size], scheme) as page:
                found = await held_against(page, directory / f"{state}-{size}-{scheme}.png")
            if found:
                problems += 1
                print(f"{state} {size} {scheme}: {', '.join(found)}")
        await browser.close()
    print(f"{number} pictures in {directory}, {problems} of them with what axe would not have")
    return 1 if problems else 0


async def drawn(page: Page, url: str, state: str, picture: Path) -> list[str]:
    """Draws a state, and returns the names of the rules of axe that it breaks."""
    await page.add_init_script(f"sessionStorage.setItem('dap-gateway.token', '{TOKEN}')")
    await page.goto(url)
    if state in SHELLS:
        await beside(page, state)
    else:
        await page.locator(".count[data-state]").wait_for(state="attached")
    await page.wait_for_timeout(4000 if state == "stale" else 1500)
    for key in KEYS.get(state, ()):
        await (page.keyboard.press(key) if key.startswith("Arrow") else page.keyboard.type(key))
        await page.wait_for_timeout(800)
    return await held_against(page, picture)


async def held_against(page: Page, picture: Path) -> list[str]:
    """Takes the picture of a page, and returns the names of the rules of axe that the page breaks."""
    await page.screenshot(path=picture)
    await page.evaluate(AXE.read_text())
    broken: list[str] = await page.evaluate(FOUND)
    return broken


async def beside(page: Page, state: str) -> None:
    """Opens what stands beside a shell."""
    if state == "opening":
        await page.locator("#state", has_text="Incus").wait_for()
    else:
        await page.get_by_role("button", name="Files" if state == "files" else "Logs").click()
    if state == "files":
        await page.locator(".filepanel input[type=file]").set_input_files(
            {"name": "report.csv", "mimeType": "", "buffer": b"1,2"}
        )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    pods = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    sys.exit(asyncio.run(main(target, pods, sys.argv[3:] or [*LISTS, *SHELLS, *shell_states.STATES])))
