"""Forwarded addresses: whose count, which of them, and what becomes of those that cannot be."""

import time

import pytest

from gateway.access.forwarded import TrustedProxies
from gateway.access.peer import Peer

PROXY = "10.0.0.1"
PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/64", "127.0.0.1"])


def client(*headers, address=PROXY, proxies=PROXIES):
    names = {"x": "X-Forwarded-For", "f": "forwarded"}
    return proxies.client(Peer(None, tuple((names[name], value) for name, value in headers), address))


def test_by_default_nobody_is_believed():
    for address in (PROXY, "127.0.0.1", "::1", "192.0.2.9"):
        assert client(("x", "192.0.2.1"), address=address, proxies=TrustedProxies()) == address
    assert client(("x", "192.0.2.1"), ("f", "for=192.0.2.1"), address="192.0.2.9") == "192.0.2.9"
    assert client() == PROXY


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),  # the left one is what the client says
        ('garbage " ,, 192.0.2.1', "192.0.2.1"),
        ("1.1.1.1,192.0.2.1 , 10.0.0.7,fd00::3", "192.0.2.1"),
        ("10.0.0.9, 10.0.0.7", "10.0.0.9"),  # one of the proxies asks itself
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:0db8::0001", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, ::ffff:10.0.0.3", "1.1.1.1"),
    ],
)  # fmt: skip
def test_the_rightmost_that_is_no_trusted_proxy(said, meant):
    assert client(("x", said)) == meant
    assert client(("x", said), address="::ffff:10.0.0.1") == meant


@pytest.mark.parametrize(
    "said",
    ["", ",", "unknown", "192.0.2", "192.0.2.1:", "192.0.2.1:123456", "192.0.2.1 x", "fe80::1%eth0", "[192.0.2.1",
     "1.1.1.1,", "192.0.2.1, x, 10.0.0.2", "٣.3.3.3", "01.2.3.4", "http://192.0.2.1"],
)  # fmt: skip
def test_what_is_no_address_is_the_proxys(said):
    assert client(("x", said)) == PROXY
    assert client(("f", f"for={said}")) == PROXY


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ("For=192.0.2.1; proto=https;by=10.0.0.1", "192.0.2.1"),
        ('for=1.1.1.1, for="[2001:db8::1]:4711";host="a.example"', "2001:db8::1"),
        ('for="192.0.2.1:80", for=10.0.0.2', "192.0.2.1"),
        ('for=", for=192.0.2.1', "192.0.2.1"),  # an open quote of the client's
        ("for=_hidden", PROXY),
        ("for=unknown", PROXY),
        ("by=192.0.2.1", PROXY),
        ("for=192.0.2.1;for=192.0.2.2", PROXY),
        ('for="192.0.2.1', PROXY),
        ("for=[2001:db8::1]", PROXY),  # needs quotes
        ("192.0.2.1", PROXY),
        ('host="for=1.1.1.1"', PROXY),
        ('host="for=1.1.1.1";for=192.0.2.1', "192.0.2.1"),
    ],
)  # fmt: skip
def test_forwarded_is_read_as_rfc_7239_has_it(said, meant):
    assert client(("f", said)) == meant


def test_several_lines_are_one_list():
    assert client(("x", "1.1.1.1"), ("x", "192.0.2.1"), ("x", "10.0.0.2")) == "192.0.2.1"
    assert client(("f", "for=1.1.1.1"), ("f", "for=192.0.2.1")) == "192.0.2.1"


def test_two_headers_that_do_not_agree_are_none():
    """A proxy writes one of them; the other one is the client's own."""
    assert client(("x", "192.0.2.1"), ("f", "for=192.0.2.1")) == "192.0.2.1"
    assert client(("x", "192.0.2.1"), ("f", "for=1.1.1.1")) == PROXY
    assert client(("x", "192.0.2.1"), ("f", "nonsense")) == PROXY
    assert client(("x", "nonsense"), ("f", "nonsense")) == PROXY


def test_the_unix_socket_takes_no_forwarded_address():
    assert client(("x", "192.0.2.1"), address="") == ""


def test_a_long_list_costs_little():
    began = time.perf_counter()
    assert client(("x", ",".join(["10.0.0.2"] * 7000))) == PROXY
    assert client(("x", ",".join(["x"] * 30_000 + ["192.0.2.1"]))) == "192.0.2.1"
    assert client(("f", "for=" + "a;" * 30_000)) == PROXY
    assert time.perf_counter() - began < 0.5
