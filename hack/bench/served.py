"""The gateway's way: one `dap serve` for the whole run, and a new WebSocket (the `websockets` client) each time."""

import asyncio
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from conversation import CHUNK, COLUMNS, LIMIT, ROWS, Asked, BenchError, Sink
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

_ROOT = Path(__file__).resolve().parent.parent.parent
_DATA, _STATUS = b"\x01\x02", 3  # streams
T = TypeVar("T")


class Served:
    """A running gateway at `url`."""

    name = "gateway"

    def __init__(self, url: str, token: str, pod: str, container: str, subprotocol: str) -> None:
        self._url = url.replace("http", "ws", 1)
        self._token = token
        self._pod = pod
        self._container = container
        self._subprotocol = subprotocol

    def open(self, asked: Asked) -> "ServedConversation":
        """See `Way.open`."""
        streams = ("stdin", "stdout", "tty") if asked.tty else ("stdin", "stdout", "stderr")
        query = [("command", word) for word in asked.argv] + [("container", self._container)]
        query += [(name, "true") for name in streams]
        path = f"/api/v1/namespaces/default/pods/{quote(self._pod, safe='')}/exec?{urlencode(query)}"
        return ServedConversation(self._url + path, self._token, self._subprotocol, tty=asked.tty)


class ServedConversation:
    """See `Conversation`. The client's event loop runs while a method runs, and only then."""

    def __init__(self, url: str, token: str, subprotocol: str, *, tty: bool) -> None:
        self._buffer = b""
        self._status: dict[str, Any] | None = None
        self._runner = asyncio.Runner()
        self._socket: ClientConnection = self._run(self._connect(url, token, subprotocol))
        if tty:
            size = b'\x04{"Width":%d,"Height":%d}' % (COLUMNS, ROWS)
            self._run(self._socket.send(size))

    def until(self, marker: bytes) -> bytes:
        """See `Conversation.until`."""
        return self._run(self._until(marker))

    def fetch(self, count: int, sink: Sink | None = None) -> None:
        """See `Conversation.fetch`."""
        self._run(self._fetch(count, sink))

    def send(self, data: bytes) -> None:
        """See `Conversation.send`."""
        self._run(self._send(data))

    def send_eof(self) -> None:
        """See `Conversation.send_eof`."""
        self._run(self._socket.send(b"\xff\x00"))

    def echo(self, key: bytes) -> float:
        """See `Conversation.echo`."""
        return self._run(self._echo(key))

    def end(self) -> None:
        """See `Conversation.end`."""
        rest = self._run(self._rest())
        if rest.strip() or self._status is None or self._status.get("status") != "Success":
            raise BenchError(f"gateway: ended with {self._status} and {rest[-200:]!r}")

    def close(self) -> None:
        """See `Conversation.close`."""
        try:
            self._run(self._socket.close())
        finally:
            self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(LIMIT):
                return await work

        try:
            return self._runner.run(limited())
        except TimeoutError:
            raise BenchError(f"gateway: a step took more than {LIMIT:g} s") from None
        except (WebSocketException, OSError) as error:
            raise BenchError(f"gateway: {error}; status {self._status}") from None

    async def _connect(self, url: str, token: str, subprotocol: str) -> ClientConnection:
        return await connect(
            url,
            subprotocols=[Subprotocol(subprotocol)],
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            max_size=None,
            ping_interval=None,
            proxy=None,
        )

    async def _more(self) -> bytes:
        """What the next message carries of the command's output, perhaps nothing; `_status` at the end."""
        message = await self._socket.recv()
        assert isinstance(message, bytes)
        if message[0] in _DATA:
            return message[1:]
        if message[0] == _STATUS:
            self._status = json.loads(message[1:])
        return b""

    async def _until(self, marker: bytes) -> bytes:
        while marker not in self._buffer:
            self._buffer += await self._more()
            if self._status:
                raise BenchError(f"gateway: ended without {marker!r}: {self._buffer[-200:]!r} {self._status}")
        before, _, self._buffer = self._buffer.partition(marker)
        return before

    async def _fetch(self, count: int, sink: Sink | None) -> None:
        part, self._buffer = self._buffer, b""
        while True:
            if sink:
                sink(part[:count])
            count -= len(part)
            if count <= 0:
                break
            part = await self._more()
            if self._status:
                raise BenchError(f"gateway: {count} bytes are missing at the end: {self._status}")
        self._buffer = part[len(part) + count :]

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(data), CHUNK):
            await self._socket.send(b"\x00" + view[at : at + CHUNK])

    async def _echo(self, key: bytes) -> float:
        began = time.perf_counter()
        await self._socket.send(b"\x00" + key)
        await self._until(key)
        return time.perf_counter() - began

    async def _rest(self) -> bytes:
        rest = self._buffer
        while self._status is None:
            rest += await self._more()
        await self._socket.wait_closed()
        return rest


@contextmanager
def serving(pod: str, container: str, subprotocol: str) -> Iterator[Served]:
    """A gateway of this checkout on a free loopback port, with directories and a token of its own."""
    with tempfile.TemporaryDirectory(prefix="dap-bench-") as directory:
        token = secrets.token_urlsafe(32)
        log = Path(directory) / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--listen", "127.0.0.1:0"],
                cwd=_ROOT, env=_environment(directory, token), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
        try:
            url = _banner(process, log)
            _await_ready(url, token)
            yield Served(url, token, pod, container, subprotocol)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _environment(directory: str, token: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAP_GATEWAY_")}
    own = {f"XDG_{kind}_HOME": f"{directory}/{kind.lower()}" for kind in ("CONFIG", "STATE")}
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return kept | own | {"XDG_RUNTIME_DIR": directory, "DAP_GATEWAY_TOKEN": token, "PYTHONPATH": path}


def _banner(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout
    if select.select([process.stdout], [], [], 30)[0]:
        line = process.stdout.readline().decode()
        if " on http://" in line:
            return line.rpartition(" on ")[2].strip()
    raise BenchError(f"dap serve did not start: {log.read_text(errors='replace')[-400:]!a}")


def _await_ready(url: str, token: str) -> None:
    """Also warms what a running gateway has warm: its SSH connection."""
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=40) as answer:
            answer.read()
    except OSError as error:
        raise BenchError(f"the gateway is not ready: {error}") from None
