"""Lists that pages look at while they change, in front of an API server that says what a test wants."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.peer import peer
from support.upstream import say, upstream_at
from test_sessions import page
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.access.identity import Identity
from gateway.access.impersonation import Impersonation
from gateway.protocol.target import Target
from gateway.server.lists import live_list
from gateway.settings.config import Limits

COLUMNS = [{"name": name} for name in ("Name", "Ready", "Status", "Restarts", "Node")]
PROTOCOL = "v1.lists.dap-gateway"


def row(name, status="Running", **metadata):
    known = {
        "name": name,
        "namespace": "default",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": "8",
    }
    return {"cells": [name, "1/1", status, "3 (5m ago)", "node-1"], "object": {"metadata": known | metadata}}


class Api:
    """Answers a list with `pages`, or with `refusal`, and a watch with what `say` says."""

    def __init__(self):
        self.pages = [[row("web-0")]]
        self.refusal = None
        self.asked = []
        self.watching = asyncio.Event()
        self._writers = []

    async def answer(self, head, _, writer):
        target = head.split(b" ", 2)[1].decode()
        self.asked.append((target, head.decode().lower()))
        if self.refusal:
            return say(writer, *self.refusal)
        if "watch=true" in target:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            self._writers.append(writer)
            self.watching.set()
            return None
        at = int((re.search(r"continue=(\d+)", target) or [0, "0"])[1])
        rest = sum(map(len, self.pages[at + 1 :]))
        metadata = {"resourceVersion": "7"} | (
            {"continue": str(at + 1), "remainingItemCount": rest} if rest else {}
        )
        return say(
            writer,
            200,
            {"kind": "Table", "metadata": metadata, "columnDefinitions": COLUMNS, "rows": self.pages[at]},
        )

    def say(self, kind, *rows, columns=COLUMNS):
        line = json.dumps(
            {"type": kind, "object": {"kind": "Table", "columnDefinitions": columns, "rows": rows}}
        )
        for writer in self._writers:
            writer.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line.encode()))

    def cut(self):
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        self.watching.clear()

    @property
    def lists(self):
        return [head for target, head in self.asked if "watch" not in target]


FORBIDDEN = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "code": 403,
    "reason": "Forbidden",
} | {"message": 'pods is forbidden: User "ann" cannot list'}


@pytest.fixture
async def api(edge, tmp_path):
    one = Api()
    async with upstream_at(tmp_path / "api.sock") as (upstream, client):
        upstream.answer = one.answer
        edge.backend.kube = client
        yield one
        one.cut()


class Looking:
    """A page that looks: its rows by name, and the last state."""

    def __init__(self, socket):
        self.socket = socket
        self.rows, self.state = {}, {}

    async def open(self, number=1, kind="pods", namespace=""):
        asked = {"open": number, "cluster": "default", "kind": kind, "namespace": namespace}
        await self.socket.send(json.dumps(asked))

    async def until(self, met):
        async with asyncio.timeout(10):
            while not met(self):
                said = json.loads(await self.socket.recv())
                self.rows |= {each[1]: each for each in said.get("rows", [])}
                for _, name in said.get("gone", []):
                    del self.rows[name]
                self.state = said.get("state", self.state)

    async def at(self, name):
        await self.until(lambda self: self.state.get("name") == name)


@asynccontextmanager
async def looking(edge, proof=None, **how):
    url = edge.url.replace("http", "ws") + "/gateway/v1/lists"
    async with connect(url, subprotocols=[PROTOCOL], additional_headers=[proof or edge.proof]) as socket:
        one = Looking(socket)
        await one.open(**how)
        yield one


async def test_a_list_comes_page_by_page_and_follows_its_changes(edge, api):
    owner = {"controller": True, "kind": "ReplicaSet", "name": "api-5d"}
    made = row("api-5d-x", labels={"pod-template-hash": "5d"}, ownerReferences=[owner])
    api.pages = [[row("web-0"), row("web-1")], [made]]
    async with looking(edge) as page_:
        await page_.at("live")
        assert list(page_.rows) == ["web-0", "web-1", "api-5d-x"]
        assert page_.rows["web-0"] == ["default", "web-0", "1/1", "Running", 3, 1767225600, "node-1", ""]
        assert page_.rows["api-5d-x"][-1] == "deploy/api"
        await api.watching.wait()
        api.say("BOOKMARK", row(""))
        api.say("MODIFIED", row("web-1", "CrashLoopBackOff"), columns=None)
        api.say("DELETED", row("web-0"), columns=None)
        await page_.until(lambda one: "web-0" not in one.rows and one.rows["web-1"][3] == "CrashLoopBackOff")
    assert ("limit=200" in api.asked[0][0], "limit=500" in api.asked[1][0]) == (True, True)
    assert "as=table" in api.asked[0][1]
    assert "resourceVersion=7" in api.asked[2][0]


async def test_many_pages_share_one_list_and_nobody_lingers_on(edge_with, tmp_path):
    edge = await edge_with(Limits(list_linger=0.0))
    one = Api()
    async with upstream_at(tmp_path / "api.sock") as (upstream, client):
        upstream.answer, edge.backend.kube = one.answer, client
        async with looking(edge) as first, looking(edge, page(edge, "ann")) as second:
            await first.at("live")
            await second.at("live")
            assert len(one.lists) == len(edge.gateway.lists) == 1
        await upstream.until_open(0)
        assert len(edge.gateway.lists) == 0


async def test_each_person_has_a_list_of_their_own_where_the_cluster_is_asked_in_their_name(edge, api):
    edge.gateway.impersonation.clusters = Impersonation(["default"]).clusters
    async with looking(edge, page(edge, "ann")) as ann:
        await ann.at("live")
        api.refusal = 403, FORBIDDEN
        async with looking(edge, page(edge, "bob")) as bob:
            await bob.at("forbidden")
            assert bob.rows == {}
            assert bob.state["message"] == FORBIDDEN["message"]
    assert [re.search(r"impersonate-user: (\w+)", head)[1] for head in api.lists] == ["ann", "bob"]


async def test_a_lost_watch_leaves_a_stale_list_that_comes_back(edge, api, monkeypatch):
    monkeypatch.setattr(live_list, "_PAUSES", (60.0,))
    async with looking(edge) as page_:
        await page_.at("live")
        await api.watching.wait()
        api.cut()
        await page_.at("stale")
        assert page_.state["code"] == "cluster_lost"
        assert list(page_.rows) == ["web-0"]
        api.pages = [[row("web-9")]]
        await page_.socket.send('{"retry": 1}')
        await page_.at("live")
        assert list(page_.rows) == ["web-9"]


async def test_what_may_not_be_seen_any_more_is_taken_back(edge, api):
    async with looking(edge) as page_:
        await page_.at("live")
        await api.watching.wait()
        api.refusal = 403, FORBIDDEN
        api.cut()
        await page_.at("stale")
        await page_.socket.send('{"retry": 1}')
        await page_.at("forbidden")
        assert page_.rows == {}


async def test_a_link_for_one_pod_lists_nothing(edge, api):
    bound = replace(Identity("ann", "page"), only=Target("default", "default", "web-0"))
    tokens = edge.gateway.access.tokens
    token, _ = tokens.trade(tokens.ticket(bound))
    async with looking(edge, ("Authorization", f"Bearer {token}")) as page_:
        await page_.at("refused")
        assert page_.state["code"] == "not_allowed"
    assert api.asked == []


async def test_a_list_that_is_too_long_is_cut_and_says_so(edge_with, tmp_path):
    edge = await edge_with(Limits(list_rows=2))
    one = Api()
    one.pages = [[row("a"), row("b"), row("c")], [row("d")]]
    async with upstream_at(tmp_path / "api.sock") as (upstream, client):
        upstream.answer, edge.backend.kube = one.answer, client
        async with looking(edge) as page_:
            await page_.at("live")
            assert list(page_.rows) == ["a", "b"]
            assert page_.state["cut"]
        one.cut()


async def test_bad_input_is_refused_in_words(edge, api):
    async with looking(edge, kind="secrets") as page_:
        await page_.at("refused")
        assert "secrets" in page_.state["message"]
        await page_.open(2, namespace="../x")
        await page_.until(
            lambda one: one.state["code"] == "bad_request" and "namespace" in one.state["message"]
        )
        await page_.socket.send("[]")
        await page_.socket.wait_closed()
        assert page_.socket.close_code == 1008
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            edge.url.replace("http", "ws") + "/gateway/v1/lists", additional_headers=[edge.proof]
        ):
            pass
    assert refused.value.response.status_code == 403
    assert api.asked == []


async def test_what_breaks_websockets_rules_is_closed_with_their_code(edge):
    with capture_logs() as logs:
        async with peer(edge.url) as page_:
            offered = ("Sec-WebSocket-Protocol", PROTOCOL)
            assert (await page_.upgrade("/gateway/v1/lists", (offered, edge.proof))).code == 101
            page_.say(b"{}", mask=False)
            assert await page_.close_code() == 1002
    assert [log for log in logs if log["log_level"] == "error"] == []


async def test_a_list_that_ends_before_its_viewer_leaves_nothing_behind(edge, api):
    async with looking(edge) as page_:
        await page_.at("live")
        edge.gateway.lists.stop()
    await asyncio.sleep(0.1)
    assert len(edge.gateway.lists) == 0
    async with looking(edge) as page_:
        await page_.at("live")
    assert len(api.lists) == 2
