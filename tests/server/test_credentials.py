"""Tokens, tickets and peers: what lets one in, for how long, and that none of it is ever shown."""

import base64
import json
import os
from pathlib import Path

import pytest
from support.peer import OWN, UPGRADE, V5, once, peer
from support.served import TOKEN

from gateway.access.bearer import BEARER
from gateway.access.identity import owner
from gateway.access.tokens import SIGN_IN_LIFE, TICKET_LIFE, TOKEN_LIFE, Tokens
from gateway.errors import ConfigError
from gateway.server.run import token

EXEC = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
INFO = "/gateway/v1/info"
TICKETS = "/gateway/v1/tickets"


def encoded(secret):
    return base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()


def offer(*names):
    return ("Sec-WebSocket-Protocol", ", ".join(names))


def bearer(secret):
    return ("Authorization", f"Bearer {secret}")


class Clock:
    """Seconds that pass when they are told to."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(edge):
    clock = Clock()
    edge.gateway.access.tokens = Tokens(TOKEN, clock)
    return clock


async def trade(edge, ticket):
    return await once(edge.url, "POST", "/gateway/v1/token", body=json.dumps({"ticket": ticket}).encode())


async def fresh_ticket(edge):
    answer = await once(edge.url, "POST", TICKETS, (edge.proof,))
    assert answer.code == 201
    return json.loads(answer.body)


# the header


GOOD_HEADERS = [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "]


async def test_a_bearer_token_lets_in(subtests, edge):
    for header in GOOD_HEADERS:
        with subtests.test(header):
            assert (
                await once(edge.url, "GET", INFO, (("Authorization", header),), checked=False)
            ).code == 200


WRONG_HEADERS = [
    "", "Bearer", "Bearer ", f"Bearer{TOKEN}", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
    f"Bearer x,Bearer {TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe", "Bearer " + "x" * 60_000,
    f"Token {TOKEN}", f"Bearer {encoded(TOKEN)}",
]  # fmt: skip


async def test_what_is_no_token_of_ours_does_not(subtests, edge, monkeypatch):
    monkeypatch.setattr("gateway.access.wrong_tokens.LONGEST", 0.0)  # how late they are is another test's
    for header in WRONG_HEADERS:
        with subtests.test(ascii(header[:40])):
            for headers in ((), (*UPGRADE, V5), (*UPGRADE, OWN)):
                answer = await once(
                    edge.url, "GET", EXEC, (*headers, ("Authorization", header)), checked=False
                )
                assert answer.code == 401
            assert not edge.backend.opened


async def test_of_two_authorization_headers_the_first_counts(edge):
    assert (await once(edge.url, "GET", INFO, (bearer("wrong"), edge.proof))).code == 401


# the subprotocol, for browsers: protocol.md, 10


GOOD_OFFERS = [
    ((offer("v5.channel.k8s.io", BEARER + encoded(TOKEN)),), "v5.channel.k8s.io"),
    ((offer(BEARER + encoded(TOKEN), "v1.dap-gateway"),), "v1.dap-gateway"),
    ((offer("v4.channel.k8s.io"), offer(BEARER + encoded(TOKEN))), "v4.channel.k8s.io"),
    ((offer(BEARER + encoded(TOKEN)), offer("channel.k8s.io")), "channel.k8s.io"),
    ((offer("x.unknown", BEARER + encoded(TOKEN), "v4.channel.k8s.io"),), "v4.channel.k8s.io"),
]


async def test_a_token_among_the_subprotocols_lets_in_and_is_never_echoed(subtests, edge):
    for lines, chosen in GOOD_OFFERS:
        with subtests.test(str(lines)):
            answer = await once(edge.url, "GET", EXEC, (*UPGRADE, *lines))

            assert answer.code == 101
            assert answer.headers["sec-websocket-protocol"] == chosen


MALFORMED_OFFERS = [
    (offer(BEARER + encoded(TOKEN)),),  # alone: "missing additional subprotocol"
    (offer(BEARER + encoded(TOKEN), BEARER + encoded(TOKEN), "v5.channel.k8s.io"),),
    (offer("v5.channel.k8s.io", BEARER + encoded(TOKEN)), offer(BEARER + encoded(TOKEN))),
    (offer("v5.channel.k8s.io", BEARER + encoded(TOKEN) + "="),),
    (offer("v5.channel.k8s.io", BEARER + "!!!!"),),
    (offer("v5.channel.k8s.io", BEARER + "YQ+/"),),
    (offer("v5.channel.k8s.io", BEARER + "A"),),
    (offer("v5.channel.k8s.io", BEARER + "_w"),),  # ff: no UTF-8
    (offer("v5.channel.k8s.io", BEARER + "\xe9"),),
    (offer("v5.channel.k8s.io", BEARER),),
    (offer("v5.channel.k8s.io", BEARER + encoded("wrong")),),
    (offer("v5.channel.k8s.io", BEARER + TOKEN),),
    (offer("v5.channel.k8s.io", BEARER.upper() + encoded(TOKEN)),),
    (offer("v5.channel.k8s.io", "x" + BEARER + encoded(TOKEN)),),
]


async def test_a_malformed_token_among_the_subprotocols_is_unauthorized(subtests, edge, monkeypatch):
    monkeypatch.setattr("gateway.access.wrong_tokens.LONGEST", 0.0)  # how late they are is another test's
    for lines in MALFORMED_OFFERS:
        with subtests.test(ascii(lines)):
            answer = await once(edge.url, "GET", EXEC, (*UPGRADE, *lines))

            assert answer.code == 401
            assert answer.status["message"] == "Unauthorized"
            assert not edge.backend.opened


async def test_a_token_and_nothing_in_common_is_forbidden_not_chosen(edge):
    answer = await once(edge.url, "GET", EXEC, (*UPGRADE, offer("x.unknown", BEARER + encoded(TOKEN))))

    assert answer.code == 403


async def test_base64url_is_read_as_in_the_reference(edge):
    """`a?>~b` has every odd character of the alphabet."""
    edge.gateway.access.tokens = Tokens("a?>~b")

    answer = await once(edge.url, "GET", EXEC, (*UPGRADE, offer("v5.channel.k8s.io", BEARER + "YT8-fmI")))

    assert answer.code == 101


# tickets and page tokens


async def test_a_ticket_is_good_once(edge):
    made = await fresh_ticket(edge)
    assert made["url"] == f"{edge.url}/#ticket={made['ticket']}"
    assert made["expiresIn"] == 300

    first = await trade(edge, made["ticket"])
    assert first.code == 200
    body = json.loads(first.body)
    assert (await once(edge.url, "GET", INFO, (bearer(body["token"]),))).code == 200
    assert body["expiresIn"] == 43200

    again = await trade(edge, made["ticket"])
    assert again.code == 401
    assert again.status["reason"] == "Unauthorized"


async def test_a_ticket_for_somebody_else_is_theirs(logged, edge):
    made = await once(edge.url, "POST", TICKETS, (edge.proof,), body=b'{"for":"ann.b@example.com"}')
    body = json.loads((await trade(edge, json.loads(made.body)["ticket"])).body)
    said = json.loads((await once(edge.url, "GET", INFO, (bearer(body["token"]),))).body)

    assert (body["identity"], said["identity"]) == ("ann.b@example.com", "ann.b@example.com")
    (line,) = [line for line in logged().splitlines() if '"ticket_issued"' in line]
    assert json.loads(line)["whose"] == "ann.b@example.com"
    assert body["token"] not in line


async def test_only_who_runs_the_gateway_makes_tickets_for_others(edge):
    page = json.loads((await trade(edge, (await fresh_ticket(edge))["ticket"])).body)
    assert page["identity"] == owner()
    asked = await once(edge.url, "POST", TICKETS, (bearer(page["token"]),), body=b'{"for":"ann"}')

    assert asked.code == 403


async def test_a_page_runs_nothing_in_the_runner(edge):
    """There everybody's kubectl runs, and the kubeconfig is."""
    page = json.loads((await trade(edge, (await fresh_ticket(edge))["ticket"])).body)["token"]
    run = "/gateway/v1/clusters/default/run?command=hold&stdout=1&tty=1"
    async with peer(edge.url) as client:
        assert (await client.upgrade(run, (OWN, bearer(page)))).code == 101
        heard = await client.rest()

    assert json.loads(heard[0][1][1:])["code"] == "not_allowed"
    assert not edge.backend.opened


