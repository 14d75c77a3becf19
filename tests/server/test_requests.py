"""What a request and a message may be, and what the edge says to all the rest."""

import asyncio
import base64
import contextlib
import json
import os
import struct
from contextlib import asynccontextmanager

import pytest
from support.exec_client import Access, Request, run
from support.peer import BINARY, CLOSE, KEY, OWN, PING, PONG, TEXT, UPGRADE, V5, frame, once, peer

from gateway.errors import HopFailed
from gateway.protocol.codec import MAX_OWN
from gateway.protocol.subprotocols import OWN as OWN_ROW
from gateway.protocol.target import TerminalSize

POD = "/api/v1/namespaces/default/pods/web-0"
CAT = f"{POD}/exec?command=cat&stdin=1&stdout=1"
MIB = 1 << 20


@asynccontextmanager
async def session(edge):
    """A session on `cat`, after its hello."""
    async with peer(edge.url) as client:
        assert (await client.upgrade(CAT, (V5, edge.proof))).code == 101
        assert await client.hear() == (BINARY, b"\x01")
        yield client


@pytest.fixture
async def opened(edge):
    async with session(edge) as client:
        yield client


async def echoed(client, text=b"still here"):
    """The session lives: what is typed comes back."""
    client.say(b"\x00" + text)
    heard = b""
    while not heard.endswith(text):
        opcode, payload = await client.hear()
        assert (opcode, payload[:1]) == (BINARY, b"\x01")
        heard += payload[1:]
    return heard


# before the upgrade


IMPOSSIBLE = [
    (f"{POD}/exec?stdout=1", 400, "must specify at least one command"),
    (f"{POD}/exec?command=x", 400, "at least 1 of stdin, stdout, stderr"),
    (f"{POD}/attach", 400, "at least 1 of stdin, stdout, stderr"),
    (f"{POD}/exec?command=x&stdout=1&dryRun=All", 400, "dryRun is not supported"),
    (f"{POD}/exec?command=x&stdout=1&dryRun=", 400, "dryRun is not supported"),
    (f"{POD}/exec?command=%ff&stdout=1", 400, "not valid UTF-8"),
    (f"{POD}/exec?command=%ed%a0%80&stdout=1", 400, "not valid UTF-8"),
    (f"{POD}/exec?%ff=x&command=x&stdout=1", 400, "not valid UTF-8"),
    (f"{POD}/exec?command=a%00b&stdout=1", 400, "NUL"),
    (f"{POD}/exec?command=x&stdout=1&container=Upper", 400, "container name"),
    (f"{POD}/exec?command=x&stdout=1&container=-c", 400, "container name"),
    ("/api/v1/namespaces/Default/pods/web-0/exec?command=x&stdout=1", 400, "namespace name"),
    ("/clusters/UPPER" + POD + "/exec?command=x&stdout=1", 400, "cluster name"),
    ("/clusters/other" + POD + "/exec?command=x&stdout=1", 404, "no cluster 'other'"),
]  # fmt: skip


async def test_a_request_for_the_impossible_is_refused(subtests, edge):
    """As HTTP for Kubernetes' clients; in band for ours, since a browser cannot read a refused handshake."""
    for path, code, words in IMPOSSIBLE:
        with subtests.test(path):
            answer = await once(edge.url, "GET", path, (*UPGRADE, V5, edge.proof))
            assert answer.code == code
            assert words in answer.status["message"]

            if "at least one command" in words:
                continue  # our own protocol leaves the choice to the gateway
            async with peer(edge.url) as client:
                assert (await client.upgrade(path, (OWN, edge.proof))).code == 101
                control, status, close = await client.rest()
            said = json.loads(control[1][1:])
            assert control[1][0] == 5
            assert (said["type"], said["code"]) == (
                "refused",
                "cluster_unknown" if code == 404 else "bad_request",
            )
            assert words in said["message"]
            assert json.loads(status[1][1:])["code"] == code
            assert status[1][0] == 3
            assert close == (CLOSE, b"\x03\xe8")
            assert not edge.backend.opened


