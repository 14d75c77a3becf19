"""One connection, in front of aiohttp's protocol: what a client has sent of a request's head, how long it may take, when it
has left, and which protocol gets its bytes.
"""

import asyncio
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from http import HTTPStatus
from socket import AF_UNIX
from typing import TYPE_CHECKING, cast

from aiohttp import hdrs, web

from gateway.access.wrong_tokens import network_of
from gateway.protocol.status import failure
from gateway.server.peer_closed import peer_closed

if TYPE_CHECKING:
    from gateway.server.connections import Connections  # which makes the connections

MAX_LINE = 1 << 20  # bytes of a request line: argv travels in the query
MAX_HEAD = MAX_LINE + (128 << 10)  # bytes of a request line and all header lines
_CONTROL = 6  # bytes of a control frame before its data (RFC 6455, 5.2)
_LINGER = 2.0  # seconds for the answer to a client that has closed its side
_ALIVE = (b"GET /healthz ", b"HEAD /healthz ")  # the longest last
_UNSENT = 64 << 10  # bytes that may wait for a client before whoever writes is held back
_HEAD_END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """Stands in front of the protocol of one connection: counts what the client has sent of a request's head, and drops
    a client that takes too long to send it, or to read an answer.
    """

    def __init__(self, inner: asyncio.Protocol, connections: "Connections") -> None:
        self.address = ""  # empty on the Unix socket
        self.origin = ""  # the network of the address; a trusted proxy has none of its own
        self.network = ""  # that the connection counts for
        self.head = 0  # bytes since the last request began
        self.message = 0  # bytes since the last message of its WebSocket was taken
        self.limits = connections.limits
        self._inner = inner
        self._before: asyncio.Protocol | None = None  # the protocol that `take_over` has replaced
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._head_began: float | None = self._loop.time()  # None: no head is under way
        self._serving = False
        self._streaming = False  # what comes belongs to the request that is served
        self._first = b""  # bytes of the head
        self._upgraded = False  # a session looks after its client by itself
        self._tail = b""  # the last bytes of a head, in which its end may have begun
        self._head_ended = False
        self._early = 0  # bytes that came behind the end of a head, before its request was served
        self._lost: list[Callable[[], None]] = []  # called when the client leaves
        self._made = False  # False while a handshake of TLS is under way
        self._unsent = 0  # bytes at the last look
        self._taken = self._loop.time()  # when the client had taken some, or owed nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol. With TLS the connection was accepted before."""
        self._transport, self._made = cast("asyncio.Transport", transport), True
        if self not in self._connections.open:
            self.accepted(self._transport)
        self._transport.set_write_buffer_limits(_UNSENT)  # as without TLS, for which asyncio keeps 512 KiB
        self._inner.connection_made(transport)

    def accepted(self, transport: asyncio.Transport) -> None:
        """Counts the connection, and its time, from now on."""
        self._transport = self._below = transport
        if transport.get_extra_info("socket").family != AF_UNIX:
            self.address = transport.get_extra_info("peername")[0]
            trusted = self._connections.proxies.trusts(self.address)
            self.origin = "" if trusted else network_of(self.address)
        self._connections.add(self)

    def closed(self) -> None:
        """Counts the connection no more."""
        self._connections.open.discard(self)
        self._connections.anonymous.remove(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. Whoever reads gets a ConnectionError, also where TLS broke or the kernel gave the client up."""
        if exc and not isinstance(exc, ConnectionError):
            exc = ConnectionResetError(str(exc))
        self.message_taken()
        self.closed()
        for inner in (self._inner, self._before):
            if inner:
                inner.connection_lost(exc)
        for lost in self._lost:
            lost()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. A head that is too large is not read on."""
        if not self._streaming:
            self._head_began = self._head_began or self._loop.time()
            self._first = (self._first + data)[: len(_ALIVE[-1])] if self.head else data[: len(_ALIVE[-1])]
            self._look_for_end(data)
            self._hold(len(data))
            if self.head > MAX_HEAD:
                self.drop("head_too_large", 431, f"a request's head may have {MAX_HEAD} bytes")
        elif self._upgraded and not self._before:
            self._connections.hold_message(self, len(data))
        if not self._transport.is_closing():
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """See asyncio.Protocol. A client that has only asked whether the gateway is alive gets its answer; everybody
        else who closes a side is gone.
        """
        if not self._first.startswith(_ALIVE):
            return self._inner.eof_received()
        self._loop.call_later(_LINGER, self._transport.close)
        return True

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._inner.resume_writing()

    @contextmanager
    def serving(self, request: web.Request, address: str) -> Iterator[None]:
        """Marks the connection as one whose request is answered within the block, and counts it for the client's `address`:
        what comes meanwhile is no head.
        """
        self._connections.anonymous.count_for(self, network_of(address))
        self._hold(-self.head)
        self._head_began = None
        self._serving = True
        self._upgraded = hdrs.UPGRADE in request.headers
        self._streaming = self._upgraded or request.can_read_body
        try:
            yield
        finally:
            self.message_taken()
            self._connections.anonymous.count_for(self, self.origin)
            self._serving = self._streaming = self._upgraded = False
            self._head_began = self._loop.time() if self.head else None

    @contextmanager
    def watched(self, lost: Callable[[], None]) -> Iterator[None]:
        """Calls `lost` as soon as the client leaves within the block. The client may take what it is sent as slowly as it
        likes meanwhile.
        """
        self._lost.append(lost)
        try:
            yield
        finally:
            self._lost.remove(lost)

    def take_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Gives all that comes from now on to `protocol`, and returns the transport. Raises ConnectionError where the
        client has left, ValueError where bytes have come already, which the protocol before has eaten.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("the client left")
        if self.message or self._early:
            raise ValueError("bytes came before the upgrade was answered")
        self._inner, self._before = protocol, self._inner
        protocol.connection_made(self._transport)
        return self._transport

    def identified(self) -> None:
        """The client has shown a good credential."""
        self._connections.anonymous.remove(self)

    def message_taken(self, control: bytes | None = None) -> None:
        """Takes off the count what a message held, with all that was sent before it; of a `control` frame, which may
        come in between, that frame alone.
        """
        size = self.message if control is None else min(self.message, len(control) + _CONTROL)
        self._connections.hold_message(self, -size)

    def check(self) -> None:
        """Drops a client that takes too long to send a request's head, or to read an answer."""
        now, unsent = self._loop.time(), self._unacknowledged()
        if not unsent or unsent != self._unsent or self._upgraded or self._lost:
            self._taken = now
        if self._lost and peer_closed(self._transport.get_extra_info("socket")):
            self._transport.abort()
        self._unsent = unsent
        if now - self._taken > self.limits.unread:
            self._connections.dropped("unread")
            self._transport.abort()
        elif not self._serving and self._head_began is not None and now - self._head_began > self.limits.head:
            self.drop("head_too_slow", 408, f"the request did not come within {self.limits.head:g} s")

    def _unacknowledged(self) -> int:
        """Returns the bytes that the peer's kernel has not taken, 0 while our kernel has room for all of them."""
        unsent = self._transport.get_write_buffer_size()
        if self._below is not self._transport:  # TLS: what is encrypted already waits there
            unsent += self._below.get_write_buffer_size()
        if unsent:
            with suppress(OSError):  # where a kernel does not say it, what is ours has to do
                raw = ioctl(self._transport.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4))
                unsent += int.from_bytes(raw, sys.byteorder)
        return unsent

    def _look_for_end(self, data: bytes) -> None:
        """Looks in what has come of a head for its end, and counts what came behind that."""
        if not self.head:
            self._head_ended, self._early = False, 0
        if self._head_ended:
            self._early += len(data)
            return
        _, end, behind = (self._tail + data).partition(_HEAD_END)
        self._head_ended, self._early = bool(end), len(behind)
        self._tail = b"" if end else (self._tail + data)[1 - len(_HEAD_END) :]

    def _hold(self, count: int) -> None:
        """Counts bytes of a head that the connection holds from now on, or, where negative, does not hold any longer."""
        self.head += count
        self._connections.anonymous.hold(self, count)

    def drop(self, why: str, code: int, message: str) -> None:
        """Closes the connection; with an answer unless a request is served, or a handshake is under way."""
        if self._transport.is_closing():
            return
        self._connections.dropped(why)
        if not self._made:
            self._transport.abort()
            return
        if not self._serving and not self._transport.get_write_buffer_size():
            self._transport.write(answer(code, message))
        if self._serving or self._transport.get_write_buffer_size():
            self._transport.abort()
        self._transport.close()


def connection_of(request: web.Request) -> Connection:
    """Returns the connection that a request came on. Raises ConnectionError where its client has left."""
    if request.transport is None:
        raise ConnectionResetError("the client left before it was answered")
    return cast("Connection", request.transport.get_protocol())


def answer(code: int, message: str) -> bytes:
    """Returns a whole HTTP answer, the last one of its connection."""
    body = failure(code, message).json(http=True)
    return (
        b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (code, HTTPStatus(code).phrase.encode(), len(body), body)
    )
