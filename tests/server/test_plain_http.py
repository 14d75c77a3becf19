"""What simple HTTP clients get: health checks of every kind, and words for a browser."""

import asyncio
import sys
from urllib.parse import urlsplit

import pytest
from support.peer import OWN, UPGRADE, once

OK = b"ok\n"


async def raw(edge, request, *, closes=True):
    """All that comes back for these bytes; `closes`: our side ends behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(edge.url).port)
    try:
        writer.write(request)
        if closes:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n", b"GET /healthz HTTP/1.0\r\nHost: anything\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:8080\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: gate.example.com\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    ],
)  # fmt: skip
async def test_a_health_check_gets_its_answer_however_it_asks(edge, head, closes):
    lasts = b"HTTP/1.1" in head and b"Connection: close" not in head
    answer = await raw(edge, head, closes=closes or lasts)

    assert answer.partition(b" ")[2].startswith(b"200 OK\r\n"), answer
    assert answer.endswith(b"\r\n\r\n" + OK)


async def test_a_head_of_it_has_no_body(edge):
    answer = await raw(edge, b"HEAD /healthz HTTP/1.0\r\n\r\n")

    assert b" 200 OK\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert (await once(edge.url, "HEAD", "/healthz", host="anything")).code == 200


async def test_a_request_in_pieces_gets_its_answer_too(edge):
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(edge.url).port)
    for piece in (b"GET", b" /hea", b"lthz HTTP/1.0\r\n", b"\r\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.write_eof()
    async with asyncio.timeout(5):
        assert (await reader.read()).endswith(OK)
    writer.close()


@pytest.mark.usefixtures("upstream")
async def test_whoever_closes_a_side_elsewhere_is_gone(edge):
    """A session ends with its client: nothing is answered to who has left. What needs no wait is answered before the close
    is seen, where aiohttp begins a request at once (Python 3.12).
    """
    for path in (b"/api/v1/pods", b"/metrics", b"/healthzz", b"/healthz/", b"/healthz?x"):
        head = b"GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n" % (
            path,
            edge.proof[1].encode(),
        )
        if path.startswith(b"/api") or sys.version_info < (3, 12):
            assert await raw(edge, head) == b"", path
        else:
            assert (await raw(edge, head)).startswith(b"HTTP/1.1 "), path


async def test_a_half_closed_head_that_never_ends_is_dropped(edge_with):
    from gateway.settings.config import Limits

    edge = await edge_with(Limits(head=0.3))

    assert b" 408 " in await raw(edge, b"GET /healthz HTTP/1.1\r\nHost: x\r\n")


BROWSER = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")


@pytest.mark.parametrize(
    ("path", "host", "code", "words"),
    [
        ("/", "evil<b>.test", 403, ["DAP_GATEWAY_ALLOWED_HOSTS", "evil&lt;b&gt;.test"]),
        ("/", "evil\xff.test", 403, ["evil\\udcff.test"]),
        ("/metrics", "", 401, ["dap open"]), ("/nope", "", 401, ["dap open"]),
    ],
)  # fmt: skip
async def test_a_browser_gets_a_page_with_words(edge, path, host, code, words):
    answer = await once(edge.url, "GET", path, (BROWSER,), host=host, checked=not host)

    assert (answer.code, answer.headers["content-type"]) == (code, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    text = answer.body.decode()
    assert text.startswith("<!doctype html>")
    for word in words:
        assert word in text
    assert "{" not in text


async def test_a_browser_with_a_credential_is_told_where_the_terminal_is(edge):
    answer = await once(edge.url, "GET", "/nope", (BROWSER, edge.proof))

    assert (answer.code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b'<a href="/">' in answer.body


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, */*"])
async def test_everybody_else_gets_a_status_object(edge, accept):
    accepts = (("Accept", accept),) if accept else ()

    assert (await once(edge.url, "GET", "/metrics", accepts)).status["reason"] == "Unauthorized"


async def test_what_is_no_page_stays_a_status_object_for_a_browser(edge):
    path = "/api/v1/namespaces/default/pods/web-0/exec"

    assert (await once(edge.url, "GET", path, (*UPGRADE, OWN, BROWSER))).status["code"] == 401
    assert (await once(edge.url, "POST", "/gateway/v1/tickets", (BROWSER,), body=b"{}")).status["code"] == 401