BAD_NAMES = [
    "-web", "web-", "web_0", "Web-0", "web%200", "web%0a", "web%00", "%ff", "$(id)", "`id`", "web;id", "..", "%2e%2e", ".",
    "web..0", "--help", "-n=x", "w%C3%A9b", "a" * 254, "pod%2F", "%2Fweb", "deploy%2F", "deploy%2F-x", "node%2Fx", "a%2Fb%2Fc",
    "deploy%252Fapi", "secret%2Fx", "%1b%5B2J",
]  # fmt: skip


async def test_bad_names_are_refused_and_shown_escaped(subtests, edge):
    """Field S6, S7: no such text gets near a shell."""
    for pod in BAD_NAMES:
        with subtests.test(pod):
            answer = await once(
                edge.url,
                "GET",
                f"/api/v1/namespaces/default/pods/{pod}/exec?command=x&stdout=1",
                (*UPGRADE, V5, edge.proof),
            )

            assert answer.code in (400, 404)
            assert str(answer.status["message"]).isprintable()
            assert not edge.backend.opened


@pytest.mark.parametrize(
    ("name", "pod"), [("deploy%2Fapi", "deploy/api"), ("svc%2fweb", "svc/web"), ("web-0.x", "web-0.x")]
)
async def test_workloads_and_odd_but_right_names_pass(edge, name, pod):
    """Where the cluster cannot be asked kubectl finds a workload's pod."""
    edge.backend.kube.error = HopFailed("cluster_unreachable", "no way")
    async with peer(edge.url) as client:
        await client.upgrade(
            f"/api/v1/namespaces/default/pods/{name}/exec?command=true&stdout=1", (V5, edge.proof)
        )
        await client.rest()

    assert edge.backend.opened[0][0].pod == pod


async def test_unknown_parameters_are_ignored_and_booleans_are_the_api_servers(edge):
    """`0` and `false` are false, everything else is true; the first counts."""
    query = "command=true&stdin=&stdout=yes&stdout=0&stderr=FALSE&tty=0&nonsense=1&pretty&=&&x=%00"
    async with peer(edge.url) as client:
        assert (await client.upgrade(f"{POD}/exec?{query}", (V5, edge.proof))).code == 101
        await client.rest()

    command = edge.backend.opened[0][1]
    assert (command.stdin, command.stdout, command.stderr, command.tty) == (True, True, False, False)


@pytest.mark.parametrize("verb", ["exec", "attach"])
async def test_spdy_is_told_what_to_use(edge, verb):
    """What kubectl shows when it has fallen back, where the API is not relayed: its POST's answer."""
    edge.backend.kube.watches = False
    spdy = (
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        ("X-Stream-Protocol-Version", "v5.channel.k8s.io"),
    )
    for prefix in ("", "/clusters/default"):
        for headers in ((), spdy, UPGRADE):
            answer = await once(
                edge.url, "POST", f"{prefix}{POD}/{verb}?command=x&stdout=1", (*headers, edge.proof)
            )
            assert answer.code == 400
            assert answer.status["reason"] == "BadRequest"
            assert "WebSocket" in answer.status["message"]
            assert "1.31" in answer.status["message"]


NO_UPGRADES = [(), (("Upgrade", "h2c"), ("Connection", "Upgrade")), (("Upgrade", ""),)]


async def test_a_get_without_an_upgrade_is_a_bad_request(subtests, edge):
    for headers in NO_UPGRADES:
        with subtests.test(str(headers)):
            answer = await once(edge.url, "GET", CAT, (*headers, edge.proof))

            assert answer.code == 400
            assert answer.status["message"] == "Upgrade request required"


BROKEN_HANDSHAKES = [
    {"Connection": "close"}, {"Connection": "notupgrade"}, {"Connection": ""}, {"Sec-WebSocket-Version": "12"},
    {"Sec-WebSocket-Version": ""}, {"Sec-WebSocket-Key": ""}, {"Sec-WebSocket-Key": "short"},
    {"Sec-WebSocket-Key": KEY + KEY}, {"Sec-WebSocket-Key": "\xff" * 24},
]  # fmt: skip


