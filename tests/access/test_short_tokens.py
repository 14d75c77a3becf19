"""Short-lived tokens: how long they are good, and what ends them."""

import pytest

from gateway.access.identity import Identity, owner
from gateway.access.page_tokens import PageFile
from gateway.access.policy import allowed, operates
from gateway.access.tokens import SHORT_LIFE, TOKEN_LIFE, Tokens
from gateway.protocol.target import Target

OWNER = Identity(owner(), "uid")


@pytest.fixture
def now():
    return [1_000_000.0]


@pytest.fixture
def tokens(now):
    return Tokens("o" * 32, lambda: now[0])


def signed_in(tokens, name="ann", only=None):
    token, identity = tokens.trade(tokens.ticket(Identity(name, "page", only=only)))
    return token, identity


def test_it_is_good_for_ten_minutes_and_no_longer_by_use(tokens, now):
    token, grant = tokens.short(OWNER)
    assert (grant.short, grant.parent, grant.expires - now[0]) == (True, "", SHORT_LIFE)
    for _ in range(5):
        assert tokens.identity(token) == Identity(owner(), "short")
        now[0] += 100
    now[0] += 100
    assert tokens.identity(token) is None


def test_it_has_no_power_over_what_is_others_and_makes_no_other(tokens):
    token, _ = tokens.short(OWNER)
    who = tokens.identity(token)
    assert not operates(who)
    assert allowed(who, "exec", Target("default", "a", "b"), None)
    assert not allowed(who, "ticket", None, None)
    assert not allowed(who, "list", None, None, whose=Identity("ann", "page"))
    assert tokens.short(who) is None


def test_it_keeps_the_one_target_of_a_link(tokens):
    only = Target("default", "a", "b")
    _, ann = signed_in(tokens, only=only)
    token, _ = tokens.short(ann)
    assert tokens.identity(token).only == only


def test_what_it_opened_goes_on_after_its_end_and_ends_when_it_is_revoked(tokens, now):
    token, grant = tokens.short(OWNER)
    now[0] += SHORT_LIFE - 1
    tokens.use({grant.name})
    now[0] += 3600
    tokens.use({grant.name})
    tokens.short(OWNER)  # which forgets what is expired
    assert grant.name in tokens.good()
    assert tokens.identity(token) is None
    assert grant.name not in {one.name for one in tokens.pages()}
    tokens.revoke_named(grant.name)
    assert grant.name not in tokens.good()

    _, unused = tokens.short(OWNER)
    now[0] += SHORT_LIFE + 1
    tokens.use(set())
    assert unused.name not in tokens.good()


def test_it_ends_with_the_sign_in_that_it_was_given_for(tokens):
    signed, ann = signed_in(tokens)
    token, grant = tokens.short(ann)
    other, _ = tokens.short(OWNER)
    assert grant.parent == ann.credential
    tokens.revoke(signed)
    assert tokens.identity(token) is None
    assert tokens.identity(other)


def test_its_use_keeps_the_sign_in(tokens, now):
    signed, ann = signed_in(tokens)
    _, grant = tokens.short(ann)
    for _ in range(4):
        now[0] += TOKEN_LIFE * 0.6
        tokens.use({grant.name})
    assert tokens.identity(signed)


def test_one_person_has_so_many(tokens):
    signed, _ = signed_in(tokens, "bob")
    first, _ = tokens.short(OWNER)
    last = [tokens.short(OWNER)[0] for _ in range(40)]
    assert tokens.identity(first) is None
    assert tokens.identity(last[-1])
    assert sum(one.short for one in tokens.pages()) == 32
    assert tokens.identity(signed)


def test_it_outlives_a_restart(tmp_path, now):
    def made():
        return Tokens("o" * 32, lambda: now[0], PageFile(tmp_path, lambda: now[0]))

    tokens = made()
    signed, ann = signed_in(tokens)
    token, _ = tokens.short(ann)
    again = made()
    assert again.identity(token) == tokens.identity(token)
    assert again.identity(token).proof == "short"
    again.revoke(signed)
    assert again.identity(token) is None
    assert token not in (tmp_path / "pages.json").read_text()
