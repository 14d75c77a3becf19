"""Writes the vectors that the codecs can make into tests/vectors; with --check, fails where they differ.

Vectors of exec.json without `"generated": true` are literals taken from the wire of real clients and servers: they
stay as they are, and the tests hold the codec against them. In relay.json `frames` says what the bytes mean, and their
`hex` is made from it (a new row needs none); what is `broken` are literals.
"""

import json
import sys
from pathlib import Path
from typing import Any

from gateway.protocol.codec import encode
from gateway.protocol.messages import (
    ClientMessage,
    Control,
    Ended,
    HalfClose,
    Output,
    Resize,
    ServerMessage,
    Stdin,
    Stream,
)
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.status import SUCCESS, Status, exited, internal_error
from gateway.protocol.subprotocols import BASE64_CHANNEL, OWN, V4_BASE64, V5, Subprotocol
from gateway.protocol.target import TerminalSize
from gateway.relay import wire

_VECTORS = Path(__file__).parent.parent / "tests" / "vectors"
EXEC, RELAY = _VECTORS / "exec.json", _VECTORS / "relay.json"
MASK = bytes.fromhex("37fa213d")
ALL_BYTES = bytes(range(256))
HELLO = {
    "type": "hello",
    "session": "s-1",
    "gateway": "0.0.0",
    "target": {"cluster": "default", "namespace": "default", "pod": "web-0", "container": "main"},
    "command": ["sh", "-c", "echo 'a b' ü"],
    "tty": True,
    "resume": None,
}
RESUME = {"secret": "c2VjcmV0", "grace": 600, "offset": 70000, "received": 12, "window": 262144}
ATTACH_REFUSALS = ("session_unknown", "resume_refused", "offset_gone")
OWN_CONTROL: list[tuple[str, dict[str, Any]]] = [
    ("opening", {"type": "opening", "hop": "incus"}),
    ("hello", HELLO),
    (
        "hello without container and command",
        HELLO | {"target": {**HELLO["target"], "container": None}, "command": None},
    ),
    ("hello that can be resumed", HELLO | {"window": 262_144, "resume": RESUME}),
    (
        "hello with a note",
        HELLO | {"note": "deploy/api has no ready pod; this is api-1, which runs, and is not ready"},
    ),
    ("hello of a command that has started", HELLO | {"way": "api"}),
    ("started", {"type": "started"}),
    ("started by kubectl", {"type": "started", "way": "kubectl"}),
    ("started in the runner", {"type": "started", "way": None}),
    ("received", {"type": "received", "offset": 12}),
    ("received: much", {"type": "received", "offset": 2**40}),
    ("gap", {"type": "gap", "bytes": 65537}),
    ("hop lost", {**Outcome("ssh_lost").as_control("hop"), "seconds": 600}),
    ("hop is back", {"type": "hop", "code": None}),
    ("warning: idle", {"type": "warning", "code": "idle", "seconds": 60}),
    ("warning: max age", {"type": "warning", "code": "max_age", "seconds": 60}),
    ("warning no longer", {"type": "warning", "code": None}),
    ("pong", {"type": "pong"}),
    ("refused: no such pod", Outcome("pod_not_found", 'pods "nope" not found').as_control("refused")),
    ("refused: not allowed", Outcome("not_allowed").as_control("refused")),
    ("end: exit 0", ended(0).as_control("end")),
    ("end: exit 3", ended(3).as_control("end")),
    ("end: connection lost", Outcome("ssh_lost").as_control("end")),
    ("end: taken over", Outcome("taken_over").as_control("end")),
    *((f"refused: {code}", Outcome(code).as_control("refused")) for code in ATTACH_REFUSALS),
    ("a type that no client knows", {"type": "next-year", "more": [1, None]}),
]
CLIENT_CONTROL: list[tuple[str, dict[str, Any]]] = [
    ("attach", {"type": "attach", "secret": "c2VjcmV0", "offset": 70000}),
    ("attach to the newest output", {"type": "attach", "secret": "c2VjcmV0", "offset": None}),
    ("attach by identity", {"type": "attach", "secret": None, "offset": None}),
    ("command, a part", {"type": "command", "part": "sh\0-c\0echo ", "last": False}),
    ("command, the last part", {"type": "command", "part": "done", "last": True}),
    ("seen", {"type": "seen", "offset": 70000}),
    ("stay", {"type": "stay"}),
    ("ping", {"type": "ping"}),
]


def frame(payload: bytes | str, *, client: bool) -> bytes:
    """One unfragmented WebSocket frame (RFC 6455, 5.2); a client's is masked with MASK."""
    data = payload.encode() if isinstance(payload, str) else payload
    masked = 0x80 if client else 0
    head = bytes([0x81 if isinstance(payload, str) else 0x82])
    if len(data) < 126:
        head += bytes([masked | len(data)])
    elif len(data) < 65536:
        head += bytes([masked | 126]) + len(data).to_bytes(2)
    else:
        head += bytes([masked | 127]) + len(data).to_bytes(8)
    if not client:
        return head + data
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))