BAD_NAMES = ['""', "1", "[]", "false", '"a b"', '"a\\n"', '"\u00fc"', f'"{"a" * 65}"']


async def test_a_name_that_no_log_should_hold(subtests, edge):
    for name in BAD_NAMES:
        with subtests.test(ascii(name)):
            asked = await once(edge.url, "POST", TICKETS, (edge.proof,), body=b'{"for":%s}' % name.encode())

            assert asked.code == 400
            assert "letters, digits" in asked.status["message"]


async def test_a_ticket_is_no_token_and_a_token_no_ticket(edge):
    ticket = (await fresh_ticket(edge))["ticket"]
    assert (await once(edge.url, "GET", INFO, (bearer(ticket),))).code == 401
    page = json.loads((await trade(edge, ticket)).body)["token"]

    assert (await trade(edge, page)).code == 401
    assert (await trade(edge, TOKEN)).code == 401


async def test_a_ticket_ends_with_its_time(edge, clock):
    ticket, other = [(await fresh_ticket(edge))["ticket"] for _ in range(2)]
    clock.now += TICKET_LIFE - 1
    assert (await trade(edge, other)).code == 200
    clock.now += 1

    assert (await trade(edge, ticket)).code == 401
    clock.now -= 200
    assert (await trade(edge, ticket)).code == 401, "used up, though it had expired"