async def test_a_broken_handshake_is_a_bad_request(subtests, logged, edge):
    """Field S14."""
    for change in BROKEN_HANDSHAKES:
        with subtests.test(str(change)):
            headers = (dict(UPGRADE) | change).items()
            for row in (V5, OWN):
                answer = await once(edge.url, "GET", CAT, (*headers, row, edge.proof))
                assert answer.code == (426 if "Sec-WebSocket-Version" in change else 400), change
                assert answer.status["reason"] == "BadRequest"
            assert logged() == ""
            assert not edge.backend.opened


UNKNOWN_PROTOCOLS = ["v3.channel.k8s.io", "base64.binary.k8s.io", "V5.CHANNEL.K8S.IO", "x,y"]


async def test_nothing_in_common_is_forbidden(subtests, edge):
    for offered in UNKNOWN_PROTOCOLS:
        with subtests.test(offered):
            answer = await once(
                edge.url, "GET", CAT, (*UPGRADE, ("Sec-WebSocket-Protocol", offered), edge.proof)
            )

            assert answer.code == 403
            assert "v5.channel.k8s.io" in answer.status["message"]


NO_PROTOCOLS = [(), (("Sec-WebSocket-Protocol", ""),), (("Sec-WebSocket-Protocol", " , "),)]


async def test_nothing_offered_is_the_protocol_without_a_name(subtests, edge):
    for offered in NO_PROTOCOLS:
        with subtests.test(str(offered)):
            answer = await once(edge.url, "GET", CAT, (*UPGRADE, *offered, edge.proof), checked=False)

            assert answer.code == 101
            assert "sec-websocket-protocol" not in answer.headers


async def test_the_runners_own_commands_are_for_our_own_clients(edge):
    path = "/gateway/v1/clusters/default/run?command=true&stdout=1"
    answer = await once(edge.url, "GET", path, (*UPGRADE, V5, edge.proof))
    assert answer.code == 400
    assert "v1.dap-gateway" in answer.status["message"]

    async with peer(edge.url) as client:
        assert (await client.upgrade(path, (OWN, edge.proof))).code == 101
        await client.rest()
    assert edge.backend.opened[0][0].pod == ""


UNKNOWN_PATHS = [
    "/",
    "/nope",
    "/apix",
    "/gateway/v1/api/v1/pods",
    "//",
    "/assets/x",
]


async def test_unknown_paths_are_not_found(subtests, edge):
    for path in UNKNOWN_PATHS:
        with subtests.test(path):
            answer = await once(edge.url, "GET", path, (edge.proof,))

            if path == "/" and answer.code == 200:
                continue  # the page is built
            assert answer.code == 404
            assert answer.status["reason"] == "NotFound"


WRONG_METHODS = [("OPTIONS", f"{POD}/exec"), ("DELETE", "/metrics"), ("POST", "/healthz"), ("PATCH", "/")]


async def test_wrong_methods_are_not_allowed(subtests, edge):
    for method, path in WRONG_METHODS:
        with subtests.test(f"{method} {path}"):
            answer = await once(edge.url, method, path, (edge.proof,))

            assert answer.code == 405
            assert answer.status["reason"] == "MethodNotAllowed"
            assert answer.headers["allow"]


async def test_a_connection_serves_request_after_request(edge):
    """A refused upgrade leaves it usable, and what was pipelined behind it is answered."""
    async with peer(edge.url) as client:
        client.request("GET", f"{POD}/exec", (*UPGRADE, V5, edge.proof))
        client.request("GET", "/healthz")
        assert (await client.answer()).code == 400
        assert (await client.answer()).body == b"ok\n"


async def test_a_request_line_of_nearly_a_mebibyte_arrives(edge):
    """An argv travels in the query; percent-encoding triples it."""
    argv = "%41" * 340_000
    async with peer(edge.url) as client:
        answer = await client.upgrade(f"{POD}/exec?command=true&command={argv}&stdout=1", (V5, edge.proof))
        assert answer.code == 101
        await client.rest()

    assert edge.backend.opened[0][1].argv == ("true", "A" * 340_000)


