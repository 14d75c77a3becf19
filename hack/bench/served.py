"""The gateway's way: one `dap serve` for the whole run, and a new WebSocket (the `websockets` client) each time."""

import json
import os
import secrets
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from conversation import CHUNK, COLUMNS, LIMIT, ROWS, Asked, BenchError, Sink
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

_ROOT = Path(__file__).resolve().parent.parent.parent
_DATA, _STATUS = b"\x01\x02", 3  # streams
_READ = 256 * 1024  # bytes
_NORMAL = 1000  # a close code


class Served:
    """A running gateway at `url`, called by its mode. Once it serves, `pid`: its process, `directory`: where all of its
    files are, `log` among them.
    """

    pid = 0
    directory = Path()

    def __init__(
        self,
        name: str,
        url: str,
        token: str,
        pod: str,
        container: str,
        subprotocol: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._tls = tls
        self.url = url
        self.token = token
        self._pod = pod
        self._container = container
        self._subprotocol = subprotocol

    def open(self, asked: Asked) -> "ServedConversation":
        """See `Way.open`."""
        streams = ("stdin",) * asked.stdin + ("stdout", "tty" if asked.tty else "stderr")
        query = [("command", word) for word in asked.argv] + [("container", self._container)]
        query += [(name, "true") for name in streams]
        path = f"/api/v1/namespaces/default/pods/{quote(self._pod, safe='')}/exec?{urlencode(query)}"
        return ServedConversation(
            self.url.replace("http", "ws", 1) + path, self.token, self._subprotocol, self._tls, tty=asked.tty
        )


class ServedConversation:
    """See `Conversation`. `websockets` without its I/O, over a socket that blocks, since raw is read so too: an event
    loop here would be measured as if it were the gateway's.
    """

    def __init__(
        self, url: str, token: str, subprotocol: str, tls: ssl.SSLContext | None, *, tty: bool
    ) -> None:
        self._buffer = b""
        self._status: dict[str, Any] | None = None
        self._frames: deque[bytes] = deque()
        self._ended = False
        place = parse_uri(url)
        self._protocol = ClientProtocol(place, subprotocols=[Subprotocol(subprotocol)], max_size=None)
        self._socket = socket.create_connection((place.host, place.port), LIMIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=place.host)
        request = self._protocol.connect()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is State.CONNECTING and not self._ended:
            self._receive()
        if self._protocol.handshake_exc or self._protocol.state is State.CONNECTING:
            raise BenchError(f"gateway: not upgraded: {self._protocol.handshake_exc}")
        if tty:
            self._say(b'\x04{"Width":%d,"Height":%d}' % (COLUMNS, ROWS))

    def until(self, marker: bytes) -> bytes:
        """See `Conversation.until`."""
        while marker not in self._buffer:
            self._buffer += self._more()
            if self._status:
                raise BenchError(f"gateway: ended without {marker!r}: {self._buffer[-200:]!r} {self._status}")
        before, _, self._buffer = self._buffer.partition(marker)
        return before

    def fetch(self, count: int, sink: Sink | None = None) -> None:
        """See `Conversation.fetch`."""
        part, self._buffer = self._buffer, b""
        while True:
            if sink:
                sink(part[:count])
            count -= len(part)
            if count <= 0:
                break
            part = self._more()
            if self._status:
                raise BenchError(f"gateway: {count} bytes are missing at the end: {self._status}")
        self._buffer = part[len(part) + count :]

    def send(self, data: bytes) -> None:
        """See `Conversation.send`."""
        view = memoryview(data)
        for at in range(0, len(data), CHUNK):
            self._say(b"\x00" + view[at : at + CHUNK])

    def send_eof(self) -> None:
        """See `Conversation.send_eof`. Sends nothing where the command has ended already."""
        if self._protocol.state is State.OPEN:
            self._say(b"\xff\x00")

    def echo(self, key: bytes) -> float:
        """See `Conversation.echo`."""
        began = time.perf_counter()
        self._say(b"\x00" + key)
        self.until(key)
        return time.perf_counter() - began

    def end(self) -> bytes:
        """See `Conversation.end`."""
        rest, status = self.finish()
        if status.get("status") != "Success" or self._protocol.close_code != _NORMAL:
            raise BenchError(f"gateway: ended with {status} and {rest[-200:]!r}")
        return rest

    def finish(self) -> tuple[bytes, dict[str, Any]]:
        """Reads to the end, and returns what was left and the Status, whatever that says."""
        rest = self._buffer
        while self._status is None:
            rest += self._more()
        while not self._ended:
            self._receive()
        return rest, self._status

    def close(self) -> None:
        """See `Conversation.close`."""
        self._socket.close()

    def _say(self, message: bytes) -> None:
        self._protocol.send_binary(message)
        self._flush()

    def _more(self) -> bytes:
        """What the next message carries of the command's output, perhaps nothing; `_status` at the end."""
        while not self._frames:
            if self._ended:
                raise BenchError("gateway: the connection ended without a status")
            self._receive()
        message = self._frames.popleft()
        if message[0] in _DATA:
            return message[1:]
        if message[0] == _STATUS:
            self._status = json.loads(message[1:])
        return b""

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ)
        except TimeoutError:
            raise BenchError(f"gateway: no word for {LIMIT:g} s") from None
        except OSError as error:
            if self._protocol.close_rcvd is None:
                raise BenchError(f"gateway: {error}") from None
            data = b""  # both have said that they close: how the connection goes then says nothing
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            self._ended = True
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._frames.append(bytes(event.data))
        if not self._ended:
            self._flush()

    def _flush(self) -> None:
        """Sends what the protocol has to say, its answers to pings and to the close among it."""
        try:
            for data in self._protocol.data_to_send():
                if data:
                    self._socket.sendall(data)
        except OSError as error:
            raise BenchError(f"gateway: took no input ({error}); status {self._status}") from None


@contextmanager
def serving(
    mode: str,
    pod: str,
    container: str,
    subprotocol: str,
    settings: Mapping[str, str] = {},
    name: str = "",
    flags: tuple[str, ...] = (),
) -> Iterator[Served]:
    """A gateway of this checkout, with one kind of chain, on a free loopback port, with directories and a token of its own.
    `settings`: more variables of its environment; `name`: of the way, else the mode; `flags`: of its command.
    """
    with tempfile.TemporaryDirectory(prefix="dap-bench-") as directory:
        token = secrets.token_urlsafe(32)
        log = Path(directory) / "log"
        with log.open("wb") as said:
            # a session of its own: the kernel gives it a share of the cores of its own, as a service has
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--listen", "127.0.0.1:0", *flags],
                cwd=_ROOT, env=_environment(directory, token, mode) | dict(settings), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
        try:
            url = _banner(process, log)
            _await_ready(url, token)
            served = Served(name or mode, url, token, pod, container, subprotocol)
            served.pid, served.directory = process.pid, Path(directory)
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            if process.stdout:
                process.stdout.close()


def _environment(directory: str, token: str, mode: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAP_GATEWAY_")}
    settings = Path(directory) / "config" / "dap" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[limits]\nsessions = 0\nsessions_per_identity = 0\n")  # all are one person's here
    own = {f"XDG_{kind}_HOME": f"{directory}/{kind.lower()}" for kind in ("CONFIG", "STATE")}
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    ours = {"DAP_RUNNER_MODE": mode, "DAP_GATEWAY_TOKEN": token}
    return kept | own | ours | {"XDG_RUNTIME_DIR": directory, "PYTHONPATH": path}


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