def described(message: ServerMessage | ClientMessage) -> tuple[str, str, dict[str, Any]]:
    """Direction, kind and decoded fields."""
    match message:
        case Output(stream, data):
            return "server", Stream(stream).name.lower(), {"data_hex": data.hex()}
        case Ended(status):
            return "server", "status", {"status": json.loads(status.json())}
        case Control(body):
            return "server", "control", {"control": dict(body)}
        case Stdin(data):
            return "client", "stdin", {"data_hex": data.hex()}
        case Resize(size):
            return "client", "resize", {"columns": size.columns, "rows": size.rows}
        case HalfClose(stream):
            return "client", "close", {"stream": stream}
    raise TypeError(message)


def vector(
    name: str, message: ServerMessage | ClientMessage, row: Subprotocol, says: str = ""
) -> dict[str, Any]:
    """One entry of the file. `says`: who, where the kind does not tell."""
    direction, kind, fields = described(message)
    direction = says or direction
    payload = encode(message, row)
    if payload is None:
        raise ValueError(f"{row.name} has no words for {message}")
    shown = {"text": payload} if isinstance(payload, str) else {"payload_hex": payload.hex()}
    raw = frame(payload, client=direction == "client").hex()
    return {
        "name": f"{row.name}: {name}",
        "subprotocol": row.name,
        "direction": direction,
        "kind": kind,
        **shown,
        "frame_hex": raw,
        **fields,
        "generated": True,
    }


def generated() -> list[dict[str, Any]]:
    """What the codec makes: every kind of message on the rows that our own clients and Rancher speak."""
    words = "größer 終 <&>\u2028"
    statuses = [("success", SUCCESS), ("exit 137", exited(137)), ("escapes", internal_error(words))]
    messages: list[tuple[str, ServerMessage | ClientMessage]] = [
        ("empty output", Output(Stream.STDOUT, b"")),
        ("all bytes out", Output(Stream.STDOUT, ALL_BYTES)),
        ("all bytes on stderr", Output(Stream.STDERR, ALL_BYTES)),
        ("all bytes in", Stdin(ALL_BYTES)),
        ("smallest terminal", Resize(TerminalSize(1, 1))),
        ("largest terminal", Resize(TerminalSize(65535, 65535))),
    ]
    found = []
    for row in (OWN, V5, V4_BASE64, BASE64_CHANNEL):
        found += [vector(name, message, row) for name, message in messages]
        if row.json_status:
            found += [vector(name, Ended(status), row) for name, status in statuses]
        if row.half_close:
            found += [vector(f"half-close of {stream}", HalfClose(stream), row) for stream in range(5)]
    plain = Status(success=False, message="command terminated with non-zero exit code: boom")
    found.append(vector("failure as plain text", Ended(plain), BASE64_CHANNEL))
    found += [vector(name, Control(body), OWN) for name, body in OWN_CONTROL]
    return found + [vector(name, Control(body), OWN, "client") for name, body in CLIENT_CONTROL]


def relay_frame(one: dict[str, Any]) -> bytes:
    """A frame of the relay's link from its words."""
    kind, stream = getattr(wire, one["kind"]), one["stream"]
    if "json" in one:
        return wire.encode_object(kind, stream, one["json"])
    if "size" in one:
        return wire.encode_size(stream, *one["size"])
    if "credit" in one:
        return wire.encode_credit(stream, one["credit"])
    if "offset" in one:
        return wire.encode_offset(kind, stream, one["offset"])
    return wire.encode(kind, stream, bytes.fromhex(one.get("hex", "")))


def relay_text() -> str:
    """relay.json as it should be: the bytes made anew from what they mean, then what breaks a rule."""
    found = json.loads(RELAY.read_text())
    made = [
        {
            "name": row["name"],
            "hex": b"".join(map(relay_frame, row["frames"])).hex(),
            "frames": row["frames"],
        }
        for row in found["frames"]
    ]
    tables = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
        for name, rows in (("frames", made), ("broken", found["broken"]))
    ]
    return "{" + ",\n".join(tables) + "}\n"


def exec_text() -> str:
    """exec.json as it should be: its literals, then what the codec makes."""
    literals = [entry for entry in json.loads(EXEC.read_text()) if not entry.get("generated")]
    return "[\n" + ",\n".join(json.dumps(entry) for entry in literals + generated()) + "\n]\n"


def main() -> int:
    """Exit 1 when --check finds a difference."""
    status = 0
    for path, text in ((EXEC, exec_text()), (RELAY, relay_text())):
        if path.read_text() == text:
            continue
        if "--check" in sys.argv[1:]:
            said = f"{path} differs from what the codec makes: read the change, then run hack/vectors.py"
            print(said, file=sys.stderr)
            status = 1
        else:
            path.write_text(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
