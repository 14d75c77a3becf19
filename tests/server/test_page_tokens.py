"""Page tokens over a restart of the gateway."""

import fcntl
import json
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from support.peer import OWN, once
from support.waiting import until
from test_sessions import control, opened, page

from gateway.access.identity import Identity
from gateway.access.page_tokens import PageFile
from gateway.access.tokens import TOKEN_LIFE, Tokens
from gateway.protocol.target import Target
from gateway.relay.writer import Writer

ME = Identity("me", "uid", ("ops", "größe"))


def traded(tokens: Tokens) -> str:
    found = tokens.trade(tokens.ticket(ME))
    assert found
    return found[0]


def restarted(directory, clock=None) -> Tokens:
    clock = clock or time.time
    return Tokens("own-token", clock, PageFile(directory, clock))


def test_a_page_token_outlives_the_gateway(tmp_path):
    token = traded(restarted(tmp_path))

    found = restarted(tmp_path).identity(token)

    assert found == Identity("me", "page", ("ops", "größe"))
    assert token not in (tmp_path / "pages.json").read_text()
    assert (tmp_path / "pages.json").stat().st_mode & 0o777 == 0o600


def test_what_a_token_is_bound_to_outlives_it_too(tmp_path):
    only = Target("default", "shop", "deploy/api", "main")
    tokens = restarted(tmp_path)
    token, _ = tokens.trade(tokens.ticket(replace(ME, only=only)))

    assert restarted(tmp_path).identity(token).only == only
    (name,) = (grant.name for grant in restarted(tmp_path).pages())
    assert name == tokens.identity(token).credential


def test_the_file_of_an_earlier_version_is_read(tmp_path):
    token = traded(restarted(tmp_path))
    file = tmp_path / "pages.json"
    ((digest, body),) = json.loads(file.read_text()).items()
    file.write_text(json.dumps({digest: [body["identity"], body["groups"], body["expires"]]}))

    assert restarted(tmp_path).identity(token) == Identity("me", "page", ("ops", "größe"))


@pytest.mark.parametrize("only", [1, "web-0", "default/shop/web-0/a/b", "default/shop/Web", ["x"]])
def test_a_binding_that_cannot_be_read_lets_nobody_in(tmp_path, only):
    token = traded(restarted(tmp_path))
    file = tmp_path / "pages.json"
    ((digest, body),) = json.loads(file.read_text()).items()
    file.write_text(json.dumps({digest: body | {"only": only}}))

    assert restarted(tmp_path).identity(token) is None


def test_a_ticket_does_not(tmp_path):
    ticket = restarted(tmp_path).ticket(ME)

    assert restarted(tmp_path).trade(ticket) is None


def test_what_was_revoked_stays_revoked(tmp_path):
    tokens = restarted(tmp_path)
    revoked, other = traded(tokens), traded(tokens)
    tokens.revoke(revoked)

    after = restarted(tmp_path)

    assert after.identity(revoked) is None
    assert after.identity(other)


def test_what_has_expired_is_neither_good_nor_kept(tmp_path):
    now = [1e9]
    token = traded(restarted(tmp_path, lambda: now[0]))
    now[0] += TOKEN_LIFE + 1

    assert restarted(tmp_path, lambda: now[0]).identity(token) is None
    traded(restarted(tmp_path, lambda: now[0]))
    assert len(json.loads((tmp_path / "pages.json").read_text())) == 1


def test_what_is_used_lasts_across_a_restart(tmp_path):
    now = [1e9]
    token = traded(tokens := restarted(tmp_path, lambda: now[0]))
    now[0] += TOKEN_LIFE - 1
    assert tokens.identity(token)
    now[0] += TOKEN_LIFE - 1

    assert restarted(tmp_path, lambda: now[0]).identity(token)


