"""Does what a terminal that outlives its connection agrees on with the gateway: README.md of
gateway/protocol, Resume.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.client.connection import Connection
from gateway.client.exit_status import LOST, End, GatewayFailed
from gateway.protocol.outcome import CODES
from gateway.protocol.terminal_modes import TerminalModes

TICK = 0.5  # seconds between looks at the clock
PING = 5.0  # seconds without a word until we ask
SILENCE = 15.0  # seconds without a word until the connection is lost
WOKEN = 3.0  # seconds for a word after this machine slept
_JUMP = 2.0  # seconds that a tick may be late; above that this machine slept, or we were stopped
_DELAYS = (0.2, 0.5, 1.0, 2.0)  # seconds before the attempts; then
_DELAY = 5.0


@dataclass(frozen=True)
class Resume:
    """Holds the `resume` of a hello. `window` and offsets in bytes, `grace` in seconds."""

    session: str
    secret: str
    grace: float
    offset: int
    received: int
    window: int
    cluster: str = ""
    modes: bytes = b""  # what sets a terminal as the output before `offset` has set it

    @classmethod
    def parse(cls, hello: Mapping[str, Any]) -> "Resume | None":
        """Returns the hello's `resume`; None for a session that ends with its connection. Raises
        GatewayFailed for values that cannot be.
        """
        body = hello.get("resume")
        if body is None:
            return None
        try:
            numbers = [int(body[name]) for name in ("offset", "received", "window")]
            cluster = str((hello.get("target") or {}).get("cluster") or "")
            session, grace = str(hello["session"]), float(body["grace"])
            offset, received, window = numbers
            modes = TerminalModes(str(body.get("modes") or "").encode("ascii", "replace")).setting
            found = cls(session, body["secret"], grace, offset, received, window, cluster, modes)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise broken("invalid hello: its resume fields are missing or no numbers") from None
        if min(numbers[:2]) < 0 or found.window < 1 or not isinstance(found.secret, str):
            raise broken("invalid hello: negative offset, empty window, or a secret that is no text")
        return found


def attach_path(session: str, cluster: str = "") -> str:
    """Returns the path at which a living session is attached to. `cluster`: where the session is, if that is known."""
    where = f"?cluster={quote(cluster, safe='')}" if cluster else ""
    return f"/gateway/v1/sessions/{quote(session, safe='')}/attach{where}"


def broken(why: str) -> GatewayFailed:
    """Returns the error for a gateway that broke the protocol; trying again would not help."""
    return GatewayFailed(LOST, f"the gateway broke the protocol: {why}")


def number(body: Mapping[str, Any], name: str) -> int:
    """Returns that field of a control message. Raises GatewayFailed where it is no whole number from 0 on."""
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise broken(f"{body['type']} without {name}")
    return value


def passing(refused: End) -> bool:
    """True if a refused attach may succeed in a moment."""
    row = CODES.get(refused.code)
    return row is not None and row.http in (503, 504)


def delays() -> Iterator[float]:
    """Yields the seconds before each attempt, without end."""
    yield from _DELAYS
    while True:
        yield _DELAY


async def pause(seconds: float) -> None:
    """Waits for `seconds`; returns early when this machine has slept: then the time to try is now."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        if await _tick(min(left, TICK)):
            return


async def stay_alert(connection: Connection) -> None:
    """Watches the connection, pings when it is quiet, and abandons it when nothing comes for too long. Never
    returns.

    Any byte counts: a pong may stand behind output. What is given up by mistake costs an attach, and loses
    nothing.
    """
    loop = asyncio.get_running_loop()
    since, limit, asked = loop.time(), SILENCE, 0.0
    while True:
        if await _tick(TICK):
            since, limit, asked = loop.time(), WOKEN, 0.0
        if connection.heard > since:
            since, limit, asked = connection.heard, SILENCE, 0.0
        quiet = loop.time() - since
        if quiet > limit:
            connection.abandon()
        elif (quiet > PING or limit == WOKEN) and not asked:
            asked = loop.time()
            with contextlib.suppress(TimeoutError):  # what cannot be sent is no sign of life either
                async with asyncio.timeout(TICK):
                    await connection.ping()


async def _tick(seconds: float) -> bool:
    """Sleeps for `seconds`. True if it took much longer: the wall's clock goes on while this machine sleeps,
    the loop's may not.
    """
    loop = asyncio.get_running_loop()
    before, wall = loop.time(), time.time()
    await asyncio.sleep(seconds)
    return max(loop.time() - before, time.time() - wall) > seconds + _JUMP
