"""Plays RFC 6455 section by section, raw, against the exec endpoints: Kubernetes' own and the page's.

What is asked of each row: the close code or the HTTP status, nothing behind the close frame, and nothing left of the
session; the same gateway serves the next row.

Where the gateway and the RFC differ, and why:
- A close is answered with 1000, whatever its code (5.5.1: "typically echos"), as the API server does.
- Text that is no UTF-8 is refused when its message is whole (8.1 lets a server fail earlier): aiohttp decodes whole messages.
- Of several pings in a row the last one may be the only one that is answered (5.5.3 allows that): pongs wait behind output.
- Text is taken as the bytes it consists of (5.6 leaves the meaning to the application), as the API server does.
- A client may speak before it has the answer to its handshake (4.1 forbids it to): what it says then is not lost.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from support.leaks import descriptors
from support.peer import BINARY, CLOSE, KEY, OWN, PING, PONG, TEXT, UPGRADE, V5, frame, peer
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUERY = "command=cat&stdin=1&stdout=1"
KUBERNETES = (f"/api/v1/namespaces/default/pods/web-0/exec?{QUERY}", V5)
OURS = (f"/gateway/v1/clusters/default/pods/web-0/exec?{QUERY}&namespace=default", OWN)
OURS_NAMESPACED = (f"/clusters/default{KUBERNETES[0]}", OWN)
CONTINUATION = 0
NOT_LAST = 0  # a first byte without FIN
LAST_WORDS = b"still here"


@dataclass(frozen=True)
class Row:
    """What is sent after the opening, and what must come: the `code` of a close, or else, of a session that lives on, what
    its command has read (`stdin`) and which `pongs` have come.
    """

    section: str
    what: str
    sent: bytes
    code: int | None = None
    stdin: bytes = b""
    pongs: tuple[bytes, ...] = ()

    def __str__(self):
        return f"{self.section}-{self.what.replace(' ', '_')}"


def raw(first, length, payload, key=bytes(4)):
    """A frame whose length is written as it is given: all bytes between the first one and the masking key."""
    return bytes([first]) + length + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def closing(code, reason=b""):
    return frame(code.to_bytes(2, "big") + reason, CLOSE)


def broken(section, what, *sent, code=1002):
    return Row(section, what, b"".join(sent), code)


def lives(section, what, *sent, stdin=b"", pongs=()):
    return Row(section, what, b"".join(sent), None, stdin, pongs)


def text(section, what, *parts, code=None):
    """The parts of one text, each in a frame of its own; the first has the byte of the channel before it."""
    ops = [TEXT, *[CONTINUATION] * (len(parts) - 1)]
    bodies = [b"\x00" + parts[0], *parts[1:]]
    fins = [*[NOT_LAST] * (len(parts) - 1), 0x80]
    sent = b"".join(frame(body, op, first=fin) for body, op, fin in zip(bodies, ops, fins, strict=True))
    return Row(section, what, sent, code, b"" if code else b"".join(parts))


BEGUN = frame(b"\x00a", BINARY, first=NOT_LAST)
BEGUN_EMPTY = frame(b"", BINARY, first=NOT_LAST)
FRAMES = [
    broken("5.1", "an unmasked message", frame(b"\x00x", mask=False)),
    broken("5.1", "an unmasked text", frame(b"\x00x", TEXT, mask=False)),
    broken("5.1", "an unmasked message without a byte", frame(b"", mask=False)),
    broken("5.1", "an unmasked ping", frame(b"x", PING, mask=False)),
    broken("5.1", "an unmasked pong", frame(b"x", PONG, mask=False)),
    broken("5.1", "an unmasked close", frame(b"\x03\xe8", CLOSE, mask=False)),
    broken("5.1", "an unmasked continuation", BEGUN, frame(b"b", CONTINUATION, mask=False)),
    broken("5.1", "an unmasked one after a masked one", frame(b"\x00x"), frame(b"\x00y", mask=False)),
    broken("5.1", "unmasked and of 16 bits", b"\x82\x7e\x00\x7e" + bytes(126)),
    lives("5.3", "a key of zeroes", raw(0x82, b"\x82", b"\x00x"), stdin=b"x"),
    lives("5.3", "a key of ones", raw(0x82, b"\x82", b"\x00x", b"\xff" * 4), stdin=b"x"),
    lives("5.3", "a key that spans the payload", raw(0x82, b"\x86", b"\x00hello", b"\x01\x02\x03\x04"), stdin=b"hello"),
    *(broken("5.2", f"reserved bits {bits:#x}", frame(b"\x00x", first=0x80 | bits)) for bits in (0x40, 0x20, 0x10, 0x70)),
    *(broken("5.2", f"a reserved bit on opcode {op}", frame(b"", op, first=0xC0)) for op in (TEXT, CLOSE, PING, PONG)),
    broken("5.2", "a reserved bit on a continuation", BEGUN, frame(b"b", CONTINUATION, first=0xC0)),
    *(broken("5.2", f"reserved opcode {op}", frame(b"x", op)) for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    *(broken("5.2", f"16 bits for a length of {size}", raw(0x82, b"\xfe" + size.to_bytes(2, "big"), bytes(size))) for size in (0, 1, 125)),
    *(broken("5.2", f"64 bits for a length of {size}", raw(0x82, b"\xff" + size.to_bytes(8, "big"), bytes(size))) for size in (0, 125, 126, 65535)),
    broken("5.2", "16 bits for a ping's length", raw(0x89, b"\xfe\x00\x05", b"alive")),
    broken("5.2", "64 bits with the highest one set", raw(0x82, b"\xff\x80" + bytes(7), b"")),
    broken("5.2", "64 bits with all set", raw(0x82, b"\xff" * 9, b"")),
    broken("5.2", "a length of 2**62", raw(0x82, b"\xff\x40" + bytes(7), b""), code=1009),
    lives("5.2", "a length of 125", frame(b"\x00" + b"a" * 124), stdin=b"a" * 124),
    lives("5.2", "a length of 126", frame(b"\x00" + b"a" * 125), stdin=b"a" * 125),
    lives("5.2", "a length of 65535", frame(b"\x00" + b"a" * 65534), stdin=b"a" * 65534),
    lives("5.2", "a length of 65536", frame(b"\x00" + b"a" * 65535), stdin=b"a" * 65535),
    lives("5.2", "a message without a byte", frame(b"")),
    broken("5.4", "a continuation of nothing", frame(b"x", CONTINUATION)),
    broken("5.4", "a part of nothing", frame(b"x", CONTINUATION, first=NOT_LAST)),
    broken("5.4", "a continuation of nothing after a message", frame(b"\x00x"), frame(b"y", CONTINUATION)),
    broken("5.4", "a continuation after the last", BEGUN, frame(b"b", CONTINUATION), frame(b"c", CONTINUATION)),
    broken("5.4", "a message in a message", BEGUN, frame(b"\x00b")),
    broken("5.4", "a text in a message", BEGUN, frame(b"\x00b", TEXT)),
    broken("5.4", "a first part in a message", BEGUN, frame(b"\x00b", first=NOT_LAST)),
    broken("5.4", "a message after an empty first part", BEGUN_EMPTY, frame(b"\x00b")),
    broken("5.4", "a text after an empty first part", BEGUN_EMPTY, frame(b"\x00b", TEXT)),
    broken("5.4", "a first part after an empty one", BEGUN_EMPTY, frame(b"\x00b", first=NOT_LAST)),
    lives("5.4", "two parts", BEGUN, frame(b"b", CONTINUATION), stdin=b"ab"),
    lives("5.4", "an empty last part", BEGUN, frame(b"", CONTINUATION), stdin=b"a"),
    lives("5.4", "an empty first part", BEGUN_EMPTY, frame(b"\x00b", CONTINUATION), stdin=b"b"),
    lives("5.4", "empty parts alone", BEGUN_EMPTY, frame(b"", CONTINUATION, first=NOT_LAST), frame(b"", CONTINUATION)),
    lives("5.4", "a hundred parts", BEGUN, frame(b"b", CONTINUATION, first=NOT_LAST) * 100, frame(b"c", CONTINUATION), stdin=b"a" + b"b" * 100 + b"c"),
    lives("5.4", "a ping between parts", BEGUN, frame(b"p", PING), frame(b"b", CONTINUATION), stdin=b"ab", pongs=(b"p",)),
    lives("5.4", "a pong between parts", BEGUN, frame(b"p", PONG), frame(b"b", CONTINUATION), stdin=b"ab"),
    Row("5.4", "a close between parts", BEGUN + closing(1000), 1000),
    broken("5.5", "a ping of 126", frame(b"x" * 126, PING)),
    broken("5.5", "a pong of 126", frame(b"x" * 126, PONG)),
    broken("5.5", "a close of 126", closing(1000, b"x" * 124)),
    *(broken("5.5", f"opcode {op} in parts", frame(b"\x03\xe8", op, first=NOT_LAST)) for op in (CLOSE, PING, PONG)),
    lives("5.5.2", "a ping", frame(b"Hello", PING), pongs=(b"Hello",)),
    lives("5.5.2", "a ping without a byte", frame(b"", PING), pongs=(b"",)),
    lives("5.5.2", "a ping of 125", frame(b"\xff" * 125, PING), pongs=(b"\xff" * 125,)),
    lives("5.5.3", "a pong that nobody asked for", frame(b"x", PONG)),
    lives("5.5.3", "an empty pong that nobody asked for", frame(b"", PONG)),
    Row("5.5.1", "a close without a code", frame(b"", CLOSE), 1000),
    broken("5.5.1", "a close of one byte", frame(b"\x03", CLOSE)),
    Row("5.5.1", "a reason of 123", closing(1000, b"x" * 123), 1000),
    Row("5.5.1", "a reason in UTF-8", closing(1000, "größer €".encode()), 1000),
    broken("5.5.1", "a reason that is no UTF-8", closing(1000, b"\xff"), code=1007),
    broken("5.5.1", "a reason cut inside a character", closing(1000, b"\xe2\x82"), code=1007),
    *(Row("7.4.1", f"code {code}", closing(code), 1000) for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011)),
    *(Row("7.4.1", f"code {code} of IANA's list", closing(code), 1000) for code in (1012, 1013, 1014)),
    *(broken("7.4.1", f"code {code}", closing(code)) for code in (1004, 1005, 1006, 1015)),
    *(broken("7.4.2", f"code {code}", closing(code)) for code in (0, 1, 999, 1016, 1100, 2000, 2999, 5000, 65535)),
    *(Row("7.4.2", f"code {code}", closing(code), 1000) for code in (3000, 3999, 4000, 4999)),
    Row("7.1.2", "two closes", closing(1000) + closing(1001), 1000),
    Row("7.1.2", "a ping after the close", closing(1000) + frame(b"p", PING), 1000),
    Row("7.1.2", "a message after the close", closing(1000) + frame(b"\x00x"), 1000),
    Row("7.1.2", "a broken frame after the close", closing(1000) + frame(b"x", 3), 1000),
    broken("7.1.7", "two broken frames", frame(b"x", 3), frame(b"\x00x", mask=False)),
    broken("7.1.7", "a close after a broken frame", frame(b"x", 3), closing(1000)),
    lives("5.6", "text", frame(b"\x00words", TEXT), stdin=b"words"),
    lives("5.6", "bytes that are no UTF-8", frame(b"\x00\xff\xfe", BINARY), stdin=b"\xff\xfe"),
    text("8.1", "a text of characters of all lengths", "a\u00e9\u20ac\U0001f600".encode()),
    text("8.1", "a character split between parts", b"\xe2", b"\x82", b"\xac"),
    text("8.1", "a character split by an empty part", b"\xf0\x9f", b"", b"\x98\x80"),
    text("8.1", "a byte that no text has", b"\xff", code=1007),
    text("8.1", "a lone continuation byte", b"\x80", code=1007),
    text("8.1", "an overlong form", b"\xc0\xaf", code=1007),
    text("8.1", "a surrogate", b"\xed\xa0\x80", code=1007),
    text("8.1", "beyond the last character", b"\xf4\x90\x80\x80", code=1007),
    text("8.1", "cut inside a character", b"\xe2\x82", code=1007),
    text("8.1", "cut inside a character, in parts", b"\xe2", b"\x82", code=1007),
    text("8.1", "bad in the second part", b"good", b"\xff", code=1007),
    text("8.1", "bad in the first part", b"\xff", b"good", code=1007),
]  # fmt: skip


@dataclass(frozen=True)
class Opening:
    """How a handshake differs from a right one, and the status of its answer. None in `fields` leaves a header out."""

    section: str
    what: str
    code: int
    fields: tuple[tuple[str, str | None], ...] = ()
    line: str = "GET {path} HTTP/1.1"
    answered: tuple[tuple[str, str | None], ...] = ()  # headers of the answer

    def __str__(self):
        return f"{self.section}-{self.what.replace(' ', '_')}"

    def request(self, path, headers):
        kept = [(name, value) for name, value in headers if name not in dict(self.fields)]
        added = [(name, value) for name, value in self.fields if value is not None]
        lines = [self.line.format(path=path), *(f"{name}: {value}" for name, value in (*kept, *added))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def key(what, value):
    return Opening("4.2.1", f"a key {what}", 400, (("Sec-WebSocket-Key", value),))


def version(what, value):
    answered = (("sec-websocket-version", "13"),)
    return Opening("4.4", f"a version {what}", 426, (("Sec-WebSocket-Version", value),), answered=answered)


def offer(what, value, code, chosen=None):
    fields, answered = (("Sec-WebSocket-Protocol", value),), (("sec-websocket-protocol", chosen),)
    return Opening("4.2.2", what, code, fields, answered=answered if code == 101 else ())


SPDY = (("Upgrade", "SPDY/3.1"), ("Sec-WebSocket-Key", None), ("Sec-WebSocket-Version", None))
ACCEPTED = (
    ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ("upgrade", "websocket"),
    ("connection", "upgrade"),
)
OPENINGS = [
    Opening("1.3", "the one of the RFC", 101, answered=ACCEPTED),
    Opening("4.2.1", "POST, as Kubernetes permits for SPDY", 400, line="POST {path} HTTP/1.1"),
    Opening("4.2.1", "HTTP/1.0", 400, line="GET {path} HTTP/1.0"),
    Opening("4.2.1", "no Host", 400, (("Host", None),)),
    Opening("4.2.1", "no Upgrade", 400, (("Upgrade", None),)),
    Opening("4.2.1", "another Upgrade", 400, (("Upgrade", "h2c"),)),
    Opening("4.2.1", "an Upgrade in capitals", 101, (("Upgrade", "WebSocket"),)),
    Opening("4.2.1", "no Connection", 400, (("Connection", None),)),
    Opening("4.2.1", "another Connection", 400, (("Connection", "keep-alive"),)),
    Opening("4.2.1", "a list in Connection", 101, (("Connection", "keep-alive, Upgrade"),)),
    Opening("4.2.1", "SPDY with GET", 400, SPDY),
    key("left out", None),
    key("without a character", ""),
    key("of 15 bytes", "dGhlIHNhbXBsZSBub24="),
    key("of 17 bytes", "dGhlIHNhbXBsZSBub25jZSE="),
    key("that is no base64", "dGhlIHNhbXBsZSBub25j*Q=="),
    key("without its padding", KEY[:-2]),
    Opening("11.3.1", "two keys", 400, (("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY))),
    version("left out", None),
    version("without a character", ""),
    version("of before", "8"),
    version("to come", "14"),
    version("that is no number", "x"),
    version("in a list", "13, 8"),
    Opening("11.3.5", "two versions", 426, (("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8"))),
    offer("no subprotocol", None, 101),
    offer("an unknown subprotocol", "chat", 403),
    offer("a subprotocol in capitals", "V5.CHANNEL.K8S.IO", 403),
    offer("unknown ones before a known one", "chat, superchat, v4.channel.k8s.io", 101, "v4.channel.k8s.io"),
    Opening("9.1", "an extension", 101, (("Sec-WebSocket-Extensions", "permessage-deflate"),), answered=(("sec-websocket-extensions", None),)),
    Opening("10.2", "the Origin of another site", 403, (("Origin", "https://evil.example"),)),
    Opening("4.2.2", "no credential", 401, (("Authorization", None),)),
]  # fmt: skip


@asynccontextmanager
async def dialled(shared_edge):
    """A connection; when it is over, nothing is left of it at the gateway."""
    before = len(descriptors())
    async with asyncio.timeout(5):
        async with peer(shared_edge.url) as client:
            yield client
        await shared_edge.idle()
        await until(lambda: len(descriptors()) <= before, 5)


async def opened(shared_edge, client, endpoint):
    path, row = endpoint
    assert (await client.upgrade(path, (row, shared_edge.proof))).code == 101
    while (await client.hear())[1][:1] != (b"\x01" if row is V5 else b"\x05"):
        pass


async def until_words(client):
    """What the command has read, as it says itself, and all pongs; fails where the session ends."""
    client.say(b"\x00" + LAST_WORDS)
    stdin, pongs = b"", []
    while not stdin.endswith(LAST_WORDS):
        opcode, payload = await client.hear()
        assert opcode in (BINARY, PONG), (opcode, payload)
        if opcode == PONG:
            pongs.append(payload)
        elif payload[:1] == b"\x01":
            stdin += payload[1:]
    return stdin.removesuffix(LAST_WORDS), tuple(pongs)


async def until_close(client):
    """The close's code. Fails for a byte behind it."""
    code = await client.close_code()
    assert await client.reader.read() == b""
    return code


