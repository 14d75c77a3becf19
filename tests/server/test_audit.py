"""The log as an audit trail: each kind of refusal, who signs in and out, who reads; held against the table in the docs."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from support.peer import OWN, V5, once, peer
from test_credentials import bearer, fresh_ticket, trade
from test_sessions import kill, name_of, opened, page, path

import gateway.server
from gateway.access.identity import Identity
from gateway.access.peer import Peer
from gateway.protocol.outcome import CODES
from gateway.server.app_keys import IDENTITY, PEER
from gateway.server.audit import Audit
from gateway.server.metrics import Metrics
from gateway.settings.config import Limits

README = (Path(gateway.server.__file__).with_name("README.md")).read_text("utf-8")
AGENT = ("User-Agent", "an agent")
SIGN_IN = "/gateway/v1/token"


def lines(logged, event):
    return [line for line in map(json.loads, logged().splitlines()) if line["event"] == event]


def documented() -> set[str]:
    """The events in the table."""
    rows = [row.split("|")[1] for row in README.splitlines() if row.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


async def test_each_refusal_has_a_line_with_who_where_and_why(logged, edge_with):
    edge = await edge_with(Limits(sessions_per_identity=1))
    ann = page(edge, "ann")

    async def refused(why, *request, headers=(), code=403, body=b""):
        assert (await once(edge.url, *request, (AGENT, *headers), body=body)).code == code
        (line,) = [line for line in lines(logged, "request_refused") if line["why"] == why]
        assert line["agent"] == "an agent"
        assert line["address"] == "127.0.0.1"
        assert why in documented() | set(CODES)
        return line

    async with opened(edge, "cat", proof=edge.proof):
        await refused(
            "place",
            "GET",
            "/gateway/v1/info?secret=1",
            headers=[edge.proof, ("Origin", "http://evil.example")],
        )
        line = await refused("unauthorized", "GET", "/gateway/v1/info", headers=[bearer("wrong")], code=401)
        assert line["message"] == "a wrong or expired token"
        await refused("ticket", "POST", SIGN_IN, body=b'{"ticket": "wrong"}', code=401)
        line = await refused("not_allowed", "POST", "/gateway/v1/tickets", headers=[ann], body=b"{}")
        assert (line["by"], line["proof"], line["path"]) == ("ann", "page", "/gateway/v1/tickets")
        await refused(
            "cluster_unknown", "GET", "/clusters/x/api/v1/namespaces/default/pods/a", headers=[ann], code=404
        )
        for protocol in (V5, OWN):
            async with peer(edge.url) as client:
                await client.upgrade(path("cat"), (protocol, edge.proof))
        (line,) = [line for line in lines(logged, "request_refused") if line["why"] == "too_many_sessions"]
        assert "1 is the limit" in line["message"]
    text = logged()
    for secret in ("secret=1", 'wrong"', edge.proof[1].split()[1], ann[1].split()[1]):
        assert secret not in text


async def test_signing_in_and_out_reading_and_opening_are_events(logged, edge):
    ticket = (await fresh_ticket(edge))["ticket"]
    mine = bearer(json.loads((await trade(edge, ticket)).body)["token"])
    await once(edge.url, "GET", "/api/v1/namespaces/default/pods/web-0", (mine,))
    async with opened(edge, "cat", proof=mine) as client:
        await kill(edge, name_of(edge))
        await client.rest()
    await once(edge.url, "DELETE", SIGN_IN, (mine,))

    events = [line["event"] for line in map(json.loads, logged().splitlines())]
    seen = [
        "ticket_issued",
        "signed_in",
        "cluster_read",
        "session_opened",
        "session_killed",
        "session_closed",
        "signed_out",
    ]
    assert [event for event in events if event in seen] == seen
    assert set(seen) <= documented()
    (opened_,) = lines(logged, "session_opened")
    assert opened_["argv_sha256"] == hashlib.sha256(b'["cat"]').hexdigest()
    (signed_in,), (signed_out,) = lines(logged, "signed_in"), lines(logged, "signed_out")
    assert signed_in["name"] == signed_out["name"]


@pytest.mark.parametrize("wanted", [False, True])
async def test_the_command_itself_is_logged_where_that_is_wanted(logged, edge_with, wanted):
    edge = await edge_with(log_argv=wanted)
    argv = ["echo", "gehe im", "\x1b]0;x\x07\n\u2028", "größer"]
    long = ["echo", *["x" * 1000] * 20]
    for words in (argv, long):
        async with peer(edge.url) as client:
            assert (await client.upgrade(path(*words), (V5, edge.proof))).code == 101
            await client.rest()
    await edge.idle()

    one, other = lines(logged, "session_opened")
    assert one.get("argv") == (argv if wanted else None)
    assert other.get("argv") == (["echo", *["x" * 1000] * 16, "…"] if wanted else None)
    assert one["argv_sha256"] == hashlib.sha256(json.dumps(argv).encode()).hexdigest()
    assert wanted or "gehe im" not in logged()
    assert all(line.isprintable() for line in logged().splitlines())


def test_what_repeats_is_counted_and_what_is_remembered_is_bounded(logged, monkeypatch):
    now = [0.0]
    audit = Audit(Metrics(), lambda: now[0])

    def read(address):
        audit.read({PEER: Peer(None, (), address), IDENTITY: Identity("ann", "page")}, "c/n/p", "/api")

    for second in range(130):
        now[0] = float(second)
        read("10.0.0.1")
    assert [line.get("repeated") for line in lines(logged, "cluster_read")] == [None, 59, 59]
    read("10.0.0.2")
    assert len(lines(logged, "cluster_read")) == 4

    monkeypatch.setattr("gateway.server.audit._CLIENTS", 10)
    for number in range(100):
        read(f"10.0.1.{number}")
    assert len(audit._written) == 10
