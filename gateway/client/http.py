"""Sends single HTTP requests to the gateway. The standard library's client is enough and starts fast."""

import asyncio
import http.client
import json
import re
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import __version__, unix_peer
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, UNREACHABLE, GatewayFailed
from gateway.client.proof import Unproved, prove
from gateway.client.proxy import ProxyUnusable
from gateway.client.reach import ProxyRefused, proxy_of, reach, trust
from gateway.errors import HopFailed, why
from gateway.protocol.outcome import CODES
from gateway.protocol.status import Status

_ANSWER_LIMIT = 16 << 20  # bytes
TOO_LONG = (414, 431)  # a URL, or all header lines
_LIMIT = (
    "a proxy in front of the gateway limits the length of a request's URL and headers (nginx: large_client_header_buffers, "
    "HAProxy: tune.bufsize)"
)
# as `Outcome.as_status` words it, and Kubernetes puts words before it where the code is 500
_OUTCOME = re.compile(
    r"(?:Internal error occurred: )?[a-z]+: (?P<message>.*) \((?P<code>[a-z_]+)\)", re.DOTALL
)
_PASSING = (404, 408, 429)  # what a proxy says while there is no gateway behind it


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: object = None,
    *,
    timeout: float = 30.0,
    anyone: bool = False,
    accept: str = "",
) -> tuple[int, Any]:
    """Sends one request; returns the HTTP status and the parsed JSON, None for a body that is no JSON. Blocks
    up to `timeout` seconds. `anyone`: take the answer from whoever it is that has the gateway's address. `accept`: in
    which form the answer is wanted. Raises GatewayFailed.
    """
    connection = _connection(endpoint, timeout, anyone=anyone)
    content = None if body is None else json.dumps(body).encode()
    headers = endpoint.headers | {"User-Agent": f"dap/{__version__}"}
    headers |= {"Content-Type": "application/json"} if content else {}
    headers |= {"Accept": accept} if accept else {}
    try:
        connection.request(method, urlsplit(endpoint.url).path + path, content, headers)
        response = connection.getresponse()
        answer = response.read(_ANSWER_LIMIT)
    except Unproved as error:
        raise GatewayFailed(UNREACHABLE, str(error)) from None
    except (ProxyUnusable, ProxyRefused) as error:
        raise GatewayFailed(REFUSED, f"cannot reach the gateway at {endpoint}: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        at = f" ({connection.address})" if connection.address else ""
        message = f"no answer from the gateway at {endpoint}: {why(error)}{at}"
        raise GatewayFailed(UNREACHABLE, message) from None
    finally:
        connection.close()
    try:
        return response.status, json.loads(answer)
    except (ValueError, RecursionError):
        return response.status, None


def answered(
    endpoint: Endpoint, method: str, path: str, expected: int, body: object = None
) -> dict[str, Any]:
    """Sends one request and returns the object of its answer. Raises GatewayFailed where the HTTP status is not the
    `expected` one, and for an answer that is no object.
    """
    status, answer = request(endpoint, method, path, body)
    if status != expected:
        raise refused(status, answer)
    if not isinstance(answer, dict):
        raise unreadable(path)
    return answer


def unreadable(path: str) -> GatewayFailed:
    """Returns the error for an answer of the gateway that lacks what it should have."""
    message = f"the gateway's answer to {path} cannot be read: use a dap of the gateway's version"
    return GatewayFailed(REFUSED, message)


def refused(status: int, answer: Any) -> GatewayFailed:
    """Returns the error for an HTTP refusal whose body `request` has parsed."""
    return refusal(status, json.dumps(answer).encode())


def refusal(status: int, answer: bytes) -> GatewayFailed:
    """Returns the error for an HTTP refusal, with the words of its Status object if it has one, and with the hop that these
    name.
    """
    try:
        said = Status.parse(answer)
    except RecursionError:
        said = None
    message = (said.message or said.reason) if said else f"HTTP {status}"
    if status in TOO_LONG and not said:
        message += f": {_LIMIT}"
    if status == 401:
        message += ": check DAP_GATEWAY_TOKEN, or sign in again with dap login"
    passing = status >= 500 or status in _PASSING
    if ours := named(message):
        return GatewayFailed(ours.code, ours.message, hop=ours.hop, passing=passing)
    return GatewayFailed(REFUSED, f"the gateway refused: {message}", passing=passing)


def named(message: str) -> HopFailed | None:
    """Returns the failure that a refusal's message names, by the outcome's code; None for a message that is not the gateway's
    own.
    """
    found = _OUTCOME.fullmatch(message)
    return HopFailed(found["code"], found["message"]) if found and found["code"] in CODES else None


class _TcpConnection(http.client.HTTPConnection):
    """Connects through `reach`: http.client waits for one address to time out before it tries the next."""

    address = ""  # the one that took the connection
    endpoint: Endpoint  # set it before the first request

    def connect(self) -> None:
        assert self.timeout
        proxy = proxy_of(self.endpoint)
        self.sock = asyncio.run(reach(self.endpoint, proxy, self.timeout))
        self.address = f"through the proxy {proxy}" if proxy else self.sock.getpeername()[0]
        self.sock.settimeout(self.timeout)
        if self.endpoint.proves:
            prove(self.sock, self.endpoint.token, self.timeout)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _UnixConnection(http.client.HTTPConnection):
    address = ""  # the endpoint names its path

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        assert self.timeout
        self.sock = unix_peer.connect(self._path, self.timeout)


class _TlsConnection(http.client.HTTPSConnection, _TcpConnection):
    """Adds TLS, which HTTPSConnection.connect begins on what the next class has connected."""


def _anyone() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connection(endpoint: Endpoint, timeout: float, *, anyone: bool) -> _UnixConnection | _TcpConnection:
    if endpoint.socket:
        return _UnixConnection(endpoint.socket, timeout)
    parts = urlsplit(endpoint.url)
    where = parts.hostname or "", parts.port
    connection = (
        _TlsConnection(*where, timeout=timeout, context=_anyone() if anyone else trust(endpoint))
        if parts.scheme == "https"
        else _TcpConnection(*where, timeout=timeout)
    )
    connection.endpoint = endpoint
    return connection
