"""TCP connections to a host by its name: every address of the host is tried, the next after 250 ms (RFC 8305)."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiohappyeyeballs import AddrInfoType, start_connection

ATTEMPT_DELAY = 0.25  # seconds until the next address is tried, too: RFC 8305, 5


def host_port(host: str, port: int) -> str:
    """Returns both as they stand in a URL: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class DialFailed(OSError):  # noqa: N818  # said of a connection, as HopFailed is
    """No address took the connection. The message names each address and its answer."""


async def dial(
    host: str,
    port: int,
    *,
    seconds: float,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    bind: Callable[[socket.socket], None] | None = None,
) -> socket.socket:
    """Returns a connected, non-blocking socket; `host` is a name or an address, with its scope (fe80::1%eth0).

    `seconds` are the limit for the lookup of the name and the connection together. `bind` is called with each new
    socket and may raise OSError. Raises DialFailed. When cancelled, all sockets are closed.
    """
    attempts: list[_Attempt] = []

    def attempt(address: AddrInfoType) -> socket.socket:
        attempts.append(_Attempt(address))
        attempts[-1].prepare(bind)
        return attempts[-1]

    try:
        async with asyncio.timeout(seconds):
            return await start_connection(
                await lookup(host, port, family),
                happy_eyeballs_delay=ATTEMPT_DELAY,
                interleave=1,
                socket_factory=attempt,
            )
    except (OSError, ValueError) as error:
        silence = f"no answer within {seconds:g} s"
        if not attempts:
            raise DialFailed(
                f"the lookup of the name {host} failed: {_lookup_failure(error, silence)}"
            ) from None
        raise DialFailed(", ".join(f"{one.address} ({one.refusal or silence})" for one in attempts)) from None


def _lookup_failure(error: OSError | ValueError, silence: str) -> str:
    if isinstance(error, ValueError):  # of Python's codec for host names
        return "it is no host name"
    return silence if isinstance(error, TimeoutError) else error.strerror or str(error)


async def lookup(host: str, port: int, family: socket.AddressFamily) -> list[AddrInfoType]:
    """Returns the addresses of a host as getaddrinfo orders them, at least one. Raises OSError or ValueError.

    A resolver may hang for minutes, so each lookup has a thread of its own: a thread of the loop's executor would keep
    other lookups waiting, and the process from ending.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[AddrInfoType]] = loop.create_future()

    def settle(addresses: Sequence[AddrInfoType], error: Exception | None) -> None:
        if found.done():
            return
        if error:
            found.set_exception(error)
        else:
            found.set_result(list(dict.fromkeys(addresses)))

    def resolve() -> None:
        addresses: Sequence[AddrInfoType] = []
        failed: Exception | None = None
        try:
            addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except (
            OSError,
            ValueError,
            OverflowError,
        ) as error:  # ValueError: what no name can be, such as "a..b"
            failed = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, addresses, failed)

    threading.Thread(target=resolve, name=f"lookup of {host}", daemon=True).start()
    return await found


class _Attempt(socket.socket):
    """A socket for one address that remembers why the connection failed: start_connection tells that in one sentence
    for all of them.
    """

    def __init__(self, address: AddrInfoType) -> None:
        kind, type_, protocol, _, where = address
        super().__init__(kind, type_, protocol)
        self.address = str(where[0])
        self.refusal = ""

    def prepare(self, bind: Callable[[socket.socket], None] | None) -> None:
        try:
            if bind:
                bind(self)
        except OSError as error:
            self.refusal = error.strerror or str(error)
            self.close()
            raise

    def connect(self, address: object) -> None:
        """Begins the connection; the event loop calls it once."""
        try:
            super().connect(address)  # type: ignore[arg-type]  # an address of any family
        except BlockingIOError:
            raise
        except OSError as error:
            self.refusal = error.strerror or str(error)
            raise

    def getsockopt(self, *option: int) -> int:  # type: ignore[override]  # the event loop reads integers
        """Reads an option; the event loop reads SO_ERROR when the connection is made or has failed."""
        value = super().getsockopt(*option[:2])
        if option == (socket.SOL_SOCKET, socket.SO_ERROR) and value:
            self.refusal = os.strerror(value)
        return value