async def test_a_page_token_ends_with_its_time(edge, clock):
    page = json.loads((await trade(edge, (await fresh_ticket(edge))["ticket"])).body)["token"]
    began = clock.now
    while clock.now + TOKEN_LIFE - 1 < began + SIGN_IN_LIFE:  # use renews it
        clock.now += TOKEN_LIFE - 1
        assert (await once(edge.url, "GET", INFO, (bearer(page),))).code == 200
    clock.now = began + SIGN_IN_LIFE

    for headers in ((), (*UPGRADE, V5), (*UPGRADE, OWN)):
        assert (await once(edge.url, "GET", EXEC, (*headers, bearer(page)))).code == 401


async def test_a_page_token_can_be_revoked_and_only_it(edge):
    pages = [
        json.loads((await trade(edge, (await fresh_ticket(edge))["ticket"])).body)["token"] for _ in range(2)
    ]

    assert (await once(edge.url, "DELETE", "/gateway/v1/token", (bearer(pages[0]),))).code == 204

    assert (await once(edge.url, "GET", INFO, (bearer(pages[0]),))).code == 401
    assert (await once(edge.url, "GET", INFO, (bearer(pages[1]),))).code == 200
    assert (await once(edge.url, "DELETE", "/gateway/v1/token", (edge.proof,))).code == 204
    assert (await once(edge.url, "GET", INFO, (edge.proof,))).code == 200, "the gateway's own stays"


def test_the_oldest_tickets_make_room_for_new_ones(monkeypatch):
    """Bounded, whoever asks for them."""
    monkeypatch.setattr("gateway.access.tokens._MOST", 10)
    from gateway.access.identity import Identity

    tokens = Tokens(TOKEN)
    tickets = [tokens.ticket(Identity("me", "token")) for _ in range(11)]

    assert tokens.trade(tickets[0]) is None
    assert tokens.trade(tickets[-1])
    assert len(set(tickets)) == len(tickets)


