"""How long what was given is good: by the wall clock, which goes on while the machine sleeps."""

import inspect
import time

import pytest
from support.slept import Clocks

from gateway.access.identity import Identity, owner
from gateway.access.page_tokens import PageFile
from gateway.access.tokens import SIGN_IN_LIFE, TICKET_LIFE, TOKEN_LIFE, Tokens

OPERATOR = Identity(owner(), "uid")


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def tokens(clocks, tmp_path):
    return Tokens("the gateway's own token", clocks.wall, PageFile(tmp_path, clocks.wall))


@pytest.mark.parametrize("holder", [Tokens, PageFile])
def test_the_clock_is_the_wall_clock(holder):
    assert inspect.signature(holder).parameters["clock"].default is time.time


@pytest.mark.parametrize(("slept", "good"), [(TICKET_LIFE - 1, True), (TICKET_LIFE + 1, False)])
def test_a_ticket_expires_while_the_machine_sleeps(clocks, tokens, slept, good):
    ticket = tokens.ticket(OPERATOR)
    clocks.sleep(slept)

    assert bool(tokens.tickets()) == good
    assert bool(tokens.trade(ticket)) == good


@pytest.mark.parametrize(("slept", "good"), [(TOKEN_LIFE - 1, True), (TOKEN_LIFE + 1, False)])
def test_a_page_token_that_nobody_uses_expires_while_the_machine_sleeps(
    clocks, tokens, tmp_path, slept, good
):
    page, identity = tokens.trade(tokens.ticket(OPERATOR))
    clocks.sleep(slept)

    assert (identity.credential in tokens.good()) == good
    assert bool(PageFile(tmp_path, clocks.wall).load()) == good
    assert bool(tokens.identity(page)) == good


def test_a_sign_in_ends_while_the_machine_sleeps_whatever_lives_by_it(clocks, tokens):
    page, identity = tokens.trade(tokens.ticket(OPERATOR))
    clocks.sleep(SIGN_IN_LIFE + 1)
    tokens.use({identity.credential})

    assert tokens.good() == frozenset()
    assert tokens.identity(page) is None