@pytest.mark.parametrize("where", ["line", "header"])
async def test_more_than_that_is_refused_cleanly(logged, edge, where):
    path, headers = (f"/x?{'a' * (MIB + 10)}", ()) if where == "line" else ("/", (("X-Long", "a" * 66_000),))
    async with peer(edge.url) as client:
        client.request("GET", path, (*headers, edge.proof))
        assert 400 <= (await client.answer()).code < 500
        assert await client.reader.read() == b"", "and closed"
    assert logged() == ""


@pytest.mark.parametrize("flood", ["many headers", "endless line", "endless header"])
async def test_endless_heads_are_cut_short(edge, flood):
    """No more of them is kept than the limits say."""
    async with peer(edge.url) as client:
        client.send(b"GET /" if flood == "endless line" else b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not client.reader.at_eof() and sent < 64 * MIB:
                client.send((b"x: y\r\n" if flood == "many headers" else b"xxxxxx") * 10_000)
                sent += 60_000
                await client.writer.drain()
        assert sent < 8 * MIB


async def test_five_arguments_of_60_kilobytes_arrive_through_the_chain(gateway):
    """And every kind of character."""
    words = ("é", "\u2028", " '\"$(`\\\n", "%+&=;#", "\U0001f600-", "\x01\x7f")
    arguments = tuple((word * 60_000).encode()[:60_000].decode("utf-8", "ignore") for word in words[:5])
    argv = ("sh", "-c", 'for one; do printf "%s\\0" "$one"; done', "sh", *arguments, *words)

    said = await run(Access(gateway.url, gateway.token), Request(argv))

    assert said.stdout == "".join(one + "\0" for one in (*arguments, *words)).encode()
    assert said.status.exit_code == 0


# messages


async def test_text_is_taken_as_bytes(opened):
    opened.say("\0grüße".encode(), TEXT)

    assert await opened.hear() == (BINARY, b"\x01" + "grüße".encode())


async def test_odd_messages_are_ignored_and_counted(edge, opened):
    for channel in (5, 6, 42, 128, 200, 254):
        opened.say(bytes([channel]) + b"x")
    for channel in (1, 2, 3):
        opened.say(bytes([channel]) + b"mine")
    for payload in (b"", b"\x00", b"\x04"):
        opened.say(payload)
        opened.say(payload, TEXT)

    assert await echoed(opened) == b"still here"
    assert edge.metric('dap_ignored_messages_total{why="stream"}') == 9


async def test_input_that_was_not_asked_for_is_ignored(edge):
    async with peer(edge.url) as client:
        await client.upgrade(f"{POD}/exec?command=hold&stdout=1", (V5, edge.proof))
        client.say(b"\x00unasked")
        client.say(b"x", PING)
        while (await client.hear())[0] != PONG:
            pass
    assert edge.metric('dap_ignored_messages_total{why="stdin"}') == 1


SIZES_OF_NO_TERMINAL = [
    (0, 0),
    (0, 24),
    (80, 0),
    (70000, 24),
    (80, 70000),
    (-1, 24),
    (1 << 64, 1),
    ("80", "24"),
    (None, 1),
    (80.5, 24),
    (True, 1),
]


async def test_a_size_that_no_terminal_has_is_ignored(subtests, edge):
    for size in SIZES_OF_NO_TERMINAL:
        with subtests.test(str(size)):
            async with peer(edge.url) as client:
                assert (await client.upgrade(f"{CAT}&tty=1", (V5, edge.proof))).code == 101
                assert await client.hear() == (BINARY, b"\x01")
                client.say(b"\x04" + json.dumps(dict(zip(("Width", "Height"), size, strict=True))).encode())
                client.say(b'\x04{"Width":132,"Height":50}')
                await echoed(client)

            assert edge.backend.sizes == [TerminalSize(132, 50)]


JUNK_SIZES = [b"{", b"\xff\xfe", b"[]", b"null", b'{"Width":', b"[" * 4000, b"9" * 5000]


async def test_junk_on_the_resize_channel_does_no_harm(subtests, opened):
    for junk in JUNK_SIZES:
        with subtests.test(str(junk[:20])):
            for _ in range(3):
                opened.say(b"\x04" + junk)

            await echoed(opened)


@pytest.mark.parametrize("bad", [b"\xff", b"\xff\x05", b"\xff\x00\x00", b"\xff\xff"])
async def test_a_malformed_half_close_breaks_the_protocol(edge, opened, bad):
    opened.say(bad)

    assert await opened.close_code() == 1002
    await edge.idle()
    assert edge.outcomes() == {"client_broke_protocol": 1}


async def test_input_after_the_half_close_is_dropped(edge, opened):
    opened.say(b"\x00before")
    opened.say(b"\xff\x00")
    opened.say(b"\xff\x00")
    opened.say(b"\x00after")

    heard = await opened.rest()

    assert bytes(edge.backend.read) == b"before"
    assert heard[-2][1][:1] == b"\x03"
    assert heard[-1] == (CLOSE, b"\x03\xe8")


async def test_a_message_of_32_mebibytes_arrives(opened):
    body = os.urandom(MIB) * 32
    opened.say(b"\x00" + body)
    opened.say(b"\xff\x00")
    heard = await opened.rest()

    assert b"".join(payload[1:] for _, payload in heard if payload[:1] == b"\x01") == body
    assert max(len(payload) for _, payload in heard) <= 32769
    assert heard[-1] == (CLOSE, b"\x03\xe8")


@pytest.mark.parametrize("fragments", [1, 9])
async def test_a_larger_message_closes_with_1009(edge, opened, fragments):
    """Whole or in parts. One announced as 1 GiB is not waited for."""
    if fragments == 1:
        opened.send(struct.pack(">BBQ", 0x82, 0xFF, 1 << 30) + bytes(4))
    else:
        for number in range(fragments):
            opened.say(bytes(4 * MIB), 0 if number else BINARY, first=0)

    assert await opened.close_code() == 1009
    await edge.idle()


async def test_a_client_of_ours_sends_less_at_once(edge):
    async with peer(edge.url) as client:
        assert (await client.upgrade(CAT, (OWN, edge.proof))).code == 101
        client.say(b"\x00" + bytes(MAX_OWN))
        client.say(b"\x00" + bytes(MAX_OWN + 2))
        assert await client.close_code() == 1009
    await edge.idle()


async def test_fragments_make_one_message(opened):
    """With control frames among them."""
    opened.say(b"\x00one ", BINARY, first=0)
    opened.say(b"alive?", PING)
    opened.say(b"", 0, first=0)
    opened.say(b"two ", 0, first=0)
    opened.say(b"three", 0)

    assert sorted([await opened.hear(), await opened.hear()]) == [
        (BINARY, b"\x01one two three"),
        (PONG, b"alive?"),
    ]


BROKEN_FRAMES = [
    frame(b"\x00x", first=0xC0), frame(b"\x00x", first=0xA0), frame(b"\x00x", first=0x90),  # reserved bits
    frame(b"x", 3), frame(b"x", 11),  # unknown opcodes
    frame(b"x", 0),  # continues nothing
    frame(b"x", BINARY, first=0) + frame(b"y", BINARY),  # begins in the middle of another
    frame(b"x" * 126, PING), frame(b"x", PING, first=0),  # control frames are short and whole
    frame(b"\x03", CLOSE), frame(b"\x00\x00", CLOSE), frame(b"\x03\xed", CLOSE), frame(b"\x03\xe8\xff", CLOSE),
]  # fmt: skip


async def test_frames_against_the_rules_close_with_1002(subtests, edge):
    for broken in BROKEN_FRAMES:
        with subtests.test(str(broken[:20])):
            async with session(edge) as client:
                client.send(broken)
                assert await client.close_code() in (1002, 1007)
            await edge.idle()


async def test_text_that_is_no_utf8_closes_with_1007(opened):
    opened.say(b"\x00\xff", TEXT)

    assert await opened.close_code() == 1007


COMPRESSIONS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "x-webkit-deflate-frame, permessage-deflate",
]


