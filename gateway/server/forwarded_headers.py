"""Which header lines of a client's request go on to the API server."""

import re
from collections.abc import Iterable

from gateway.access.bearer import BEARER
from gateway.errors import Refused
from gateway.protocol.errors import BadRequest

# what belongs to one connection alone (RFC 9110, 7.6.1), or to the gateway
_OURS = frozenset((
    "authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host", "keep-alive", "origin",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via",
))  # fmt: skip
_IDENTIFIES = re.compile(r"impersonate-|x-remote-", re.IGNORECASE)
_MAY_BE_DROPPED = frozenset(("close", "keep-alive", "upgrade", "te", "http2-settings", "proxy-connection"))


def forwarded(lines: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the lines that go on, in their order and with repetitions: without credentials, and without what concerns
    the client's connection alone; the body's length stays. Raises Refused for a header that would change who asks, and
    BadRequest for a `Connection` that would take away what the API server has to see.
    """
    found: list[tuple[str, str]] = []
    for name, value in lines:
        lowered = name.lower()
        if _IDENTIFIES.match(lowered):
            raise Refused("not_allowed", f"the gateway does not pass {name} on: it says itself who asks")
        if lowered == "connection":
            _check_connection(value)
        elif lowered == "sec-websocket-protocol":
            offered = [one for one in map(str.strip, value.split(",")) if not one.startswith(BEARER)]
            found += [(name, ", ".join(offered))] if offered else []
        elif lowered == "content-length" or (lowered not in _OURS and not lowered.startswith("x-forwarded-")):
            found.append((name, value))
    if not any(name.lower() == "accept-encoding" for name, _ in found):
        found.append(("Accept-Encoding", "identity"))  # else kubectl proxy asks for gzip by itself
    return found


def _check_connection(value: str) -> None:
    for word in filter(None, (word.strip().lower() for word in value.split(","))):
        if word not in _MAY_BE_DROPPED:
            raise BadRequest(f"the Connection header names {word!a}, which has to reach the API server")
