"""The states of the page's list, and of what stands beside a shell, from a gateway whose API server is a script."""

import asyncio
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect
from support.scripted import Scripted
from support.served import TOKEN, Served, cluster_at, config_for, served
from support.upstream import say, upstream_at

from gateway.protocol.outcome import Hop
from gateway.server import lookup

LISTS = ("all", "loading", "empty", "forbidden", "failed", "stale", "found", "nothing", "inside")
SHELLS = ("opening", "logs", "nologs", "files")
COLUMNS = [{"name": name} for name in ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node")]
REACHED = {
    "all": "live",
    "found": "live",
    "nothing": "live",
    "inside": "live",
    "empty": "live",
}  # what the list says of itself
KEYS = {"found": ("checkout shop",), "nothing": ("nothing-of-that",), "inside": ("che", "ArrowRight")}
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

    async def answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, _, query = head.split(b" ", 2)[1].decode().partition("?")
        if self.state == "forbidden":
            status = {"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden"}
            return say(writer, 403, status | {"message": REFUSED})
        if self.state == "failed":
            return say(writer, 503, "no route to host")
        if self.state == "opening":
            return None
        if path.endswith("/log"):
            return self._log(writer)
        if "/pods/" in path:
            return say(writer, 200, POD)
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
            await reader.read()  # until the gateway asks no more
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
        return say(writer, 200, found)

    def _log(self, writer: asyncio.StreamWriter) -> None:
        if self.state == "nologs":
            return say(writer, 403, {"kind": "Status", "message": NO_LOGS})
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for second in range(60):
            what = (
                f"GET /carts/{RANDOM.randrange(9999)} {RANDOM.choice([200, 200, 200, 404, 503])} {second} ms"
            )
            line = f"2026-01-02T03:04:{second:02}.000000001Z \x1b[32minfo\x1b[0m {what}\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        return None


@asynccontextmanager
async def gateway(pods: int) -> AsyncIterator["Lists"]:
    """Yields what shows the states, with so many pods in a list."""
    lookup.RESOLVE = lookup.VERIFY = 10.0  # seconds: a state that waits is to be looked at
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = await stack.enter_async_context(served(config_for(), directory, alone=False))
        lists = Lists(running, directory, pods, stack)
        yield lists
        running.gateway.lists.stop()


class Lists:
    """Shows pages in a state, each of a cluster of its own, which stays until `stack` is left."""

    def __init__(self, running: Served, directory: Path, pods: int, stack: AsyncExitStack) -> None:
        self._running = running
        self._directory = directory
        self._pods = pods
        self._stack = stack
        self._number = 0

    @asynccontextmanager
    async def shown(self, page: Page, state: str) -> AsyncIterator[None]:
        """Brings the page into the state."""
        cluster = await self._cluster(state)
        await page.add_init_script(f"sessionStorage.setItem('dap-gateway.token', '{TOKEN}')")
        where = f"#/{cluster}/shop/checkout-0" if state in SHELLS else f"#/{cluster}"
        await page.goto(f"{self._running.url}/{where}")
        if state in SHELLS:
            await _beside(page, state)
        else:
            await _list(page, state)
        yield

    async def _cluster(self, state: str) -> str:
        self._number += 1
        name = f"cluster-{self._number}"
        upstream, api = await self._stack.enter_async_context(upstream_at(self._directory / f"{name}.sock"))
        upstream.answer = Api(state, self._pods).answer
        backend = self._running.gateway.backends[name] = Scripted()
        backend.kube, backend.reaching = api, Hop.INCUS if state == "opening" else None
        self._running.gateway.config.clusters[name] = cluster_at(
            "nobody", self._directory, self._directory, "vm"
        )
        return name


async def _list(page: Page, state: str) -> None:
    await page.locator(f".find .count[data-state={REACHED.get(state, state)}]").wait_for(state="attached")
    for key in KEYS.get(state, ()):
        await (page.keyboard.press(key) if key.startswith("Arrow") else page.keyboard.type(key))
    if state == "inside":
        await page.get_by_role("complementary").get_by_role("listitem").first.wait_for()
    if state == "loading":
        await expect(page.locator(".find .count")).to_have_text(re.compile("^Loading [1-9].* of "))


async def _beside(page: Page, state: str) -> None:
    """Opens what stands beside a shell."""
    if state == "opening":
        await page.locator("#state", has_text="Incus").wait_for()
        return
    await page.get_by_role("button", name="Files" if state == "files" else "Logs").click()
    if state == "files":
        await page.locator(".filepanel input[type=file]:not([webkitdirectory])").set_input_files(
            {"name": "report.csv", "mimeType": "", "buffer": b"1,2"}
        )
        await expect(page.locator(".file .words").first).not_to_be_empty()
    else:
        said = "cannot get resource" if state == "nologs" else "Following: [1-9]"
        await expect(page.locator(".logs")).to_contain_text(re.compile(said))
