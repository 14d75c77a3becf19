"""A session ends with what opened it: a page token that is revoked, or has expired."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.peer import OWN, V5, once
from support.waiting import until
from test_credentials import Clock
from test_session_life import status
from test_sessions import control, opened, page

from gateway.access.tokens import SIGN_IN_LIFE, TOKEN_LIFE, Tokens
from gateway.protocol.outcome import CODES

SOON = 5.0  # seconds from the revocation to the end


async def sign_out(edge, proof):
    assert (await once(edge.url, "DELETE", "/gateway/v1/token", (proof,))).code == 204


@pytest.mark.parametrize("streams", [("stdin", "stdout"), ("stdin", "stdout", "tty")])
async def test_a_revoked_token_ends_what_it_opened_by_name(edge, streams):
    ann = page(edge, "ann")
    async with opened(edge, "cat", proof=ann, protocol=OWN, streams=streams) as client:
        await sign_out(edge, ann)
        async with asyncio.timeout(SOON):
            end = await control(client, "end")

    assert (end["code"], end["hop"]) == ("access_revoked", "gateway")
    assert "dap open" in end["message"]
    await edge.idle()
    assert edge.outcomes() == {"access_revoked": 1}


async def test_a_kubernetes_client_is_told_in_a_status(edge):
    ann = page(edge, "ann")
    async with opened(edge, "cat", proof=ann, protocol=V5) as client:
        await sign_out(edge, ann)
        async with asyncio.timeout(SOON):
            said = status(await client.rest())

    assert said["code"] == CODES["access_revoked"].http
    assert said["message"].endswith("(access_revoked)")


async def test_what_another_credential_opened_goes_on(edge):
    ann, other = page(edge, "ann"), page(edge, "ann")
    async with AsyncExitStack() as stack:
        revoked, *clients = [
            await stack.enter_async_context(opened(edge, "cat", proof=proof))
            for proof in (ann, other, page(edge, "bob"), edge.proof)
        ]
        await sign_out(edge, ann)
        async with asyncio.timeout(SOON):
            await revoked.rest()
        for client in clients:
            client.say(b"\x00still here")
            assert (await client.hear())[1] == b"\x01still here"


async def test_what_lives_renews_its_token_until_the_sign_in_ends(edge):
    clock = Clock()
    edge.gateway.access.tokens = Tokens(edge.proof[1].removeprefix("Bearer "), clock)
    async with (
        opened(edge, "cat", proof=page(edge, "ann"), protocol=OWN) as client,
        opened(edge, "cat") as operator,
    ):
        clock.now += TOKEN_LIFE  # at once, as after a sleep of the machine
        await until(edge.gateway.access.tokens.good)
        assert not any(session.ending for session in edge.gateway.registry.sessions)
        clock.now += SIGN_IN_LIFE - TOKEN_LIFE
        async with asyncio.timeout(SOON):
            assert (await control(client, "end"))["code"] == "access_revoked"
        operator.say(b"\x00still here")
        assert (await operator.hear())[1] == b"\x01still here"
