"""Clients behind a proxy: what the log, the backoff and the budgets take for their address, with and without trust."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest
from support.peer import once, peer
from test_audit import lines
from test_credentials import INFO, bearer, fresh_ticket, trade
from test_sessions import opened, page

from gateway.access.wrong_tokens import FREE
from gateway.settings.config import Limits

TOO_MANY = 'dap_refused_total{code="too_many_anonymous"}'
TOKEN, LENGTH = "/gateway/v1/token", ("Content-Length", "2")  # whose body is still to come
LOOPBACK = ("127.0.0.0/8", "::1")


def via(address):
    return ("X-Forwarded-For", f"203.0.113.9, {address}")


async def test_the_log_has_the_clients_address_where_the_proxy_is_trusted(logged, edge_with):
    edge = await edge_with(trusted_proxies=LOOPBACK)
    for header in (
        via("192.0.2.1"),
        ("Forwarded", 'for=203.0.113.9, for="[2001:db8::1]:80"'),
        via("nonsense"),
        (),
    ):
        await once(edge.url, "GET", INFO, (header,) if header else ())
    await once(edge.socket, "GET", "/nope", (via("192.0.2.1"), ("Origin", "http://evil.test")))

    refused = lines(logged, "request_refused")
    assert [line.get("address") for line in refused] == ["192.0.2.1", "2001:db8::1", "127.0.0.1", None]
    assert "uid" in refused[-1], "on the Unix socket no header counts"


async def test_nobody_is_trusted_by_default(logged, edge):
    await once(edge.url, "GET", INFO, (via("192.0.2.1"),))
    (line,) = lines(logged, "request_refused")
    assert line["address"] == "127.0.0.1"


async def test_a_tab_is_listed_with_where_it_is(edge_with):
    edge = await edge_with(trusted_proxies=LOOPBACK)
    ann = page(edge, "ann")
    await once(edge.url, "GET", INFO, (ann, via("192.0.2.1")))
    rows = json.loads((await once(edge.url, "GET", "/gateway/v1/access", (ann,))).body)["access"]
    assert [row["address"] for row in rows] == ["127.0.0.1"], "the last request came without a header"
    rows = json.loads((await once(edge.url, "GET", "/gateway/v1/access", (ann, via("192.0.2.2")))).body)[
        "access"
    ]
    assert [row["address"] for row in rows] == ["192.0.2.2"]


async def test_who_tries_wrong_tokens_slows_nobody_else_behind_the_proxy(edge_with):
    edge = await edge_with(trusted_proxies=LOOPBACK)

    async def seconds(address):
        began = time.monotonic()
        assert (await once(edge.url, "GET", INFO, (bearer("wrong"), via(address)))).code == 401
        return time.monotonic() - began

    for _ in range(FREE + 2):
        edge.gateway.access.wrong.delay("192.0.2.1")
    assert await seconds("192.0.2.1") > 0.35
    assert await seconds("192.0.2.2") < 0.3
    assert (await trade(edge, (await fresh_ticket(edge))["ticket"])).code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_connections_count_for_the_client_while_it_is_served(edge_with, header):
    """And for nobody between two requests: a proxy keeps them for whoever comes next."""
    edge = await edge_with(Limits(anonymous_per_address=2, anonymous=20), trusted_proxies=LOOPBACK)
    said = "for={}" if header == "Forwarded" else "{}"

    def proof(address):
        return ((header, said.format(address)),)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(peer(edge.url)) for _ in range(8)]
        for client in clients:  # more than two of one address are kept open
            assert (await client.ask("GET", "/healthz", proof("192.0.2.1"))).code == 200
        for client, address in zip(clients, ["192.0.2.1", "192.0.2.1", "192.0.2.2"], strict=False):
            client.request("POST", TOKEN, (*proof(address), LENGTH))
        await asyncio.sleep(0.1)
        assert edge.metric(TOO_MANY) == 0
        clients[3].request("POST", TOKEN, (*proof("192.0.2.1"), LENGTH))
        with pytest.raises(asyncio.IncompleteReadError):
            await clients[0].answer()
        assert edge.metric(TOO_MANY) == 1
        for client in clients[1:4]:
            client.send(b"{}")
            assert (await client.answer()).code == 401


async def test_an_address_of_its_own_for_each_connection_is_one_host(edge_with):
    """Of IPv6 a host has a /64; and whoever has shown a credential is not counted."""
    edge = await edge_with(Limits(anonymous_per_address=2, anonymous=20), trusted_proxies=LOOPBACK)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(edge, "cat"))
        for number in range(4):
            client = await stack.enter_async_context(peer(edge.url))
            client.request("POST", TOKEN, (("X-Forwarded-For", f"2001:db8::{number + 1}"), LENGTH))
        await asyncio.sleep(0.1)
        assert edge.metric(TOO_MANY) == 2
        client.send(b"{}")
        assert (await client.answer()).code == 401
