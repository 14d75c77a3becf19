"""Turns messages into WebSocket payloads and back, for every row of the table. Both ends use it: the server
and `dap`.

A payload is bytes (a binary message) or str (a text message). Rules of odd input: k8s.io/apimachinery
httpstream/wsstream/conn.go, and README.md beside this file.
"""

import base64
import binascii
import json
import re
from typing import Any, assert_never

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
from gateway.protocol.status import Status
from gateway.protocol.subprotocols import Subprotocol
from gateway.protocol.target import TerminalSize

MAX_MESSAGE = 32 * 1024 * 1024  # bytes; wsstream's own limit for a frame
MAX_OWN = 1024 * 1024  # bytes, of a client of ours
CHUNK = 32 * 1024  # bytes of payload in one message of ours; real servers' size
RESIZE_LIMIT = 4096  # characters of an unfinished resize object
_SPACE = re.compile(r"\s*")
_JSON = json.JSONDecoder()


def encode(message: ServerMessage | ClientMessage, row: Subprotocol) -> bytes | str | None:
    """Returns one WebSocket payload, or None where this row has no form for the message: success as plain
    text, a half-close before v5, a control message of ours on a protocol of Kubernetes.

    The payload is never empty: kubectl and client-node die of a message without a stream byte.
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
            return _frame(Stream.CLOSE, bytes([stream]), row) if row.half_close else None
        case Control(fields):
            return (
                _frame(Stream.CONTROL, json.dumps(fields, separators=(",", ":")).encode(), row)
                if row.control
                else None
            )
        case Ignored():
            return None
        case _:
            assert_never(message)


class ClientDecoder:
    """Decodes what a client sends. Keeps only an unfinished resize object (its decoder reads a stream)."""

    def __init__(self, row: Subprotocol) -> None:
        self._row = row
        self._resize = ""

    def decode(self, payload: bytes | str) -> list[ClientMessage]:
        """Returns the messages of one payload. Raises ProtocolError for a malformed half-close; everything
        else that a cluster ignores is Ignored.
        """
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
            small = len(data) <= CHUNK  # all that there are; to read more of them costs others their time
            return [(_control(data) if small else None) or Ignored("control")]
        return [Ignored("stream")]

    def _sizes(self, data: bytes) -> list[ClientMessage]:
        kept, self._resize = self._resize, ""
        if len(data) > CHUNK:  # no terminal changes that often: time is not spent on it
            return [Ignored("resize")]
        text = data.decode("utf-8", "replace")
        found: list[ClientMessage] = []
        if kept and text.lstrip().startswith("{"):  # what was kept was malformed, not unfinished
            found.append(Ignored("resize"))
            kept = ""
        text = kept + text
        at = _skip_space(text, 0)
        while at < len(text):
            try:
                body, end = _JSON.raw_decode(text, at)
            except (ValueError, RecursionError):
                # the rest may still come: only what can be the beginning of an object is kept
                if text[at] == "{" and len(text) - at <= RESIZE_LIMIT:
                    self._resize = text[at:]
                else:
                    found.append(Ignored("resize"))
                break
            found.append(_resize(body))
            at = _skip_space(text, end)
        return found


def decode_server(payload: bytes | str, row: Subprotocol) -> ServerMessage | Ignored:
    """Decodes what a server sends. Raises ProtocolError where a client could not go on.

    Where stream 3 is plain text, the Status has that text as its message and nothing else. Empty messages are
    Ignored: the hello frame comes on stream 3 when neither output was asked for.
    """
    try:
        stream, data = _unframe(payload, row)
    except binascii.Error as error:
        raise ProtocolError(f"not base64: {error}") from None
    if stream in (Stream.STDOUT, Stream.STDERR):
        return Output(stream, data)
    if stream == Stream.ERROR and data:
        if row.json_status:
            status = Status.parse(data)
            if status is None:
                raise ProtocolError("stream 3 carries no Status object")
            return Ended(status)
        return Ended(Status(success=False, message=data.decode("utf-8", "replace")))
    if stream == Stream.CONTROL and row.control:
        return _control(data) or Ignored("control")
    return Ignored("empty" if stream in (None, Stream.ERROR) else "stream")


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


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _resize(body: Any) -> Resize | Ignored:
    if not isinstance(body, dict):
        return Ignored("resize")
    fields = {name.lower(): value for name, value in body.items()}  # encoding/json takes keys in any case
    size = TerminalSize.parse(fields.get("width"), fields.get("height"))
    return Resize(size) if size else Ignored("resize")


def _control(data: bytes) -> Control | None:
    try:
        body: Any = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return Control(body) if isinstance(body, dict) and isinstance(body.get("type"), str) else None