def test_one_of_an_earlier_version_ends_with_its_time(tmp_path):
    now = [1e9]
    token = traded(restarted(tmp_path, lambda: now[0]))
    file = tmp_path / "pages.json"
    ((digest, body),) = json.loads(file.read_text()).items()
    file.write_text(json.dumps({digest: {key: value for key, value in body.items() if key != "ends"}}))
    now[0] += TOKEN_LIFE - 1
    after = restarted(tmp_path, lambda: now[0])
    assert after.identity(token)
    now[0] += 1

    assert after.identity(token) is None


def test_two_gateways_keep_each_others(tmp_path):
    one, two = restarted(tmp_path), restarted(tmp_path)
    tokens = [traded(one), traded(two)]

    after = restarted(tmp_path)

    assert all(after.identity(token) for token in tokens)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"zz": 1}', '{"00": ["a", 7, 9e99]}', '{"00": ["a", [], null]}']
)
def test_a_broken_file_costs_a_sign_in_and_no_more(tmp_path, text):
    (tmp_path / "pages.json").write_text(text)
    (tmp_path / "pages.json").chmod(0o600)

    token = traded(restarted(tmp_path))

    assert restarted(tmp_path).identity(token)


def test_a_file_that_others_can_read_is_not_believed(tmp_path):
    token = traded(restarted(tmp_path))
    (tmp_path / "pages.json").chmod(0o644)

    assert restarted(tmp_path).identity(token) is None


def test_where_nothing_can_be_written_tokens_live_in_memory(tmp_path):
    tokens = restarted(tmp_path / "missing")

    assert tokens.identity(traded(tokens))


# the lock is held


@contextmanager
def held(directory):
    """Another process of this user has the lock, and was stopped."""
    with (directory / "pages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def beside(edge, directory):
    """The gateway's tokens are kept as `dap serve` keeps them."""
    tokens = edge.gateway.access.tokens
    tokens._file = PageFile(directory, put=Writer().put)
    return tokens


async def test_a_lock_that_is_held_stops_nobodys_keystrokes(edge, tmp_path):
    tokens = beside(edge, tmp_path)
    async with opened(edge, "cat") as client:
        client.say(b"\0x")
        assert (await client.hear())[1] == b"\1x"
        with held(tmp_path):
            before = time.monotonic()
            proofs = [page(edge, "ann") for _ in range(20)]
            for count in range(20):
                client.say(b"\0%d" % count)
                assert (await client.hear())[1] == b"\1%d" % count
            assert time.monotonic() - before < 1
            assert not (tmp_path / "pages.json").exists()
        assert await tokens.saved()
    kept = restarted(tmp_path)
    assert all(kept.identity(value.removeprefix("Bearer ")) for _, value in proofs)


async def test_a_revocation_waits_for_the_file_and_not_for_ever(edge, tmp_path, logged):
    tokens = beside(edge, tmp_path)
    ann, ben = page(edge, "ann"), page(edge, "ben")
    assert await tokens.saved()
    async with opened(edge, "cat", proof=ben, protocol=OWN) as client:
        assert (await once(edge.url, "DELETE", "/gateway/v1/token", (ann,))).code == 204
        assert restarted(tmp_path).identity(ann[1].removeprefix("Bearer ")) is None
        with held(tmp_path):
            before = time.monotonic()
            assert (await once(edge.url, "DELETE", "/gateway/v1/token", (ben,))).code == 204
            assert 1 < time.monotonic() - before < 5
            assert (await control(client, "end"))["code"] == "access_revoked"
    assert '"page_tokens_not_kept"' in logged()
    await until(lambda: tokens._file.saved)
    assert restarted(tmp_path).identity(ben[1].removeprefix("Bearer ")) is None


async def test_what_came_while_the_lock_was_held_is_written_in_order(tmp_path):
    file = PageFile(tmp_path, put=Writer().put)
    tokens = Tokens("own-token", file=file)
    with held(tmp_path):
        found = [traded(tokens) for _ in range(50)]
        for token in found[::2]:
            tokens.revoke(token)
        assert file._saving <= 2
    assert await tokens.saved()
    kept = restarted(tmp_path)
    assert [kept.identity(token) is not None for token in found] == [False, True] * 25
