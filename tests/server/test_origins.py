"""Every route, every door: who is let in, from where. Walks the app's own router and sends real requests.

Field S1 (a route without a credential), S2 (a foreign page), S3 (a rebound DNS name), S23 (fetch metadata).
"""

import base64
import re
from urllib.parse import urlsplit

import pytest
from support.peer import OWN, UPGRADE, V5, once, peer
from support.repeated import again
from support.served import TOKEN

from gateway.server.app import OPEN, create_app
from gateway.server.routes import page

OPEN_ROUTES = {
    ("GET", "/"),
    ("GET", "/assets/{name}"),
    ("GET", "/healthz"),
    ("GET", "/gateway/v1/ca"),
    ("GET", "/gateway/v1/downloads/{secret}"),
    ("GET", "/gateway/v1/proof"),
    ("POST", "/gateway/v1/token"),
}
"""Whoever adds a route without a credential has to say so here."""

KNOWN = {
    "rest": "v1/nodes",
    "cluster": "default",
    "namespace": "default",
    "pod": "web-0",
    "name": "none.js",
    "secret": "none",
}
QUERIES = {"/gateway/v1/proof": f"?nonce={'0' * 32}"}
SOCKETS = ((), (*UPGRADE, V5), (*UPGRADE, OWN))


def routes(gateway):
    """(method, pattern, a path that fits it) of every route; more than one path where it names verbs."""
    found = []
    for route in create_app(gateway).router.routes():
        pattern = route.resource.canonical.replace("{rest:.*}", "{rest}")
        assert route.method != "*"
        info = route.resource.get_info()
        verbs = re.search(r"\(\?P<verb>([^)]*)\)", getattr(info.get("pattern"), "pattern", ""))
        for verb in verbs[1].split("|") if verbs else [""]:
            path = pattern
            for name, value in (KNOWN | {"verb": verb}).items():
                path = path.replace(f"{{{name}}}", value)
            assert "{" not in path, f"say in KNOWN what {path} may be"
            query = "?command=true&stdout=1" if verb else QUERIES.get(pattern, "")
            found.append((route.method, pattern, path + query))
    return found


def knocks(gateway):
    """Every route plainly and, as far as it is a GET, as a WebSocket of both kinds, on every listener."""
    for method, pattern, path in routes(gateway):
        for headers in SOCKETS if method == "GET" else ((),):
            yield method, pattern, path, headers


def is_open(method, pattern):
    return ("GET" if method == "HEAD" else method, pattern) in OPEN_ROUTES


def test_what_is_open_is_what_is_listed():
    assert OPEN == OPEN_ROUTES


def test_the_walk_sees_the_routes(edge):
    """A walk that finds nothing would prove nothing."""
    found = {path.partition("?")[0] for _, _, path in routes(edge.gateway)}

    assert {
        "/api/v1/namespaces/default/pods/web-0/exec",
        "/api/v1/namespaces/default/pods/web-0/attach",
        "/clusters/default/api/v1/namespaces/default/pods/web-0/exec",
        "/gateway/v1/clusters/default/run",
        "/gateway/v1/tickets",
        "/gateway/v1/sessions",
        "/metrics",
        "/readyz",
        "/",
    } <= found


WRONG = [(("Authorization", "Bearer unknown"),), (("Authorization", "Basic eDp5"),)]


