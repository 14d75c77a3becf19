"""Two running gateways of one user share page tokens: what one makes or takes away counts at the other, too."""

import asyncio
import json

import pytest
from support.peer import OWN
from support.waiting import until
from test_sessions import control, opened

from gateway.access.identity import Identity
from gateway.access.page_tokens import PageFile
from gateway.access.tokens import TOKEN_LIFE, Tokens

ME = Identity("me", "uid")


@pytest.fixture
def clock():
    return [1e9]


@pytest.fixture
def two(tmp_path, clock):
    return [Tokens("own-token", lambda: clock[0], PageFile(tmp_path, lambda: clock[0])) for _ in range(2)]


def traded(tokens):
    found = tokens.trade(tokens.ticket(ME))
    assert found
    return found[0]


async def test_a_token_is_good_at_both_until_either_revokes_it(two):
    here, there = two
    for one, other in ((here, there), (there, here)):
        token = traded(one)
        for both in two:
            await both.refresh()
        assert other.identity(token) == one.identity(token) != None  # noqa: E711  # of what is equal, neither is None
        assert other.good() == one.good()
        other.revoke(token)
        await one.refresh()
        assert one.identity(token) is None
        assert one.good() == other.good() == frozenset()


async def test_what_is_used_here_is_renewed_there(two, clock):
    here, there = two
    token = traded(here)
    await there.refresh()
    clock[0] += TOKEN_LIFE - 1
    assert here.identity(token)
    await there.refresh()
    clock[0] += TOKEN_LIFE - 1
    assert there.identity(token)


async def test_a_renewal_brings_back_nothing_that_was_revoked(two, clock):
    here, there = two
    token = traded(here)
    await there.refresh()
    clock[0] += TOKEN_LIFE - 1
    here.revoke(token)
    assert there.identity(token), "it has not looked yet, and renews it"
    await here.refresh()
    assert here.identity(token) is None
    await there.refresh()
    assert there.identity(token) is None


async def test_what_expired_while_the_machine_slept_is_renewed_by_what_lives(two, clock):
    """Though the other gateway has written the file before, and left out what had expired."""
    here, there = two
    token = traded(here)
    await there.refresh()
    clock[0] += TOKEN_LIFE + 1
    traded(here)
    await there.refresh()
    there.use({grant.name for grant in there._pages.values()})
    assert there.identity(token)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"zz": 1}', None])
async def test_a_file_that_cannot_be_read_signs_nobody_out(two, tmp_path, text):
    token = traded(two[0])
    await two[0].refresh()
    file = tmp_path / "pages.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
        file.chmod(0o600)
    await two[0].refresh()
    assert two[0].identity(token)


async def test_a_token_that_is_not_written_yet_stays(two):
    here, there = two
    traded(there)
    await here.refresh()
    file, here._file = here._file, None
    token = traded(here)
    here._file = file
    traded(there)
    await here.refresh()
    assert here.identity(token)


async def test_a_file_that_is_the_same_is_not_read_again(two, monkeypatch):
    here, _ = two
    token = traded(here)
    await here.refresh()
    monkeypatch.setattr(PageFile, "read", lambda _: pytest.fail("it is the same"))
    await here.refresh()
    assert here.identity(token)


async def test_a_revocation_elsewhere_ends_what_the_token_opened(edge, tmp_path):
    edge.gateway.access.tokens._file = PageFile(tmp_path)
    other = Tokens("other-token", file=PageFile(tmp_path))
    token = traded(other)
    proof = ("Authorization", f"Bearer {token}")
    await until(lambda: edge.gateway.access.tokens.identity(token), 5)
    async with opened(edge, "cat", proof=proof, protocol=OWN) as client, asyncio.timeout(5):
        other.revoke(token)
        assert (await control(client, "end"))["code"] == "access_revoked"
    assert json.loads((tmp_path / "pages.json").read_text()) == {}


async def test_a_revocation_elsewhere_ends_the_short_tokens_that_only_this_gateway_knows(two):
    here, there = two
    page = traded(here)
    for one in two:
        await one.refresh()
    holder = here.identity(page)
    there.revoke(page)
    short, grant = here.short(holder)  # within the second before this gateway looks
    here.use({grant.name})
    for one in (here, there, here):
        await one.refresh()

    assert here.identity(short) is there.identity(short) is None
    assert here.good() == there.good() == frozenset()
