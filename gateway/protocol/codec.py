"""Message <-> WebSocket payload, for every row of the table. Both ends use it: the server and `dap`.

A payload is bytes (a binary message) or str (a text message). Rules of odd input: k8s.io/apimachinery
httpstream/wsstream/conn.go, and README.md beside this file.
"""

import base64
import binascii
import json
from typing import Any

from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import (
    ClientMessage,
    Control,
    Ended,
    HalfClose,
    Ignored,
    Output,
    Resize,
    ServerMessage,
    Stdin,
    Stream,
)
from gateway.protocol.status import Status, internal_error
from gateway.protocol.subprotocols import Subprotocol
from gateway.protocol.target import TerminalSize

MAX_MESSAGE = 32 * 1024 * 1024  # bytes; wsstream's own limit for a frame
CHUNK = 32 * 1024  # bytes of payload in one message of ours; real servers' size
_RESIZE_LIMIT = 4096  # bytes of an unfinished resize object


def encode(message: ServerMessage | ClientMessage, row: Subprotocol) -> bytes | str | None:
    """One WebSocket payload, or None where this row has no words for the message (success as plain text).

    Never empty: kubectl and client-node die of a message without a stream byte.
    """
    match message:
        case Output(stream, data):
            return _frame(stream, data, row)
        case Ended(status):
            body = _status_bytes(status, row)
            return _frame(Stream.ERROR, body, row) if body else None
        case Stdin(data):
            return _frame(Stream.STDIN, data, row)
        case Resize(size):
            return _frame(Stream.RESIZE, b'{"Width":%d,"Height":%d}\n' % (size.columns, size.rows), row)
        case HalfClose(stream):
            return _frame(Stream.CLOSE, bytes([stream]), row)
        case Control(fields):
            return (
                _frame(Stream.CONTROL, json.dumps(fields, separators=(",", ":")).encode(), row)
                if row.control
                else None
            )
        case Ignored():
            return None


class ClientDecoder:
    """Decodes what a client sends. Keeps only an unfinished resize object (its decoder reads a stream)."""

    def __init__(self, row: Subprotocol) -> None:
        self._row = row
        self._resize = ""

    def decode(self, payload: bytes | str) -> list[ClientMessage]:
        """Raises ProtocolError for a malformed half-close; everything else that a cluster ignores is Ignored."""
        try:
            stream, data = _unframe(payload, self._row)
        except binascii.Error:
            return [Ignored("base64")]
        if stream is None:
            return []
        if stream == Stream.STDIN:
            return [Stdin(data)] if data else []
        if stream == Stream.RESIZE:
            return self._sizes(data)
        if stream == Stream.CLOSE and self._row.half_close:
            if len(data) != 1 or data[0] > Stream.RESIZE:
                raise ProtocolError("a half-close is two bytes: ff and a stream from 0 to 4")
            return [HalfClose(data[0])]
        if stream == Stream.CONTROL and self._row.control:
            return [_control(data) or Ignored("control")]
        return [Ignored("stream")]

    def _sizes(self, data: bytes) -> list[ClientMessage]:
        self._resize += data.decode("utf-8", "replace")
        found: list[ClientMessage] = []
        while self._resize.strip():
            text = self._resize.lstrip()
            try:
                body, end = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                # the rest may still come: only what can be the beginning of an object is kept
                self._resize = text if text.startswith("{") and len(text) <= _RESIZE_LIMIT else ""
                return found if self._resize else [*found, Ignored("resize")]
            self._resize = text[end:]
            size = (
                TerminalSize.parse(body.get("Width"), body.get("Height")) if isinstance(body, dict) else None
            )
            found.append(Resize(size) if size else Ignored("resize"))
        self._resize = ""
        return found


def decode_server(payload: bytes | str, row: Subprotocol) -> ServerMessage | Ignored:
    """Decodes what a server sends. Raises ProtocolError where a client could not go on."""
    try:
        stream, data = _unframe(payload, row)
    except binascii.Error as error:
        raise ProtocolError(f"not base64: {error}") from None
    if stream in (Stream.STDOUT, Stream.STDERR):
        return Output(stream, data)
    if stream == Stream.ERROR:
        if row.json_status:
            status = Status.parse(data)
            if status is None:
                raise ProtocolError("stream 3 carries no Status object")
            return Ended(status)
        return Ended(internal_error(data.decode("utf-8", "replace")))
    if stream == Stream.CONTROL and row.control:
        return _control(data) or Ignored("control")
    return Ignored("stream" if stream is not None else "empty")


def _frame(stream: int, data: bytes, row: Subprotocol) -> bytes | str:
    if row.base64:
        return chr(ord("0") + stream) + base64.b64encode(data).decode("ascii")
    return bytes([stream]) + data


def _unframe(payload: bytes | str, row: Subprotocol) -> tuple[int | None, bytes]:
    raw = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    if not raw:
        return None, b""
    if not row.base64:
        return raw[0], raw[1:]
    return raw[0] - ord("0"), base64.b64decode(raw[1:], validate=True)


def _status_bytes(status: Status, row: Subprotocol) -> bytes:
    if row.json_status:
        return status.json()
    return b"" if status.success else status.message.encode("utf-8", "replace")


def _control(data: bytes) -> Control | None:
    try:
        body: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return Control(body) if isinstance(body, dict) and isinstance(body.get("type"), str) else None
