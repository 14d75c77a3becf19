"""`dap access`: who may come in by a link, and ending that."""

import asyncio
import json
import time

import pytest
from aiohttp import web
from support.beside import beside
from support.fake_gateway import fake_gateway
from support.repeated import again
from test_list_and_kill import nobody

PATH = "/gateway/v1/access"


def grant(**more):
    body = {
        "name": "1f5a09c3de", "kind": "page", "identity": "ann", "target": "default/shop/web-0", "address": "192.0.2.7", "agent": "Browser/1 \x1b[31m",
        "expires": time.time() + 7300, "used": time.time() - 61, "sessions": 2,
    }  # fmt: skip
    return body | more


def test_a_table_for_people(home, called):
    rows = [
        grant(kind="ticket", target=None, name="aaaa", address=None, agent=None, used=None, sessions=0),
        grant(),
    ]
    with beside(fake_gateway(nobody, home.socket, http={PATH: (200, {"access": rows})})):
        done = called("access")

    lines = [line.split() for line in done.out.decode().splitlines()]
    assert (done.code, done.err) == (0, "")
    assert lines[0] == ["NAME", "KIND", "IDENTITY", "TARGET", "FROM", "EXPIRES", "USED", "SESSIONS", "AGENT"]
    assert lines[1] == ["aaaa", "ticket", "ann", "any", "-", "in", "2h", "-", "0", "-"]
    assert lines[2][:10] == [
        "1f5a09c3de",
        "page",
        "ann",
        "default/shop/web-0",
        "192.0.2.7",
        "in",
        "2h",
        "1m",
        "ago",
        "2",
    ]
    assert b"\x1b" not in done.out


async def test_json_for_programs_and_a_sentence_for_none(home, called):
    body = {"access": [grant()]}
    async with fake_gateway(nobody, home.socket, http={PATH: (200, body)}):
        done = await asyncio.to_thread(called, "access", "--json")
    async with fake_gateway(nobody, home.socket, http={PATH: (200, {"access": []})}):
        none = await asyncio.to_thread(called, "access")

    assert json.loads(done.out) == body
    assert (none.code, none.out, none.err) == (0, b"", "dap: no tickets and no tabs\n")


@pytest.mark.parametrize("body", [None, again([]), again({"access": 3}), {"access": [{"name": "x"}]}])
async def test_a_list_that_cannot_be_read_is_told(home, called, body):
    async with fake_gateway(nobody, home.socket, http={PATH: (200, body)}):
        done = await asyncio.to_thread(called, "access")

    assert (done.code, done.out) == (125, b"")
    assert "cannot be read" in done.err


async def test_revoke_says_which(home, called):
    asked = []

    async def answer(request):
        asked.append(request.raw_path)
        if request.match_info["name"] == "aaaa":
            return web.Response(status=204)
        return web.json_response({"status": "Failure", "message": "there is no such ticket"}, status=404)

    app = web.Application()
    app.router.add_delete(PATH + "/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    home.socket.parent.mkdir(parents=True, exist_ok=True)
    await web.UnixSite(runner, str(home.socket)).start()
    try:
        done = await asyncio.to_thread(called, "access", "revoke", "aaaa")
        unknown = await asyncio.to_thread(called, "access", "revoke", "b/b")
    finally:
        await runner.cleanup()

    assert (done.code, done.out, done.err) == (0, b"", "")
    assert asked == [f"{PATH}/aaaa", f"{PATH}/b%2Fb"]
    assert unknown.code == 125
    assert "there is no such ticket" in unknown.err


@pytest.mark.parametrize("command", [again(("access",)), ("access", "revoke", "x")])
def test_without_a_gateway_it_says_what_to_do(called, command):
    done = called(*command)

    assert done.code == 125
    assert "no gateway is running: start one with dap serve" in done.err
