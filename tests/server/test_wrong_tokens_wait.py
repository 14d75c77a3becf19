"""Who tries wrong tokens waits for each answer; nobody with a good one does."""

import asyncio
import time

import pytest
from support.peer import OWN, UPGRADE, once
from test_credentials import EXEC, INFO, bearer, trade
from test_sessions import page

from gateway.access.wrong_tokens import FREE


@pytest.fixture
async def edge(edge):
    """One whose address has used up what is free."""
    for _ in range(FREE + 2):
        edge.gateway.access.wrong.delay("127.0.0.1")
    return edge


async def seconds(answer, code):
    began = time.monotonic()
    assert (await answer).code == code
    return time.monotonic() - began


async def test_a_wrong_token_is_answered_late(edge):
    assert await seconds(once(edge.url, "GET", INFO, (bearer("wrong"),)), 401) > 0.35
    assert await seconds(once(edge.url, "GET", EXEC, (*UPGRADE, OWN, bearer("wrong"))), 401) > 0.7
    assert await seconds(trade(edge, "wrong"), 401) > 1.5


async def test_a_good_one_never_is_and_neither_is_none(edge):
    tokens = edge.gateway.access.tokens
    ticket = tokens.ticket(tokens.identity(edge.proof[1].removeprefix("Bearer ")))
    async with asyncio.TaskGroup() as tasks:
        wrong = [tasks.create_task(once(edge.url, "GET", INFO, (bearer("wrong"),))) for _ in range(5)]
        await asyncio.sleep(0.05)

        assert await seconds(once(edge.url, "GET", INFO, (edge.proof,)), 200) < 0.3
        assert await seconds(once(edge.url, "GET", INFO, (page(edge, "ann"),)), 200) < 0.3
        assert await seconds(trade(edge, ticket), 200) < 0.3
        assert await seconds(once(edge.url, "GET", INFO), 401) < 0.3
        assert await seconds(once(edge.socket, "GET", INFO), 200) < 0.3
    assert {task.result().code for task in wrong} == {401}
