"""Lists the WebSocket subprotocols, one row each, and chooses one."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Subprotocol:
    """Describes a subprotocol. `json_status`: stream 3 carries a Status object; else plain text, and only on
    failure. `half_close`: `ff nn` ends a stream. `control`: stream 5 carries our own JSON messages.
    """

    name: str
    base64: bool = False
    json_status: bool = True
    half_close: bool = False
    control: bool = False


OWN = Subprotocol("v1.dap-gateway", half_close=True, control=True)
V5 = Subprotocol("v5.channel.k8s.io", half_close=True)
V4 = Subprotocol("v4.channel.k8s.io")
V4_BASE64 = Subprotocol("v4.base64.channel.k8s.io", base64=True)
CHANNEL = Subprotocol("channel.k8s.io", json_status=False)
BASE64_CHANNEL = Subprotocol("base64.channel.k8s.io", base64=True, json_status=False)
NONE = Subprotocol("", json_status=False)
SUBPROTOCOLS = (OWN, V5, V4, V4_BASE64, CHANNEL, BASE64_CHANNEL, NONE)

_BY_NAME = {row.name: row for row in SUBPROTOCOLS}


def negotiate(offered: Iterable[str]) -> Subprotocol | None:
    """Returns the subprotocol for what a client offers; None where nothing is in common (HTTP 403).
    `offered`: names, or whole header lines of names between commas.

    Chooses as a cluster does, with our own name before all: v5 wins wherever it stands in the list
    (k8s.io/apiserver takes the request away from the older handler), else the client's first that we know.
    Nothing offered is the old protocol without a name.
    """
    names = [name for line in offered for part in line.split(",") if (name := part.strip())]
    if not names:
        return NONE
    for preferred in (OWN, V5):
        if preferred.name in names:
            return preferred
    return next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
