"""What `dap port-forward` is asked to forward."""

import pytest

from gateway.client.forward.spec import Wanted, parse
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target

WEB = Target("default", "", "web-0")
API = Target("default", "", "deploy/api")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("web-0 80", [Wanted(WEB, None, "80")]), ("web-0 8080:80", [Wanted(WEB, 8080, "80")]),
        ("web-0 :80", [Wanted(WEB, 0, "80")]), ("web-0 0:http", [Wanted(WEB, 0, "http")]),
        ("web-0 http 9000:9001", [Wanted(WEB, None, "http"), Wanted(WEB, 9000, "9001")]),
        ("web-0 80 deploy/api 81", [Wanted(WEB, None, "80"), Wanted(API, None, "81")]),
    ],
)  # fmt: skip
def test_targets_and_their_ports(words, wanted):
    assert parse(tuple(words.split()), "default", None) == wanted


@pytest.mark.parametrize(
    "words", ["web-0", "web-0 deploy/api 80", "deploy/api", "web-0 8080:", "web-0 x:80", "web-0 99999:80", "a/b 80", "web-0 -1:80"]
)  # fmt: skip
def test_what_is_none_is_refused(words):
    with pytest.raises(BadRequest):
        parse(tuple(words.split()), "default", None)
