"""The vectors in tests/vectors, held against the codec in both directions and as whole WebSocket frames."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import status as statuses
from gateway.protocol.codec import ClientDecoder, decode_server, encode
from gateway.protocol.messages import Control, Ended, HalfClose, Output, Resize, Stdin, Stream
from gateway.protocol.status import Status, failure
from gateway.protocol.subprotocols import SUBPROTOCOLS
from gateway.protocol.target import TerminalSize

ROOT = Path(__file__).parents[2]
MASK = bytes.fromhex("37fa213d")
ROWS = {row.name: row for row in SUBPROTOCOLS}


def load(name: str) -> list[dict[str, Any]]:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())


EXEC = load("exec")


def table(name: str):
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in load(name)])


def message_of(vector):
    """The decoded fields of a vector as one of ours."""
    match vector["kind"]:
        case "stdout" | "stderr":
            return Output(Stream[vector["kind"].upper()], bytes.fromhex(vector["data_hex"]))
        case "stdin":
            return Stdin(bytes.fromhex(vector["data_hex"]))
        case "resize":
            return Resize(TerminalSize(vector["columns"], vector["rows"]))
        case "close":
            return HalfClose(vector["stream"])
        case "status":
            return Ended(Status.parse(json.dumps(vector["status"]).encode()))
        case "control":
            return Control(vector["control"])
    raise ValueError(vector["kind"])


def payload_of(vector) -> bytes | str:
    return vector["text"] if "text" in vector else bytes.fromhex(vector["payload_hex"])


def decoded(payload, vector):
    row = ROWS[vector["subprotocol"]]
    if vector["direction"] == "server":
        return [decode_server(payload, row)]
    return ClientDecoder(row).decode(payload)


def build_frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """RFC 6455, 5.2: FIN set, one frame."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65536 else 127
    head = bytes([0x80 | opcode, short | (0x80 if masked else 0)])
    head += {126: size.to_bytes(2), 127: size.to_bytes(8)}.get(short, b"")
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))


def read_frame(frame: bytes) -> tuple[int, bytes, bool]:
    """Opcode, payload, and whether it was masked."""
    masked, size, at = bool(frame[1] & 0x80), frame[1] & 0x7F, 2
    if size > 125:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(frame[2 : 2 + width]), 2 + width
    if masked:
        mask, at = frame[at : at + 4], at + 4
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(frame[at:]))
    else:
        payload = frame[at:]
    assert frame[0] & 0x80, "not a whole message"
    assert len(payload) == size
    return frame[0] & 0x0F, payload, masked


def test_a_vector_decodes_to_its_message():
    """What stands on the wire means what the vector says."""
    messages = {vector["name"]: message_of(vector) for vector in EXEC}

    assert {vector["name"]: decoded(payload_of(vector), vector) for vector in EXEC} == {
        name: [message] if message != Stdin(b"") else [] for name, message in messages.items()
    }


def test_a_message_encodes_to_its_vector(subtests):
    """We say it in the same bytes as Kubernetes does, except where a vector is another client's spelling."""
    for vector in EXEC:
        with subtests.test(vector["name"]):
            made = encode(message_of(vector), ROWS[vector["subprotocol"]])
            if vector.get("decode_only"):
                assert made != payload_of(vector)
            else:
                assert made == payload_of(vector)


def test_a_whole_frame_holds_the_payload(subtests):
    """Clients mask, servers do not; base64 goes as text, everything else as binary."""
    for vector in (vector for vector in EXEC if "frame_hex" in vector):
        with subtests.test(vector["name"]):
            payload = payload_of(vector)
            opcode, raw = (1, payload.encode()) if isinstance(payload, str) else (2, payload)
            client = vector["direction"] == "client"
            frame = bytes.fromhex(vector["frame_hex"])

            assert build_frame(opcode, raw, masked=client) == frame
            assert read_frame(frame) == (opcode, raw, client)


@table("websocket")
def test_control_frames(vector):
    """Close, ping and pong as kubectl and the API server exchange them."""
    payload, client = bytes.fromhex(vector["payload_hex"]), vector["direction"] == "client"
    frame = bytes.fromhex(vector["frame_hex"])

    assert build_frame(vector["opcode"], payload, masked=client) == frame
    assert read_frame(frame) == (vector["opcode"], payload, client)


@table("status")
def test_a_status_is_gos_byte_for_byte(vector):
    """Parsing and writing changes nothing, and the constructors make the same bytes."""
    parsed = Status.parse(vector["json"].encode())

    assert parsed is not None
    assert parsed.json() == vector["json"].encode()
    assert parsed.exit_code == vector["exit_code"]
    if "make" in vector:
        argument = vector.get("argument", vector["exit_code"])
        assert getattr(statuses, vector["make"])(argument) == parsed


@table("refusals")
def test_a_refusal_before_the_upgrade_is_the_api_servers(vector):
    """A JSON Status with kind and apiVersion, ending in a line break."""
    made = failure(vector["code"], vector["message"], details=vector["details"])

    assert made.reason == vector["reason"]
    assert made.json(http=True) == vector["body"].encode()
    assert Status.parse(vector["body"].encode()) == made


def test_every_kind_of_message_has_a_vector():
    """A message added to the codec without a vector is found here, and so is one without a frame."""
    kinds = {(v["direction"], v["kind"]) for v in EXEC if "frame_hex" in v}

    assert kinds == {
        *(("server", kind) for kind in ("stdout", "stderr", "status", "control")),
        *(("client", kind) for kind in ("stdin", "resize", "close", "control")),
    }


def test_names_are_unique():
    """A vector is found by its name."""
    for name in ("exec", "websocket", "status", "refusals"):
        names = [vector["name"] for vector in load(name)]
        assert len(set(names)) == len(names)


def test_generated_vectors_are_fresh():
    """hack/vectors.py makes exactly what is in the file: a change of the wire is seen as a change of vectors."""
    check = subprocess.run(
        [sys.executable, str(ROOT / "hack" / "vectors.py"), "--check"],
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert check.returncode == 0, check.stderr
