"""Tokens of machines: where they are good, for which verbs, and what ends them."""

import json

import pytest

from gateway.access.identity import Identity
from gateway.access.page_tokens import PageFile
from gateway.access.policy import allowed, operates
from gateway.access.scope import VERBS, Scope
from gateway.access.tokens import SHORT_LIFE, Tokens
from gateway.protocol.errors import BadRequest
from gateway.protocol.request_info import request_info
from gateway.protocol.target import Command, Target

POD = Target("prod", "staging", "web-0", "app")
NARROW = Scope(("prod",), ("staging",), ("get", "exec"))
DAY = 24 * 3600.0


@pytest.fixture
def now():
    return [1_000_000.0]


@pytest.fixture
def tokens(now, tmp_path):
    return Tokens("o" * 32, lambda: now[0], PageFile(tmp_path, lambda: now[0]))


def may(scope, verb, target, **asked):
    return allowed(Identity("ci", "machine", scope=scope), verb, target, None, **asked)


@pytest.mark.parametrize(
    ("scope", "verb", "target", "good"),
    [
        (Scope(), "exec", POD, True), (Scope(), "delete", POD, True),
        (NARROW, "exec", POD, True), (NARROW, "get", POD, True), (NARROW, "list", POD, False),
        (NARROW, "attach", POD, False), (NARROW, "exec", Target("other", "staging", "web-0"), False),
        (NARROW, "exec", Target("prod", "kube-system", "web-0"), False),
        (NARROW, "exec", Target("prod", "", "web-0"), True),  # asked again with its namespace
        (NARROW, "get", Target("prod"), True), (NARROW, "get", Target("other"), False),
        (Scope(verbs=("exec",)), "get", Target("prod"), True), (Scope(verbs=("exec",)), "get", POD, False),
        (Scope(namespaces=("staging",)), "delete", POD, True),
    ],
)  # fmt: skip
def test_a_scope_is_clusters_namespaces_and_verbs(scope, verb, target, good):
    assert may(scope, verb, target) is good


@pytest.mark.parametrize(
    ("method", "path", "good"),
    [
        ("GET", "/version", True), ("GET", "/apis/apps/v1", True), ("POST", "/version", False),
        ("GET", "/api/v1/namespaces/staging/pods/web-0", True), ("GET", "/api/v1/namespaces/staging", True),
        ("GET", "/api/v1/namespaces/other/pods/web-0", False), ("GET", "/api/v1/nodes/n1", False),
        ("GET", "/api/v1/namespaces/staging/pods", False),  # list is another verb
        ("GET", "/api/v1/namespaces/staging/pods/web-0/exec", True),  # exec, though a GET
        ("POST", "/api/v1/namespaces/staging/pods/web-0/portforward", False),
        ("DELETE", "/api/v1/namespaces/staging/pods/web-0", False),
    ],
)  # fmt: skip
def test_requests_of_the_clusters_api_are_within_or_not(method, path, good):
    info = request_info(method, path)
    target = Target("prod", info.namespace, f"{info.resource}/{info.name}" if info.resource else "")
    assert may(NARROW, info.verb, target, info=info) is good


def test_a_list_across_namespaces_takes_a_scope_without_namespaces():
    info = request_info("GET", "/api/v1/pods")
    asked = (info.verb, Target("prod", "", "pods"))
    assert not may(Scope(namespaces=("staging",)), *asked, info=info)
    assert may(Scope(verbs=("list",)), *asked, info=info)


def test_a_machine_runs_nothing_in_the_runner_and_makes_no_tickets():
    ci = Identity("ci", "machine", scope=Scope())
    assert not operates(ci)
    assert not allowed(ci, "ticket", None, None)
    assert not allowed(ci, "run", Target("prod"), Command(("ls",), "run", stdout=True))
    assert not allowed(ci, "list", None, None, whose=Identity("ann", "page"))
    assert allowed(ci, "list", None, None, whose=ci)


@pytest.mark.parametrize("wrong", ["get", [""], [1], {"get": 1}, None, ["gat"], ["run"]])
def test_what_is_no_scope_is_refused(wrong):
    with pytest.raises(BadRequest):
        Scope.parse([], [], wrong)


def test_an_unknown_verb_is_told_which_there_are():
    with pytest.raises(BadRequest, match="'gat' is no verb: use get, list, watch"):
        Scope.parse([], [], ["gat"])
    assert Scope.parse([], [], list(VERBS)).verbs == VERBS


# the token


def test_it_is_good_until_its_day_and_no_longer_by_use(tokens, now):
    token, grant = tokens.machine("ci", NARROW, DAY)
    for _ in range(3):
        assert tokens.identity(token) == Identity("ci", "machine")
        assert tokens.identity(token).scope == NARROW
        tokens.use({grant.name})
        now[0] += DAY / 3 - 1
    now[0] += 3
    assert tokens.identity(token) is None
    assert grant.name not in tokens.good()


def test_one_name_has_one_token(tokens, now):
    _, first = tokens.machine("ci", Scope(), DAY)
    assert tokens.machine("ci", Scope(), DAY) is None
    tokens.revoke_named(first.name)
    assert tokens.machine("ci", Scope(), DAY)
    now[0] += DAY + 1
    assert tokens.machine("ci", Scope(), DAY)


def test_a_short_token_has_its_scope_and_lasts_no_longer(tokens, now):
    token, grant = tokens.machine("ci", NARROW, SHORT_LIFE / 2)
    short, given = tokens.short(tokens.identity(token))
    assert tokens.identity(short).scope == NARROW
    assert given.expires == grant.expires
    tokens.use({given.name})
    assert given.name in tokens.good()
    now[0] = grant.expires + 1
    assert given.name not in tokens.good()


def test_a_revoked_one_takes_its_short_tokens_along(tokens):
    token, grant = tokens.machine("ci", NARROW, DAY)
    short, given = tokens.short(tokens.identity(token))
    tokens.revoke_named(grant.name)
    assert (tokens.identity(token), tokens.identity(short)) == (None, None)
    assert given.name not in tokens.good()


def test_the_next_gateway_knows_it_and_its_scope(tokens, now, tmp_path):
    token, _ = tokens.machine("ci", NARROW, DAY)
    short, _ = tokens.short(tokens.identity(token))
    other = Tokens("o" * 32, lambda: now[0], PageFile(tmp_path, lambda: now[0]))
    for one, proof in ((token, "machine"), (short, "short")):
        assert other.identity(one) == Identity("ci", proof)
        assert other.identity(one).scope == NARROW
    assert token not in (tmp_path / "pages.json").read_text()


def test_a_gateway_that_knows_no_scope_opens_nothing_with_it(tokens, tmp_path):
    """An older one reads the target that a link is bound to."""
    tokens.machine("ci", NARROW, DAY)
    (kept,) = json.loads((tmp_path / "pages.json").read_text()).values()
    older = Identity("ci", "page", only=Target.from_path(kept["only"]))
    assert not allowed(older, "exec", POD, None)
    assert not allowed(older, "get", Target("prod"), None)
