"""Which header lines go on to the API server."""

import pytest

from gateway.errors import Refused
from gateway.protocol.errors import BadRequest
from gateway.server.forwarded_headers import forwarded

ASKED = ("Accept-Encoding", "gzip")


def test_lines_keep_their_order_and_repetitions():
    lines = [ASKED, ("X-Stream-Protocol-Version", "v4"), ("Accept", "a"), ("X-Stream-Protocol-Version", "v3")]

    assert forwarded(lines) == lines


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "authorization", "Cookie", "Host", "Connection", "Keep-Alive", "Transfer-Encoding", "TE",
        "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Expect", "Origin", "X-Forwarded-For",
        "x-forwarded-anything", "Forwarded", "Via",
    ],
)  # fmt: skip
def test_what_stays_here(name):
    value = "keep-alive" if name == "Connection" else "secret"

    assert forwarded([ASKED, (name, value)]) == [ASKED]


def test_the_length_goes_on():
    assert ("Content-Length", "3") in forwarded([("Content-Length", "3")])


def test_a_bearer_subprotocol_stays_here():
    lines = [
        ASKED,
        ("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.eA, SPDY/3.1+portforward.k8s.io"),
    ]

    assert forwarded(lines) == [ASKED, ("Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io")]
    assert forwarded([ASKED, ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.eA")]) == [
        ASKED
    ]


def test_no_compression_unless_it_was_asked_for():
    assert forwarded([]) == [("Accept-Encoding", "identity")]


@pytest.mark.parametrize(
    "name",
    ["Impersonate-User", "impersonate-uid", "IMPERSONATE-GROUP", "Impersonate-Extra-Scopes", "X-Remote-User"],
)
def test_who_asks_is_nobodys_to_say(name):
    with pytest.raises(Refused, match=name):
        forwarded([(name, "root")])


@pytest.mark.parametrize("word", ["Authorization", "impersonate-user", "content-type", "accept", "host"])
def test_a_connection_header_takes_nothing_away(word):
    with pytest.raises(BadRequest, match=word.lower()):
        forwarded([("Connection", f"keep-alive, {word}")])