async def test_compression_is_not_accepted(subtests, edge):
    """Field S12."""
    for offer in COMPRESSIONS:
        with subtests.test(offer):
            async with peer(edge.url) as client:
                answer = await client.upgrade(CAT, (V5, edge.proof, ("Sec-WebSocket-Extensions", offer)))
                assert answer.code == 101
                assert "sec-websocket-extensions" not in answer.headers


async def test_a_handshake_byte_by_byte_is_as_good(edge):
    async with peer(edge.url) as client:
        lines = [
            f"GET {CAT} HTTP/1.1",
            f"Host: {client.host}",
            *(f"{name}: {value}" for name, value in (*UPGRADE, V5, edge.proof)),
            "",
            "",
        ]
        for byte in "\r\n".join(lines).encode():
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).code == 101
        await client.hear()
        for byte in frame(b"\x00slow") + frame(b"\xff\x00"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.rest())[0] == (BINARY, b"\x01slow")


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost"])
async def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch, edge_with, said):
    """Field S13."""
    monkeypatch.setattr("gateway.server.run._IDLE", 0.1)
    edge = await edge_with()
    async with peer(edge.url) as client, asyncio.timeout(10):
        client.send(said)
        assert await client.reader.read() == b""


async def test_a_websocket_outlives_the_wait_for_requests(monkeypatch, edge_with):
    monkeypatch.setattr("gateway.server.run._IDLE", 0.1)
    edge = await edge_with()
    async with peer(edge.url) as client:
        await client.upgrade(CAT, (V5, edge.proof))
        await client.hear()
        await asyncio.sleep(0.3)
        await echoed(client)