@pytest.mark.parametrize("endpoint", [KUBERNETES, OURS], ids=["kubernetes", "ours"])
async def test_frames(subtests, shared_edge, endpoint):
    for row in FRAMES:
        with subtests.test(str(row)):
            async with dialled(shared_edge) as client:
                await opened(shared_edge, client, endpoint)
                client.send(row.sent)
                if row.code is None:
                    stdin, pongs = await until_words(client)
                    assert (stdin, pongs or row.pongs) == (row.stdin, row.pongs)
                    if row.pongs and not pongs:  # they wait behind output
                        assert await client.hear() == (PONG, row.pongs[-1])
                    client.say((1000).to_bytes(2, "big"), CLOSE)
                assert await until_close(client) == (row.code or 1000)


async def test_frames_that_come_byte_by_byte(subtests, shared_edge):
    """The same comes of them, wherever TCP cuts a frame."""
    for row in FRAMES[::7]:
        with subtests.test(str(row)):
            async with dialled(shared_edge) as client:
                await opened(shared_edge, client, KUBERNETES)
                for byte in row.sent[:300]:
                    client.send(bytes([byte]))
                    await asyncio.sleep(0)
                client.send(row.sent[300:])
                if row.code is None:
                    assert (await until_words(client))[0] == row.stdin
                    client.say((1000).to_bytes(2, "big"), CLOSE)
                    assert await until_close(client) == 1000
                else:  # what is still sent to a connection that was closed resets it, and its close frame may go with that
                    assert await client.close_code() in (row.code, None)