ODD_BODIES = [
    ((), b""), ((), b"{"), ((), b"[]"), ((), b"null"), ((), b'"x"'), ((), b"\xff\xfe\xfd"), ((), b"[" * 60_000),
    ((), b'{"ticket":null}'), ((), b'{"ticket":1}'), ((), b'{"ticket":["x"]}'), ((), b'{"ticket":""}'),
    ((), b'{"ticket":"\\ud800"}'), ((), b'{"ticket":' + b"9" * 50_000 + b"}"), ((), b" " * 70_000),
    ((("Content-Type", "application/json; charset=nonsense"),), b'{"ticket":"x"}'),
    ((("Content-Type", "application/x-www-form-urlencoded"),), b"ticket=x"),
    ((("Content-Encoding", "gzip"),), b"no gzip"), ((("Content-Encoding", "deflate"),), b"\x00" * 9),
]  # fmt: skip


async def test_odd_bodies_at_the_open_door_are_refused_and_no_defect(subtests, logged, edge, monkeypatch):
    monkeypatch.setattr("gateway.access.wrong_tokens.LONGEST", 0.0)  # how late they are is another test's
    for headers, body in ODD_BODIES:
        with subtests.test(f"{headers} {body[:20]}"):
            answer = await once(edge.url, "POST", "/gateway/v1/token", headers, body=body)

            assert answer.code in (400, 401, 413)
            assert answer.status
            assert "_defect" not in logged()


async def test_a_broken_chunk_is_a_bad_request(logged, edge):
    async with peer(edge.url) as connection:
        connection.request("POST", "/gateway/v1/token", (("Transfer-Encoding", "chunked"),))
        connection.send(b"5\r\nabcdefghij\r\n")
        assert (await connection.answer()).code == 400
    assert "Traceback" not in logged()


async def test_a_body_that_does_not_come_is_not_waited_for(edge, monkeypatch):
    monkeypatch.setattr("gateway.server.routes.state._BODY", 0.05)
    async with peer(edge.url) as connection:
        connection.request("POST", "/gateway/v1/token", (("Content-Length", "10"),))
        connection.send(b"{")
        assert (await connection.answer()).code == 408


TARGETS = ["default/default/web-0", "default/default/web-0/shell"]


async def test_a_ticket_may_name_what_the_page_opens(subtests, edge):
    for target in TARGETS:
        with subtests.test(target):
            answer = await once(
                edge.url,
                "POST",
                "/gateway/v1/tickets",
                (edge.proof,),
                body=json.dumps({"target": target}).encode(),
            )

            made = json.loads(answer.body)
            assert made["url"] == f"{edge.url}/#ticket={made['ticket']}&path=/{target}"


NO_TARGETS = [1, None, [], "x\n", "\ud800", "x" * 601, "\x1b[2J"]


async def test_a_ticket_for_no_target_is_refused(subtests, edge):
    for target in NO_TARGETS:
        with subtests.test(ascii(target)):
            body = json.dumps({"target": target}).encode()

            assert (await once(edge.url, "POST", "/gateway/v1/tickets", (edge.proof,), body=body)).code == 400


async def test_a_target_cannot_add_to_the_fragment(edge):
    body = json.dumps({"target": "a/b/c&ticket=mine#x?y=z"}).encode()
    made = json.loads((await once(edge.url, "POST", "/gateway/v1/tickets", (edge.proof,), body=body)).body)

    fragment = made["url"].partition("#")[2]
    assert fragment.count("&") == 1
    assert fragment.count("ticket=") == 1
    assert "#" not in fragment


# peers


async def test_the_unix_socket_knows_its_peer_by_uid(edge):
    import pwd

    answer = json.loads((await once(edge.socket, "GET", INFO)).body)

    assert answer["identity"] == pwd.getpwuid(os.getuid()).pw_name


async def test_a_token_that_cannot_be_one_is_refused_on_the_unix_socket_too(edge):
    """There nobody looks at it before the route does that ends it."""
    answer = await once(edge.socket, "DELETE", "/gateway/v1/token", (offer(BEARER + encoded(TOKEN)),))

    assert answer.code == 401
    assert answer.status["reason"] == "Unauthorized"


def test_the_unix_socket_is_its_owners_alone(edge):
    assert Path(edge.socket).stat().st_mode & 0o777 == 0o600
    assert Path(edge.socket).parent.stat().st_mode & 0o777 == 0o700


