"""A client of HTTP that costs little, over a socket that blocks: one event loop more would be measured as the gateway's."""

from collections.abc import Iterator
from contextlib import contextmanager

from api_ways import ApiWay
from conversation import BenchError

_READ = 256 * 1024  # bytes


class Http:
    """One connection of a way."""

    def __init__(self, way: ApiWay) -> None:
        self._name = way.name
        self._sock = way.connect()
        self._lines = f"Host: {way.url.partition('://')[2]}\r\n{way.lines}Accept: application/json\r\n"
        self._data = b""
        self.received = 0  # bytes of bodies

    def send(self, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> None:
        """Sends a request."""
        content = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._sock.sendall(f"{method} {target} HTTP/1.1\r\n{self._lines}{content}\r\n".encode() + body)

    def head(self) -> dict[str, str]:
        """Reads the head of the next answer, which has to be a success."""
        lines = self._until(b"\r\n\r\n").decode().split("\r\n")
        head = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if not lines[0].split()[1].startswith("2"):
            raise BenchError(f"{self._name}: {lines[0]}: {self.body(head)[:300]!r}")
        return head

    def body(self, head: dict[str, str]) -> bytes:
        """Reads the body of an answer."""
        if "content-length" in head:
            return self._exactly(int(head["content-length"]))
        return b"".join(self.parts())

    def ask(self, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """Sends a request and returns the body of its answer."""
        self.send(method, target, body, kind)
        return self.body(self.head())

    def parts(self) -> Iterator[bytes]:
        """Yields the parts of a chunked body as they come."""
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")

    def close(self) -> None:
        """Closes the connection."""
        self._sock.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            self._data += self._more()
        found, _, self._data = self._data.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        parts, left = [self._data[:count]], count - len(self._data)
        self._data = self._data[count:]
        while left > 0:
            part = self._more()
            parts.append(part[:left])
            self._data = part[left:]
            left -= len(part)
        self.received += count
        return b"".join(parts)

    def _more(self) -> bytes:
        part = self._sock.recv(_READ)
        if not part:
            raise BenchError(f"{self._name}: the connection ended early")
        return part


@contextmanager
def connected(way: ApiWay) -> Iterator[Http]:
    """Yields a connection that is closed whatever happens."""
    one = Http(way)
    try:
        yield one
    finally:
        one.close()
