"""Negotiation: every row of the table, alone and against the others."""

from gateway.protocol.subprotocols import (
    BASE64_CHANNEL,
    CHANNEL,
    NONE,
    OWN,
    SUBPROTOCOLS,
    V4,
    V4_BASE64,
    V5,
    negotiate,
)

TOKEN = "base64url.bearer.authorization.k8s.io.c2VrcmV0"
PYTHON_CLIENT = ["v5.channel.k8s.io,v4.channel.k8s.io"]
NODE_CLIENT = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
]
HEADLAMP = [
    "base64.binary.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, channel.k8s.io, " + TOKEN
]
TABLE = [
    ([], NONE),
    ([""], NONE),
    ([" ", ","], NONE),
    (["v1.dap-gateway"], OWN),
    (["v5.channel.k8s.io"], V5),
    (["v4.channel.k8s.io"], V4),
    (["v4.base64.channel.k8s.io"], V4_BASE64),
    (["channel.k8s.io"], CHANNEL),
    (["base64.channel.k8s.io"], BASE64_CHANNEL),
    # kubelets speak these two on SPDY alone
    (["v3.channel.k8s.io"], None),
    (["v2.channel.k8s.io"], None),
    # v5 wins wherever it stands
    (["v4.channel.k8s.io", "v5.channel.k8s.io"], V5),
    (["channel.k8s.io", "base64.channel.k8s.io", "v5.channel.k8s.io"], V5),
    (["v5.channel.k8s.io", "v1.dap-gateway"], OWN),
    # else the client's order
    (["v4.channel.k8s.io", "channel.k8s.io"], V4),
    (["channel.k8s.io", "v4.channel.k8s.io"], CHANNEL),
    (["base64.channel.k8s.io", "v4.base64.channel.k8s.io"], BASE64_CHANNEL),
    # unknown names are skipped
    (["base64.binary.k8s.io", "v4.channel.k8s.io"], V4),
    (["v6.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"], CHANNEL),
    (["nonsense", TOKEN], None),
    (["V5.CHANNEL.K8S.IO"], None),
    (["v5.channel.k8s.io."], None),
    (["SPDY/3.1+portforward.k8s.io"], None),
    # header lines as clients write them, several to a line or several lines
    (PYTHON_CLIENT, V5),
    (NODE_CLIENT, V5),
    (HEADLAMP, V4),
    (["v4.channel.k8s.io,channel.k8s.io", "v5.channel.k8s.io"], V5),
    ([" v4.channel.k8s.io ,\tchannel.k8s.io"], V4),
]


def test_the_choice_is_a_clusters():
    """Our own name before all, then v5 wherever it stands, then the client's order."""
    for offered, chosen in TABLE:
        assert negotiate(offered) is chosen, offered


def test_every_row_can_be_had_by_offering_it_alone():
    """No row of the table is out of reach."""
    for row in SUBPROTOCOLS:
        assert negotiate([row.name]) is row


def test_an_iterator_will_do():
    """The names are walked more than once; who passes a generator gets the same answer."""
    assert negotiate(name for name in ("v4.channel.k8s.io", "v5.channel.k8s.io")) is V5
