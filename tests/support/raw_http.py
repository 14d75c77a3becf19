"""One HTTP request as plain bytes, and all that comes back: for what no WebSocket library would show."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.exec_client import Access

UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@dataclass(frozen=True)
class Answer:
    """`ended`: the server closed the connection within the time that was waited."""

    code: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    ended: bool

    def header(self, name: str) -> str | None:
        """The first of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


async def ask(
    access: Access,
    path: str,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    method: str = "GET",
    seconds: float = 5,
) -> Answer:
    """Sends it and reads until the end of the connection, or, when that does not come, for `seconds`."""
    where = urlsplit(access.url)
    proof = (("Authorization", f"Bearer {access.token}"),) if access.token else ()
    fields = (("Host", where.netloc), *proof, *headers)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=access.tls)
    said, ended = b"", False
    try:
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(seconds):
            while part := await reader.read(1 << 16):
                said += part
            ended = True
    except TimeoutError:
        pass
    except ConnectionError:
        ended = True
    finally:
        writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in rest))
    return Answer(int(first.split()[1]), pairs, body, ended)
