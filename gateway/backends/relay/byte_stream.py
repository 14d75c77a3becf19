"""Carries the bytes of a connection that the relay has opened to an address."""

from collections.abc import Callable

from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed
from gateway.relay import wire


class RelayBytes:
    """See `ByteStream`. `stream`: the started stream of a `dial` request."""

    def __init__(self, stream: LinkStream) -> None:
        self._stream = stream
        self._eof = False

    async def read(self) -> bytes:
        """See `ByteStream.read`."""
        while not self._eof:
            batch = await self._stream.read()
            self._eof = any(kind == wire.EOF for kind, _ in batch)
            if data := b"".join(body for kind, body in batch if kind == wire.STDOUT):
                return data
            if not batch:
                break
        if self._eof:  # what is lost after that is the other direction's
            return b""
        if self._stream.failure:
            raise self._stream.failure
        if self._stream.exit and "error" in self._stream.exit:
            raise HopFailed("relay_lost", f"the connection was lost: {self._stream.exit['error']}")
        return b""

    async def write(self, data: bytes) -> None:
        """See `ByteStream.write`."""
        await self._stream.write(data)

    def write_eof(self) -> None:
        """See `ByteStream.write_eof`."""
        self._stream.write_eof()

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """See `ByteStream.watch`."""
        self._stream.watch(arrived)