@pytest.mark.parametrize(
    ("proof", "share"), [((), 1), *((proof, 3) for proof in WRONG), *(again(proof, 1) for proof in WRONG)]
)  # what is no credential is tried at a third of the routes, or at all
async def test_no_route_answers_without_a_credential(edge, proof, share, monkeypatch):
    """401 with a Status for all but the open ones, before anything is upgraded or opened."""
    monkeypatch.setattr("gateway.access.wrong_tokens.LONGEST", 0.0)  # how late they are is another test's
    async with peer(edge.url) as client:
        for method, pattern, path, headers in [*knocks(edge.gateway)][::share]:
            answer = await client.ask(method, path, (*headers, *proof))
            if is_open(method, pattern):
                assert answer.code in (200, 404) or "this ticket is unknown" in str(answer.status), (
                    method,
                    path,
                )
                continue
            assert answer.code == 401, (method, path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            if method != "HEAD":
                assert answer.status["reason"] == "Unauthorized"
    assert not edge.backend.opened


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_what_is_no_route_says_nothing_without_a_credential(edge, method):
    """Unknown paths and methods: whoever is not let in learns nothing of what there is."""
    async with peer(edge.url) as client:
        for path in (
            "/nope",
            "/api/v1/namespaces/default/pods",
            "/assets",
            "/assets/a/b",
            "/healthz/",
            "//",
            "/gateway/v1/",
        ):
            assert (await client.ask(method, path)).code == 401, path
        for path in (
            "/readyz",
            "/metrics",
            "/gateway/v1/info",
            "/gateway/v1/tickets",
            "/gateway/v1/sessions",
        ):
            assert (await client.ask(method, path)).code == 401, path


def wrong_hosts(url):
    host = urlsplit(url).netloc
    name, port = host.split(":")
    return [
        "evil.test", f"evil.test:{port}", f"{host}.", f"127.1:{port}", f"2130706433:{port}", f"[::]:{port}", f"::1:{port}",
        f"x@{host}", f"{host}@evil.test", f"{host},evil.test", f"{host}/", f"{name}:0{port}", "*", f"evil.localhost:{port}",
        f"localhost.evil.test:{port}", f"[::1%25lo]:{port}", f"127.0.0.1.evil.test:{port}", f"localhost..:{port}",
        "localhost:99999999", "0.0.0.0", f"[::1:{port}", "localhost:", "10.0.0.1",
    ]  # fmt: skip


async def test_no_route_answers_to_a_wrong_host(edge):
    """A page whose name was rebound to this address carries its own name, with every credential it may have."""
    async with peer(edge.url) as client:
        for method, pattern, path, headers in knocks(edge.gateway):
            answer = await client.ask(method, path, (*headers, edge.proof), host="evil.test")
            assert answer.code == (200 if pattern == "/healthz" else 403), (method, path)
    assert not edge.backend.opened


async def test_hosts_are_exact(edge):
    exec_path = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
    async with peer(edge.url) as client:
        for wrong in wrong_hosts(edge.url):
            for path, headers in (
                ("/metrics", ()),
                (exec_path, (*UPGRADE, V5)),
                (exec_path, (*UPGRADE, OWN)),
            ):
                answer = await client.ask("GET", path, (*headers, edge.proof), host=wrong)
                assert answer.code == 403, wrong
                assert answer.status["reason"] == "Forbidden"
    for host in ((), (("Host", ""),)):
        answer = await once(edge.url, "GET", "/metrics", (edge.proof, *host), host=None, checked=False)
        assert answer.code in (400, 403)
    assert not edge.backend.opened


async def test_loopback_names_are_good_with_any_port_for_the_page_that_they_name(edge):
    """As behind `ssh -L 9000:localhost:8080`: no other page can have such a name."""
    port = urlsplit(edge.url).port
    hosts = (
        "localhost", "localhost:80", f"localhost:{port}", "localhost:9000", "LocalHost.:9000", "127.0.0.1", "127.0.0.1:1",
        f"127.8.8.8:{port}", "[::1]", "[::1]:9000", "[0:0:0:0:0:0:0:1]:9000", "[::ffff:127.0.0.1]:9000", "127.0.0.1.:9000",
    )  # fmt: skip
    async with peer(edge.url) as client:
        for host in hosts:
            assert (await client.ask("GET", "/metrics", (edge.proof,), host=host)).code == 200, host
            own, others = (
                f"http://{host}",
                (f"https://{host}", "http://localhost:3000", "http://127.0.0.1:3000", "null"),
            )
            assert (
                await client.ask("GET", "/metrics", (edge.proof, ("Origin", own)), host=host)
            ).code == 200, host
            for origin in others:
                answer = await client.ask("GET", "/metrics", (edge.proof, ("Origin", origin)), host=host)
                assert answer.code == 403, (host, origin)
        for host, origin in (
            ("localhost", "http://localhost:80"),
            ("localhost.:80", "http://localhost"),
            ("[::1]", "http://[::1]:80"),
        ):
            assert (
                await client.ask("GET", "/metrics", (edge.proof, ("Origin", origin)), host=host)
            ).code == 200


async def test_the_default_port_and_the_dot_of_a_full_name_make_no_difference(edge_with):
    edge = await edge_with(
        public_url="https://gate.example.com", allowed_hosts=("gate.internal", "other.internal:80"),
        allowed_origins=("https://app.example.com:443",),
    )  # fmt: skip

    async def code(host, *origins):
        headers = (edge.proof, *(("Origin", origin) for origin in origins))
        return (await once(edge.url, "GET", "/metrics", headers, host=host)).code

    for host in (
        "gate.example.com", "gate.example.com:443", "gate.example.com.", "Gate.Example.com.:443", "gate.internal",
        "gate.internal:80", "gate.internal:443", "gate.internal.", "other.internal", "other.internal.:80",
    ):  # fmt: skip
        assert await code(host) == 200, host
    for host in (
        "gate.example.com:80",
        "gate.example.com:8443",
        "gate.internal:8080",
        "other.internal:443",
        "gate.example.com..",
    ):
        assert await code(host) == 403, host
    for origin in (
        "https://gate.example.com:443", "https://gate.example.com.", "https://app.example.com", "http://gate.internal:80",
    ):  # fmt: skip
        assert await code("gate.example.com", origin) == 200, origin
    for origin in ("http://gate.example.com:443", "https://gate.internal", "https://app.example.com:80"):
        assert await code("gate.example.com", origin) == 403, origin


async def test_two_hosts_are_refused_and_forwarded_ones_ignored(edge):
    right = urlsplit(edge.url).netloc
    for pair in (("evil.test", right), (right, "evil.test"), (right, right)):
        hosts = [edge.proof, *(("Host", one) for one in pair)]
        answer = await once(edge.url, "GET", "/metrics", hosts, host=None, checked=False)
        assert answer.code in (400, 403), pair
    for name in ("X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"):
        said = (name, f"host={right}" if name == "Forwarded" else right)
        assert (await once(edge.url, "GET", "/metrics", (edge.proof, said), host="evil.test")).code == 403
        said = (name, "host=evil.test" if name == "Forwarded" else "evil.test")
        assert (await once(edge.url, "GET", "/metrics", (edge.proof, said))).code == 200


async def test_an_absolute_target_does_not_stand_for_the_host(edge):
    """RFC 9112, 3.2.2: a proxy's form of a request."""
    assert (
        await once(edge.url, "GET", "http://evil.test/metrics", (edge.proof,), host="evil.test")
    ).code == 403
    assert (await once(edge.url, "GET", "http://evil.test/metrics")).code in (400, 401, 403)


async def test_localhost_has_all_its_names_in_any_case(edge_with):
    edge = await edge_with(listen="localhost:0")
    port = urlsplit(edge.url).port
    where = f"http://127.0.0.1:{port}"

    for host in (f"localhost:{port}", f"LocalHost:{port}", f"127.0.0.1:{port}"):
        assert (await once(where, "GET", "/metrics", (edge.proof,), host=host)).code == 200, host
        assert (
            await once(where, "GET", "/metrics", (edge.proof, ("Origin", f"http://{host}")))
        ).code == 200, host
    for host in (f"evil.localhost:{port}", f"localhost:{port}."):
        assert (await once(where, "GET", "/metrics", (edge.proof,), host=host)).code == 403, host
    for host in ("localhost", "localhost:80", f"evil.localhost:{port}"):
        origin = ("Origin", f"http://{host}")
        assert (await once(where, "GET", "/metrics", (edge.proof, origin))).code == 403, host


async def test_ipv6_is_a_name_of_its_own(edge_with):
    """Bound with localhost, where the machine has it."""
    edge = await edge_with(listen="localhost:0")
    port = urlsplit(edge.url).port
    where = f"http://127.0.0.1:{port}"

    for right in (f"[::1]:{port}", f"[0:0:0:0:0:0:0:1]:{port}", "[::1]"):
        assert (await once(where, "GET", "/metrics", (edge.proof,), host=right)).code == 200, right
    for wrong in (f"[::]:{port}", f"::1:{port}", f"[::1%25lo]:{port}"):
        assert (await once(where, "GET", "/metrics", (edge.proof,), host=wrong)).code == 403, wrong


def foreign_origins(url):
    host = urlsplit(url).netloc
    name, port = host.split(":")
    return [
        "null", "", "evil.test", "http://evil.test", f"http://evil.test:{port}", f"https://{host}", f"http://{name}",
        f"http://{name}:{int(port) + 1}", f"http://sub.{host}", f"http://evil.localhost:{port}",
        f"http://{host}.evil.test", f"http://{host}@evil.test", f"http://{host} http://evil.test", f"{host}",
        f"ws://{host}", "file://", "chrome-extension://abcdef", "http://localhost", f"http://localhost:{port}",
        "http://xn--e1afmkfd.test", "http://ex\xe4mple.test",
    ]  # fmt: skip


async def test_no_route_answers_a_foreign_page(edge):
    async with peer(edge.url) as client:
        for method, _, path, headers in knocks(edge.gateway):
            answer = await client.ask(method, path, (*headers, edge.proof, ("Origin", "http://evil.test")))
            assert answer.code == 403, (method, path)
    assert not edge.backend.opened


async def test_origins_are_exact(edge):
    path = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
    async with peer(edge.url) as client:
        for origin in foreign_origins(edge.url):
            for row in (V5, OWN):
                answer = await client.ask("GET", path, (*UPGRADE, row, edge.proof, ("Origin", origin)))
                assert answer.code == 403, origin
            assert (
                await client.ask("POST", "/gateway/v1/token", (("Origin", origin),), body=b"{}")
            ).code == 403
        both = (("Origin", edge.url), ("Origin", "http://evil.test"))
        for pair in (both, both[::-1]):
            assert (await client.ask("GET", path, (*UPGRADE, V5, edge.proof, *pair))).code == 403
    assert not edge.backend.opened


@pytest.mark.parametrize(
    "each", [1, again(2)]
)  # each route is asked in turn from there and from here, or both
async def test_no_foreign_page_is_given_leave_to_read(edge, each):
    """No CORS header on any answer, a preflight's neither."""
    asks = (("Origin", "http://evil.test"), ("Access-Control-Request-Method", "GET"))
    origins = (asks, (("Origin", edge.url), asks[1]))
    preflights = [("OPTIONS", "", "/metrics")] * 2
    async with peer(edge.url) as client:
        for number, (method, _, path) in enumerate([*routes(edge.gateway), *preflights]):
            for origin in (origins * 2)[number % 2 :][:each]:
                answer = await client.ask(method, path, (edge.proof, *origin))
                assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_the_own_page_is_let_in(edge):
    for origin in (edge.url, edge.url.upper(), edge.url.replace("127.0.0.1", "127.0.0.1.")):
        answer = await once(edge.url, "GET", "/gateway/v1/info", (edge.proof, ("Origin", origin)))
        assert answer.code == 200


@pytest.mark.parametrize(
    "each", [1, again(4)]
)  # modes at a route: each is tried at a quarter of them, or at all
@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_requests_from_other_sites_are_refused_without_an_origin_too(edge, site, each):
    """An image or a script of another page: no Origin, but browsers say where it is from."""
    modes = ("no-cors", "cors", "websocket", "")
    async with peer(edge.url) as client:
        for number, (method, _, path) in enumerate(routes(edge.gateway)):
            for mode in (modes * 2)[number % 4 :][:each]:
                headers = (
                    edge.proof,
                    ("Sec-Fetch-Site", site),
                    *((("Sec-Fetch-Mode", mode),) if mode else ()),
                )
                answer = await client.ask(method, path, headers)
                assert answer.code == 403, (method, path, mode)


async def test_a_link_from_elsewhere_opens_the_page(edge):
    followed = (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    )

    assert (await once(edge.url, "GET", "/", followed)).code in (200, 404)  # 404 before the page is built
    assert (await once(edge.url, "GET", "/metrics", followed)).code == 401


async def test_a_proxys_names_are_allowed_when_they_are_set(edge_with):
    edge = await edge_with(
        public_url="https://gate.example.com", allowed_hosts=("gate.internal:8080",),
        allowed_origins=("https://other.example.com/",),
    )  # fmt: skip

    async def code(host="", *headers):
        return (await once(edge.url, "GET", "/gateway/v1/info", (edge.proof, *headers), host=host)).code

    for host in ("gate.example.com", "GATE.example.com", "gate.internal:8080"):
        assert await code(host) == 200
    for origin in ("https://gate.example.com", "https://other.example.com"):
        assert await code("gate.example.com", ("Origin", origin)) == 200
    for origin in (
        "http://gate.example.com",
        "https://gate.example.com:8443",
        "https://gate.example.com.evil.test",
    ):
        assert await code("gate.example.com", ("Origin", origin)) == 403


async def test_the_unix_socket_has_the_same_doors(edge):
    """The peer's uid is its credential; Host and Origin are looked at all the same."""
    path = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
    async with peer(edge.socket) as client:
        assert (await client.ask("GET", "/gateway/v1/info")).code == 200
        for host in ("evil.test", "localhost:80", "localhost.", "localhost:8080", "127.0.0.1"):
            for headers in SOCKETS:
                assert (await client.ask("GET", path, headers, host=host)).code == 403, host
        for origin in ("null", "http://evil.test", "http://localhost", "https://localhost"):
            for headers in SOCKETS:
                assert (await client.ask("GET", path, (*headers, ("Origin", origin)))).code == 403, origin
    assert not edge.backend.opened


async def test_a_token_is_not_looked_for_on_the_unix_socket(edge):
    """A wrong one neither helps nor hurts there."""
    answer = await once(edge.socket, "GET", "/gateway/v1/info", (("Authorization", "Bearer wrong"),))

    assert answer.code == 200


async def test_a_cookie_or_a_query_is_no_credential(edge):
    """A browser sends cookies to every port of localhost; a URL ends in logs and histories."""
    encoded = base64.urlsafe_b64encode(TOKEN.encode()).decode()
    for path in (f"/gateway/v1/info?token={TOKEN}", f"/gateway/v1/info?access_token={TOKEN}"):
        assert (await once(edge.url, "GET", path)).code == 401
    for cookie in (f"token={TOKEN}", f"Authorization=Bearer {TOKEN}", f"dap={encoded}"):
        assert (await once(edge.url, "GET", "/gateway/v1/info", (("Cookie", cookie),))).code == 401
    for name in ("X-Token", "X-Forwarded-User", "X-Remote-User", "Proxy-Authorization"):
        assert (await once(edge.url, "GET", "/gateway/v1/info", ((name, f"Bearer {TOKEN}"),))).code == 401


async def test_no_answer_sets_a_cookie(edge):
    async with peer(edge.url) as client:
        for method, _, path in routes(edge.gateway):
            assert "set-cookie" not in (await client.ask(method, path, (edge.proof,))).headers


# what answers carry


PLAIN = {"server": "dap", "cache-control": "no-store", "x-content-type-options": "nosniff"}
JSON = PLAIN | {"content-type": "application/json; charset=utf-8"}
STATUS = PLAIN | {"content-type": "application/json"}
OURS = PLAIN | {
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PAGE = OURS | {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-NONCE'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
}
ASSET = OURS | {"content-type": "text/javascript", "cache-control": "public, max-age=31536000, immutable"}


@pytest.mark.parametrize(
    ("path", "code", "headers"),
    [
        ("/", 200, PAGE),
        ("/assets/main.js", 200, ASSET),
        ("/assets/none.js", 404, STATUS),
        ("/healthz", 200, PLAIN | {"content-type": "text/plain; charset=utf-8"}),
        ("/metrics", 200, PLAIN | {"content-type": "text/plain; version=0.0.4; charset=utf-8"}),
        ("/readyz", 200, JSON),
        ("/gateway/v1/info", 200, JSON),
        ("/gateway/v1/sessions", 200, JSON),
        (
            "/api/v1/namespaces/default/pods/web-0", 200,
            STATUS | {"content-security-policy": "sandbox", "transfer-encoding": "chunked"},
        ),
        ("/nope", 404, STATUS),
        ("/api/v1/namespaces/default/pods/web-0/exec", 400, STATUS),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("built")
async def test_an_answer_has_these_headers_and_no_others(edge, path, code, headers):
    answer = await once(edge.url, "GET", path, (edge.proof,))
    assert (answer.code, fields(answer)) == (code, headers)


@pytest.fixture
def built(monkeypatch, tmp_path):
    """A page with one asset."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main.js").write_text("x")
    (tmp_path / "index.html").write_text("<p nonce=__NONCE__>")
    monkeypatch.setattr(page, "_FILES", tmp_path)


def fields(answer):
    """The headers that are not another with every answer."""
    found = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
    if policy := found.get("content-security-policy"):
        found["content-security-policy"] = re.sub(r"nonce-[\w-]{22}", "nonce-NONCE", policy)
    return found


RELAYED = STATUS | {"content-security-policy": "sandbox", "transfer-encoding": "chunked"}
KINDS = {
    "/": PAGE,
    "/assets/{name}": ASSET,
    "/healthz": PLAIN | {"content-type": "text/plain; charset=utf-8"},
    "/gateway/v1/proof": PLAIN | {"content-type": "text/plain; charset=utf-8"},
    "/metrics": PLAIN | {"content-type": "text/plain; version=0.0.4; charset=utf-8"},
    "/readyz": JSON,
}
"""Of the routes that are neither ours nor Kubernetes'."""
REFUSED = {401: {"www-authenticate": "Bearer"}, 426: {"upgrade": "tcp.dap-gateway"}}
"""What a refusal has to name (RFC 9110, 15.5.2 and 15.5.22)."""


@pytest.mark.parametrize("known", [True, False], ids=["with a credential", "without"])
@pytest.mark.usefixtures("built")
async def test_every_route_has_its_headers_and_no_others(edge, monkeypatch, known):
    monkeypatch.setattr("gateway.access.wrong_tokens.LONGEST", 0.0)
    monkeypatch.setitem(KNOWN, "name", "main.js")
    codes = set()
    async with peer(edge.url) as client:
        for method, pattern, path in routes(edge.gateway):
            proof = (edge.proof,) if known else ()
            answer = await client.ask(method, path, proof, body=b"{}" if method == "POST" else b"")
            headers = KINDS.get(pattern, JSON if pattern.startswith("/gateway/") else RELAYED)
            if method == "HEAD":
                headers = {name: value for name, value in headers.items() if name != "transfer-encoding"}
            if answer.code >= 400:
                headers = STATUS | REFUSED.get(answer.code, {})
            elif answer.code == 204:
                headers = PLAIN
            assert fields(answer) == headers, (method, path, answer.code)
            codes.add(answer.code)
    assert codes == ({200, 201, 204, 400, 401, 404, 426} if known else {200, 401, 404})


async def test_what_a_route_does_not_do_names_what_it_does(edge):
    for path, allowed in (("/healthz", "GET,HEAD"), ("/gateway/v1/tickets", "POST")):
        answer = await once(edge.url, "PUT", path, (edge.proof,))
        assert (answer.code, fields(answer)) == (405, STATUS | {"allow": allowed})


@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
async def test_an_upgrade_has_these_headers_and_no_others(edge, row):
    """Field RFC 6455, 1.3: what is accepted for the key of its example."""
    path = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
    async with peer(edge.url) as client:
        answer = await client.upgrade(path, (row, edge.proof))
        assert (answer.code, fields(answer)) == (
            101,
            {
                "upgrade": "websocket",
                "connection": "upgrade",
                "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "sec-websocket-protocol": row[1],
                "server": "dap",
            },
        )
        await client.rest()


@pytest.mark.parametrize("each", [1, again(2)])  # each route is asked in turn one way and the other, or both
async def test_a_head_request_becomes_no_websocket(edge, each):
    """On no route, however it is asked."""
    async with peer(edge.url) as client:
        for number, (_, _, path) in enumerate(routes(edge.gateway)):
            for headers in (SOCKETS[1:] * 2)[number % 2 :][:each]:
                answer = await client.ask("HEAD", path, (*headers, edge.proof))
                assert answer.code in (200, 400, 404, 405), path
    assert not edge.backend.opened