async def test_what_follows_the_handshake_at_once_is_not_lost(edge):
    """In the same segment as the request."""
    async with peer(edge.url) as client:
        client.request("GET", CAT, (*UPGRADE, V5, edge.proof))
        client.say(b"\x00early")
        client.say(b"\xff\x00")
        assert (await client.answer()).code == 101
        heard = await client.rest()

    assert (BINARY, b"\x01early") in heard


async def test_base64_rows_skip_what_is_not_base64(edge):
    async with peer(edge.url) as client:
        await client.upgrade(CAT, (("Sec-WebSocket-Protocol", "base64.channel.k8s.io"), edge.proof))
        assert (await client.hear())[1] == b"1"
        client.say(b"0!!!", TEXT)
        client.say(b"0" + base64.b64encode(b"right"), TEXT)
        assert await client.hear() == (TEXT, b"1" + base64.b64encode(b"right"))
    assert edge.metric('dap_ignored_messages_total{why="base64"}') == 1


UNKNOWN_CONTROLS = [b"", b"{", b"[]", b"\xff", b'{"type":1}', b'{"type":"unknown"}', b"[" * 30_000]


async def test_control_messages_that_nobody_knows_are_ignored(subtests, edge):
    for junk in UNKNOWN_CONTROLS:
        with subtests.test(str(junk[:20])):
            async with peer(edge.url) as client:
                await client.upgrade(CAT, (OWN, edge.proof))
                client.say(b"\x05" + junk)
                client.say(b"\x00x")
                client.say(b"\xff\x00")
                heard = await client.rest()

            assert (BINARY, b"\x01x") in heard
            assert heard[-1] == (CLOSE, b"\x03\xe8")


async def test_a_first_size_may_stand_in_the_query_of_our_own(edge):
    path = f"{POD}/exec?command=true&stdout=1&tty=1&columns=100&rows=40"
    for row, sizes in ((OWN, [TerminalSize(100, 40)]), (V5, [])):
        async with peer(edge.url) as client:
            await client.upgrade(path, (row, edge.proof))
            await client.rest()
        assert edge.backend.sizes == sizes
    said = await run(Access(edge.url, edge.proof[1].removeprefix("Bearer ")), Request(("true",)), row=OWN_ROW)
    assert [body["type"] for body in said.controls] == ["hello", "started", "end"]