@pytest.mark.parametrize("endpoint", [KUBERNETES, OURS_NAMESPACED], ids=["kubernetes", "ours"])
async def test_openings(subtests, shared_edge, endpoint):
    for row in OPENINGS:
        with subtests.test(str(row)):
            path, protocol = endpoint
            async with dialled(shared_edge) as client:
                headers = (("Host", client.host), *UPGRADE, protocol, shared_edge.proof)
                client.send(row.request(path, headers))
                answer = await client.answer()
                assert answer.code == row.code, answer
                assert {name: answer.headers.get(name) for name, _ in row.answered} == dict(row.answered)
                if row.code != 101 and row.what != "no Host":  # which aiohttp refuses by itself
                    assert answer.status["message"]


async def test_a_client_that_leaves_without_a_close(shared_edge):
    """7.1.1: the connection's end is the session's."""
    for endpoint in (KUBERNETES, OURS):
        async with dialled(shared_edge) as client:
            await opened(shared_edge, client, endpoint)


async def test_the_gateway_closes_when_the_command_has_ended(shared_edge):
    """7.1.1: with 1000, and drops the connection as soon as the client has answered, whatever it answers."""
    for endpoint, answered in ((KUBERNETES, 1000), (OURS, 1001), (KUBERNETES, 1006)):
        async with dialled(shared_edge) as client:
            await opened(shared_edge, client, endpoint)
            client.say(b"\xff\x00")
            while (heard := await client.hear())[0] != CLOSE:
                pass
            assert heard[1] == b"\x03\xe8"
            client.send(closing(answered))
            assert await client.reader.read() == b""


async def test_every_row_says_something_of_its_own():
    names = [str(row) for row in (*FRAMES, *OPENINGS)]

    assert len(set(names)) == len(names) >= 80
    assert len({replace(row, section="", what="") for row in FRAMES}) == len(FRAMES)
