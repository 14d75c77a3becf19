"""Who asks, and may they, without a server: a peer in, an answer out."""

import os
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest

from gateway.access.bearer import BEARER, Unauthorized, bearer, identify
from gateway.access.hosts import AllowedHosts
from gateway.access.identity import Identity, owner
from gateway.access.peer import Peer
from gateway.access.policy import allowed
from gateway.access.tokens import Tokens
from gateway.protocol.target import Command, Target

OWN = "a token of at least thirty-two characters"
HOSTS = AllowedHosts(["localhost:8080"], "https://gate.example/", ["proxy:80"], ["https://page.example/"])
RUN = Command(("id",), verb="run", stdout=True)


def peer(*lines: tuple[str, str], uid: int | None = None) -> Peer:
    return Peer(uid, lines)


def test_header_lines_are_found_whatever_their_case_and_in_their_order():
    both = peer(("HOST", "a"), ("Origin", "b"), ("host", "c"))

    assert both.all("Host") == ["a", "c"]
    assert both.first("host") == "a"
    assert both.first("Cookie", "none") == "none"


@pytest.mark.parametrize("name", ["localhost:8080", "LOCALHOST:8080", "gate.example", "proxy:80"])
def test_a_name_of_the_gateway_is_let_in(name):
    assert HOSTS.refuse(peer(("Host", name))) is None


@pytest.mark.parametrize(
    "lines",
    [
        [], [("Host", "rebound.example:8080")], [("Host", "localhost:8080"), ("Host", "localhost:8080")],
        [("Host", "localhost:8080"), ("Origin", "http://evil.example")],
        [("Host", "localhost:8080"), ("Origin", "https://page.example"), ("Origin", "null")],
        [("Host", "localhost:8080"), ("Sec-Fetch-Site", "cross-site")],
    ],
)  # fmt: skip
def test_what_comes_from_elsewhere_is_refused_with_a_reason(lines):
    assert HOSTS.refuse(peer(*lines))


def test_on_the_unix_socket_no_page_has_business():
    assert HOSTS.refuse(peer(("Host", "localhost"), uid=0)) is None
    assert HOSTS.refuse(peer(("Host", "localhost:8080"), uid=0))
    assert HOSTS.refuse(peer(("Host", "localhost"), ("Origin", "https://page.example"), uid=0))


def test_the_uid_counts_more_than_a_token():
    header = ("Authorization", f"Bearer {OWN}")

    assert identify(peer(header), Tokens(OWN)) == Identity(owner(), "token")
    assert identify(peer(header, uid=os.getuid() + 12345), Tokens(OWN)) == Identity(
        f"uid-{os.getuid() + 12345}", "uid"
    )
    assert identify(peer(), Tokens(OWN)) is None
    assert identify(peer(("Authorization", "Bearer another")), Tokens(OWN)) is None


def test_a_browser_offers_its_token_as_a_subprotocol():
    name = BEARER + urlsafe_b64encode(OWN.encode()).decode().rstrip("=")
    offer = ("Sec-WebSocket-Protocol", f"v5.channel.k8s.io, {name}")

    assert bearer(peer(offer)) == OWN
    for lines in ([offer, offer], [("Sec-WebSocket-Protocol", name)], [(offer[0], f"{offer[1]}!")]):
        with pytest.raises(Unauthorized):
            bearer(peer(*lines))


def test_a_page_may_not_do_what_is_for_who_runs_the_gateway():
    page, operator = Identity("ann", "page"), Identity(owner(), "token")

    assert allowed(page, "exec", None, None)
    assert not allowed(page, "run", None, RUN)
    assert not allowed(page, "ticket", None, None)
    assert not allowed(page, "attach", None, None, whose=operator)
    assert allowed(operator, "attach", None, None, whose=page)
    assert not allowed(Identity("stranger", "uid"), "exec", None, None)


WEB = Target("here", "shop", "web-0")
NGINX = replace(WEB, container="nginx")


@pytest.mark.parametrize(
    ("only", "verb", "target", "may"),
    [
        (WEB, "exec", WEB, True), (WEB, "attach", WEB, True), (WEB, "exec", NGINX, True), (WEB, "get", WEB, True),
        (NGINX, "exec", NGINX, True), (NGINX, "exec", WEB, False), (NGINX, "get", WEB, True),
        (NGINX, "exec", replace(WEB, container="shell"), False), (WEB, "exec", replace(WEB, pod="web-1"), False),
        (WEB, "exec", replace(WEB, namespace="default"), False), (WEB, "exec", replace(WEB, namespace=""), False),
        (WEB, "exec", replace(WEB, cluster="east"), False), (WEB, "get", replace(WEB, pod="services/web-0"), False),
        (WEB, "get", Target("here"), True), (WEB, "get", Target("east"), False), (WEB, "exec", Target("here"), False),
        (WEB, "get", Target("here", "shop"), False), (WEB, "exec", None, False), (WEB, "ticket", WEB, False),
        (WEB, "run", WEB, False), (replace(WEB, pod="deploy/web"), "exec", replace(WEB, pod="deploy/web"), True),
    ],
)  # fmt: skip
def test_a_link_for_one_target_is_good_for_it_alone(only, verb, target, may):
    assert allowed(Identity("ann", "page", only=only), verb, target, None) is may


def test_a_bound_link_sees_what_such_a_link_opened_and_an_unbound_one_all_of_its_owners():
    bound, other, free = (Identity("ann", "page", only=only) for only in (WEB, NGINX, None))
    bob = Identity("bob", "page", only=WEB)

    for verb in ("list", "kill", "attach", "revoke"):
        assert [allowed(bound, verb, WEB, None, whose=whose) for whose in (bound, other, free, bob)] == [
            True, False, False, False,
        ]  # fmt: skip
        assert [allowed(free, verb, WEB, None, whose=whose) for whose in (bound, other, free, bob)] == [
            True, True, True, False,
        ]  # fmt: skip