async def test_a_stranger_on_the_unix_socket_may_do_nothing(edge, monkeypatch):
    """Only root can pass the socket's mode; were somebody else let in, `allowed` still says no."""
    monkeypatch.setattr("gateway.server.peer.peer_uid", lambda _: os.getuid() + 12345)

    assert (await once(edge.socket, "POST", "/gateway/v1/tickets")).code == 403
    assert (await once(edge.socket, "GET", EXEC, (*UPGRADE, V5))).code == 403
    assert not edge.backend.opened


# the token's file


def test_the_token_is_made_once_and_private(tmp_path):
    made = token(tmp_path / "state" / "dap")
    file = tmp_path / "state" / "dap" / "token"

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert len(made) >= 43
    assert token(tmp_path / "state" / "dap") == made
    assert token(tmp_path / "other") != made


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o606])
def test_a_token_that_others_can_read_is_refused(tmp_path, mode):
    token(tmp_path)
    (tmp_path / "token").chmod(mode)

    with pytest.raises(ConfigError, match="chmod 600"):
        token(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"\xff" * 40])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    token(tmp_path)
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(ConfigError, match="token"):
        token(tmp_path)


def test_a_token_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "token").mkdir(mode=0o700)
    with pytest.raises(ConfigError):
        token(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError):
        token(tmp_path / "file")


# what is shown


async def test_no_secret_is_logged_or_put_in_a_url(logged, edge):
    """Every way a secret comes in, right and wrong, and requests that are malformed around it."""
    ticket = (await fresh_ticket(edge))["ticket"]
    page = json.loads((await trade(edge, ticket)).body)["token"]
    secrets = [TOKEN, encoded(TOKEN), ticket, page, encoded(page)]
    for secret in (TOKEN, page):
        split = (offer(BEARER + encoded(secret)), offer("v5.channel.k8s.io"))
        for headers in ((bearer(secret),), (offer("v5.channel.k8s.io", BEARER + encoded(secret)),), split):
            async with peer(edge.url) as connection:
                assert (await connection.upgrade(EXEC, headers)).code == 101
                await connection.rest()
        for wrong in ("x", "\x00", "\x7f", "\x1b[31m", "x" * 70_000):
            async with peer(edge.url) as connection:
                proof = ("Authorization", f"Bearer {secret}{wrong}")
                connection.request("GET", EXEC, (*UPGRADE, V5, proof), checked=False)
                connection.request("GET", EXEC, (offer(BEARER + encoded(secret) + wrong),), checked=False)
                assert (await connection.answer()).code in (400, 401)
        for head in (
            b"GET / HTTP/1.1\r\nAuthorization: Bearer %s\r\n broken\r\n\r\n",
            b"%s / HTTP/9\r\n\r\n",
        ):
            async with peer(edge.url) as connection:
                connection.send(head % secret.encode())
                assert b" 400 " in await connection.reader.readline()
    await trade(edge, ticket)
    await trade(edge, page)
    metrics = (await once(edge.url, "GET", "/metrics", (edge.proof,))).body.decode()

    text = logged()
    assert '"session_opened"' in text
    for secret in secrets:
        assert secret not in text
        assert secret not in metrics
    assert "Traceback" not in text


async def test_every_line_of_the_log_is_one_object(logged, edge):
    """Whatever stands in a request. Field S10."""
    for path in ("/\x1b]0;x\x07", "/%0a%0dx", "/%1b%5d0", "/\xff"):
        async with peer(edge.url) as connection:
            connection.request("GET", path, (edge.proof,), checked=False)
            await connection.answer()
    for defect in ("defect", "late"):
        async with peer(edge.url) as connection:
            await connection.upgrade(EXEC.replace("true", defect), (V5, edge.proof))
            await connection.rest()

    lines = [json.loads(line) for line in logged().splitlines()]

    assert {"session_opened", "session_closed", "session_defect"} <= {line["event"] for line in lines}
