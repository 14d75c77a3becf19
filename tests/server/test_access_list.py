"""Who sees which tickets and tabs, and who may take them away."""

import json
import time

from support.peer import OWN, once
from test_credentials import INFO, bearer, fresh_ticket, trade
from test_sessions import control, opened, page

from gateway.access.identity import Identity, owner
from gateway.access.tokens import TICKET_LIFE, TOKEN_LIFE

ACCESS = "/gateway/v1/access"
BROWSER = ("User-Agent", "Browser/1 \u009b31m")


async def listed(edge, proof=None, where=None):
    answer = await once(where or edge.url, "GET", ACCESS, (proof or edge.proof,))
    assert answer.code == 200
    return json.loads(answer.body)["access"]


async def revoke(edge, name, proof=None):
    return (await once(edge.url, "DELETE", f"{ACCESS}/{name}", (proof or edge.proof,))).code


async def test_a_ticket_and_what_becomes_of_it(edge):
    assert await listed(edge) == []
    made = await fresh_ticket(edge)
    (ticket,) = await listed(edge)
    assert (ticket["kind"], ticket["identity"], ticket["used"]) == ("ticket", owner(), None)
    assert (ticket["address"], ticket["sessions"]) == ("127.0.0.1", 0)
    assert 0 < ticket["expires"] - time.time() <= TICKET_LIFE

    token = json.loads((await trade(edge, made["ticket"])).body)["token"]
    assert (await once(edge.url, "GET", INFO, (bearer(token), BROWSER), checked=False)).code == 200
    (tab,) = await listed(edge)
    assert (tab["kind"], tab["identity"], tab["address"]) == ("page", owner(), "127.0.0.1")
    assert tab["agent"].startswith("Browser/1 ")
    assert tab["agent"].isprintable()
    assert abs(tab["used"] - time.time()) < 5
    assert TICKET_LIFE < tab["expires"] - time.time() <= TOKEN_LIFE
    assert tab["name"] != ticket["name"]


async def test_no_secret_is_listed_or_logged(edge, logged):
    made = await fresh_ticket(edge)
    token = json.loads((await trade(edge, made["ticket"])).body)["token"]
    other = (await fresh_ticket(edge))["ticket"]

    said = json.dumps(rows := await listed(edge))
    assert [await revoke(edge, row["name"]) for row in rows] == [204, 204]
    for secret in (token, other, made["ticket"]):
        assert secret not in said + logged()
    for row in rows:
        assert (await once(edge.url, "GET", INFO, (bearer(row["name"]),))).code == 401


async def test_a_person_sees_and_revokes_what_is_theirs(edge):
    tokens = edge.gateway.access.tokens
    ann, other, bob = page(edge, "ann"), page(edge, "ann"), page(edge, "bob")
    tokens.ticket(Identity("bob", "page"))
    names = {row["name"] for row in await listed(edge, ann)}
    every = await listed(edge, where=edge.socket)
    (bobs,) = [row for row in every if row["identity"] == "bob" and row["kind"] == "page"]

    assert len(names) == 2
    assert len(every) == 4
    assert await revoke(edge, bobs["name"], ann) == 404
    assert (await once(edge.url, "GET", INFO, (bob,))).code == 200
    mine = tokens.identity(other[1].removeprefix("Bearer ")).credential
    assert mine in names
    assert await revoke(edge, mine, ann) == 204
    assert (await once(edge.url, "GET", INFO, (other,))).code == 401
    assert (await once(edge.url, "GET", INFO, (ann,))).code == 200
    assert await revoke(edge, mine, ann) == 404


async def test_the_operator_ends_a_tab_and_what_it_opened(edge, logged):
    async with opened(edge, "cat", proof=page(edge, "ann"), protocol=OWN) as client:
        (tab,) = await listed(edge)
        assert tab["sessions"] == 1
        assert await revoke(edge, tab["name"]) == 204
        assert (await control(client, "end"))["code"] == "access_revoked"
    assert await listed(edge) == []
    (line,) = [line for line in map(json.loads, logged().splitlines()) if line["event"] == "access_revoked"]
    assert (line["whose"], line["by"], line["proof"]) == ("ann", owner(), "token")


async def test_a_revoked_ticket_opens_nothing(edge):
    made = await fresh_ticket(edge)
    (row,) = await listed(edge)

    assert await revoke(edge, row["name"]) == 204
    assert (await trade(edge, made["ticket"])).code == 401
    assert await revoke(edge, "0123456789") == 404
