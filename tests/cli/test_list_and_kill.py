"""`dap sessions`, `dap kill`, and what `dap attach` chooses."""

import asyncio
import json
import time

import pytest
from aiohttp import web
from support.beside import beside
from support.dap import on_a_terminal
from support.fake_gateway import a_failure, fake_gateway
from support.fake_session import NAME, living
from support.repeated import again


def listed(name, **more):
    body = {
        "name": name, "identity": "token", "cluster": "default", "namespace": "shop", "pod": "web-0", "container": None,
        "command": None, "tty": True, "opened": time.time() - 7300, "idle": 61.5, "attached": True, "resumable": True,
        "in": 12, "out": 1_500_000,
    }  # fmt: skip
    return body | more


async def nobody(client):
    raise AssertionError(client.path)


async def test_a_table_for_people(home, called):
    sessions = [
        listed("aaaa"),
        listed("bbbb", attached=False, container="nginx", command=["sh", "-c", "echo \x1b[31m" + "x" * 50]),
        listed("cccc", kind="exec (SPDY)", command=["date"]),
        listed("dddd", kind="port-forward"),
    ]
    http = {"/gateway/v1/sessions": (200, {"sessions": sessions})}
    async with fake_gateway(nobody, home.socket, http=http):
        done = await asyncio.to_thread(called, "sessions")

    lines = [line.split() for line in done.out.decode().splitlines()]
    assert (done.code, done.err) == (0, "")
    assert lines[0] == ["SESSION", "TARGET", "COMMAND", "AGE", "IDLE", "IN", "OUT", "CLIENT", "IDENTITY"]
    assert lines[1] == [
        "aaaa",
        "default/shop/web-0",
        "(shell)",
        "2h",
        "1m",
        "12",
        "1.5M",
        "attached",
        "token",
    ]
    assert lines[2][:2] == ["bbbb", "default/shop/web-0/nginx"]
    assert lines[2][-2] == "waiting"
    assert lines[3][2:5] == ["exec", "(SPDY)", "date"]
    assert lines[4][2:4] == ["port-forward", "2h"]
    assert b"\x1b" not in done.out


def test_json_for_programs(home, called):
    body = {"sessions": [listed("aaaa")]}
    with beside(fake_gateway(nobody, home.socket, http={"/gateway/v1/sessions": (200, body)})):
        done = called("sessions", "--json")

    assert json.loads(done.out) == body


@pytest.mark.parametrize("command", [again(("sessions",)), ("attach",), ("kill", "x")])
def test_without_a_gateway_it_says_what_to_do(called, command):
    done = called(*command)

    assert done.code == 125
    assert "no gateway is running: start one with dap serve" in done.err


async def test_none_are_said_to_be_none(home, called):
    async with fake_gateway(nobody, home.socket, http={"/gateway/v1/sessions": (200, {"sessions": []})}):
        none = await asyncio.to_thread(called, "sessions")
        attach = await asyncio.to_thread(called, "attach")

    assert (none.code, none.out, none.err) == (0, b"", "dap: no sessions\n")
    assert attach.code == 125
    assert "(session_unknown)" in attach.err


@pytest.mark.parametrize(
    ("body", "json_too"),
    [(None, True), again([], True), again({"sessions": 3}, False), ({"sessions": [{"name": "x"}]}, False)],
)
async def test_a_list_that_cannot_be_read_is_told(home, called, body, json_too):
    async with fake_gateway(nobody, home.socket, http={"/gateway/v1/sessions": (200, body)}):
        done = await asyncio.to_thread(called, "sessions", *["--json"] * json_too)

    assert (done.code, done.out) == (125, b"")
    assert "cannot be read" in done.err


async def test_kill_says_which_and_why(home, called):
    """The server of `websockets` takes nothing but GET, so this one is aiohttp's."""
    asked = []

    async def answer(request):
        asked.append(request.raw_path)
        return web.Response(status=204 if request.match_info["name"] == "aaaa" else 404)

    app = web.Application()
    app.add_routes([web.delete("/gateway/v1/sessions/{name}", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    home.socket.parent.mkdir(parents=True)
    try:
        await web.UnixSite(runner, str(home.socket)).start()
        done = await asyncio.to_thread(called, "kill", "aaaa", "--reason", "the pod & its node")
        unknown = await asyncio.to_thread(called, "kill", "bbbb/../x")
    finally:
        await runner.cleanup()

    assert (done.code, done.err) == (0, "")
    assert asked[0] == "/gateway/v1/sessions/aaaa?reason=the%20pod%20%26%20its%20node"
    assert asked[1] == "/gateway/v1/sessions/bbbb%2F..%2Fx"
    assert unknown.code == 125
    assert "(session_unknown)" in unknown.err


async def test_a_refusal_is_passed_on(home, called):
    http = {"/gateway/v1/sessions": (403, json.loads(a_failure(403, "not yours")))}
    async with fake_gateway(nobody, home.socket, http=http):
        done = await asyncio.to_thread(called, "sessions")

    assert done.code == 125
    assert "the gateway refused: not yours" in done.err


async def test_attach_takes_the_only_one_and_asks_where_there_are_several(home, called):
    async def program(session):
        await session.write(b"here\r\n")
        await session.read(1)
        await session.end(3)

    two = {"sessions": [listed(NAME), listed("bbbb"), listed("cccc", resumable=False)]}
    one = {"sessions": [listed(NAME), listed("cccc", resumable=False)]}
    async with (
        living(program, home.socket, http={"/gateway/v1/sessions": (200, one)}) as session,
        on_a_terminal(home, "attach") as screen,
    ):
        await screen.until(b"here")
        screen.type(b"x")
        code = await screen.ended()
    async with fake_gateway(nobody, home.socket, http={"/gateway/v1/sessions": (200, two)}):
        asked = await asyncio.to_thread(called, "attach")

    assert code == 3
    assert session.attaches == [{"type": "attach", "secret": None, "offset": None}]
    assert asked.code == 2
    assert asked.err == "dap: which one? dap attach SESSION\n"
    assert [line.split()[0] for line in asked.out.decode().splitlines()[1:]] == [NAME, "bbbb"]


def test_attach_wants_a_terminal(home, called):
    with beside(fake_gateway(nobody, home.socket)):
        done = called("attach", NAME)

    assert done.code == 2
    assert "no terminal" in done.err
