"""HTTP over byte streams that are not sockets, against a real HTTP server, and against servers that are none."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from support.upstream import Watched

from gateway.backends.kube.http_connection import Cut, HttpConnection, Request
from gateway.backends.kube.http_pool import REQUESTS, HttpPool
from gateway.errors import HopFailed


class Through(Watched):
    """A ByteStream over a Unix socket. `cut` breaks it."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.broken = asyncio.Event()
        self.taken = 0

    async def _read(self):
        async with asyncio.TaskGroup() as tasks:
            data = tasks.create_task(self.reader.read(65536))
            broken = tasks.create_task(self.broken.wait())
            await asyncio.wait([data, broken], return_when=asyncio.FIRST_COMPLETED)
            data.cancel()
            broken.cancel()
        if self.broken.is_set():
            raise HopFailed("relay_lost", "cut")
        self.taken += len(data.result())
        return data.result()

    async def write(self, data):
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    def write_eof(self):
        self.writer.write_eof()


class Way:
    """Where connections lead; `open` are those that live."""

    def __init__(self, path):
        self.path = path
        self.open = []
        self.dialled = 0
        self.refuse = False
        self.changed = asyncio.Event()

    async def until(self, count):
        """TimeoutError unless so many connections are open soon."""
        async with asyncio.timeout(5):
            while len(self.open) != count:
                self.changed.clear()
                await self.changed.wait()

    @asynccontextmanager
    async def dial(self):
        self.dialled += 1
        if self.refuse:
            raise HopFailed("cluster_unreachable", "nobody listens")
        reader, writer = await asyncio.open_unix_connection(self.path)
        stream = Through(reader, writer)
        self.open.append(stream)
        self.changed.set()
        try:
            yield stream
        finally:
            self.open.remove(stream)
            self.changed.set()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def echo(request):
    return web.Response(body=await request.read())


async def big(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(300):
        await answer.write(bytes(65536))
    return answer


async def never(_):
    await asyncio.Event().wait()


async def last(_):
    answer = web.Response(body=b"last")
    answer.force_close()
    return answer


async def refuse(_):
    return web.Response(status=413, body=b"too much")


async def seen(request):
    return web.json_response([(name.decode(), value.decode()) for name, value in request.raw_headers])


@pytest.fixture
async def way(tmp_path):
    app = web.Application(client_max_size=1 << 26)
    app.add_routes(
        [
            web.route("*", "/echo", echo),
            web.get("/big", big),
            web.post("/never", never),
            web.get("/last", last),
            web.post("/refuse", refuse),
            web.route("*", "/seen", seen),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    yield Way(str(tmp_path / "s"))
    await runner.cleanup()


@asynccontextmanager
async def pool_on(way, **options):
    """On leaving no connection lives."""
    async with asyncio.TaskGroup() as tasks:
        pool = HttpPool(way.dial, tasks, **options)
        try:
            yield pool
        finally:
            pool.close()
    assert way.open == []


@pytest.fixture
async def http(way):
    async with pool_on(way) as pool:
        yield pool


@asynccontextmanager
async def asked(http, method, path, body=b"", headers=()):
    response = await http.request(Request(method, path, headers, body))
    try:
        yield response
    finally:
        response.close()


async def first_part(response):
    """Waits for a part that is not empty."""
    while not await anext(response):
        pass


async def whole(response):
    return b"".join([part async for part in response])


async def answer_to(http, *request):
    async with asked(http, *request) as response:
        return response.status, await whole(response)


async def test_a_connection_serves_many_requests(way, http):
    for number in range(20):
        assert await answer_to(http, "POST", "/echo", b"%d" % number) == (200, b"%d" % number)

    assert way.dialled == 1


async def test_a_long_request_and_a_long_answer_are_whole(http):
    data = bytes(range(256)) * 80_000
    assert await answer_to(http, "POST", "/echo", data) == (200, data)
    async with asked(http, "GET", "/big") as response:
        count = 0
        async for part in response:
            count += len(part)
            await asyncio.sleep(0)
    assert count == 300 * 65536


async def pieces(*data):
    for piece in data:
        await asyncio.sleep(0)
        yield piece


async def test_a_body_that_is_iterated_goes_in_chunks_or_has_the_length_it_says(way, http):
    data = [b"x" * 100_000, b"", b"y"]
    assert await answer_to(http, "POST", "/echo", pieces(*data)) == (200, b"".join(data))
    said = (("content-length", "100001"),)
    assert await answer_to(http, "POST", "/echo", pieces(*data), said) == (200, b"".join(data))
    assert way.dialled == 1


async def test_a_body_that_is_not_what_was_said_is_an_error(way, http):
    with pytest.raises(HopFailed, match="cannot be sent"):
        await answer_to(http, "POST", "/echo", pieces(b"xyz"), (("content-length", "2"),))
    await way.until(0)


async def test_an_error_of_the_body_is_the_requests_and_closes_its_connection(way, http):
    async def broken():
        yield b"x"
        raise LookupError

    with pytest.raises(LookupError):
        await answer_to(http, "POST", "/echo", broken())
    await way.until(0)


async def test_an_answer_that_comes_early_ends_the_request(way, http):
    async def endless():
        while True:
            yield bytes(65536)

    assert await answer_to(http, "POST", "/refuse", endless()) == (413, b"too much")
    await way.until(0)
    assert (await answer_to(http, "POST", "/echo", b"x"))[0] == 200


async def test_head_and_what_has_no_body_leave_the_connection_open(way, http):
    for method in ("HEAD", "HEAD", "GET", "POST"):
        assert await answer_to(http, method, "/echo") == (200, b"")
    async with asked(http, "HEAD", "/echo"):
        pass  # nobody reads it
    assert (await answer_to(http, "POST", "/echo", b"x")) == (200, b"x")
    assert way.dialled == 1


async def test_what_is_sent_is_what_was_asked(http):
    _, found = await answer_to(http, "POST", "/seen", b"x", (("accept", "a"), ("accept", "b")))
    names = [["host", "localhost"], ["accept", "a"], ["accept", "b"], ["content-length", "1"]]
    assert json.loads(found) == names
    _, found = await answer_to(http, "GET", "/seen")
    assert json.loads(found) == [["host", "localhost"]]


async def test_a_continue_is_no_answer(http):
    expect = (("expect", "100-continue"),)
    assert await answer_to(http, "POST", "/echo", b"xyz", expect) == (200, b"xyz")


async def test_a_connection_that_the_server_closes_is_used_no_more(way, http):
    assert await answer_to(http, "GET", "/last") == (200, b"last")
    await way.until(0)
    assert await answer_to(http, "GET", "/last") == (200, b"last")
    assert way.dialled == 2


async def test_an_idle_connection_is_closed_after_a_while(way):
    async with pool_on(way, keep=0.05) as http:
        for _ in range(2):
            assert (await answer_to(http, "GET", "/echo"))[0] == 200
            assert len(way.open) == 1
            await way.until(0)
    assert way.dialled == 2


async def test_an_idle_connection_that_is_cut_is_not_used(way, http):
    assert (await answer_to(http, "GET", "/echo"))[0] == 200
    way.open[0].broken.set()
    await way.until(0)
    assert (await answer_to(http, "POST", "/echo", b"x")) == (200, b"x")


async def test_a_request_after_idle_connections_were_closed_has_a_new_one(way, http):
    async with asked(http, "GET", "/big"):
        for turn in (2, 3):
            assert await answer_to(http, "POST", "/echo", b"x") == (200, b"x")
            http.close_idle()
            assert way.dialled == turn
        assert await answer_to(http, "POST", "/echo", b"x") == (200, b"x")
        assert way.dialled == 4


async def test_not_reading_holds_the_server_back(way, http):
    async with asked(http, "GET", "/big") as response:
        await first_part(response)
        await asyncio.sleep(0.2)
        assert way.open[0].taken <= 2 * 65536


async def test_only_so_many_requests_wait_for_an_answer_at_once(way, http):
    http._capacity = asyncio.Semaphore(2)
    assert REQUESTS == 256
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(answer_to(http, "POST", "/never")) for _ in range(10)]
        await way.until(2)
        await asyncio.sleep(0.1)
        assert way.dialled == 2
        for one in waiting:
            one.cancel()


async def test_answers_that_go_on_hold_nobody_up(way, http):
    """As watches do, one for each pod with a session."""
    http._capacity = asyncio.Semaphore(2)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(asked(http, "GET", "/big"))
        assert await answer_to(http, "POST", "/echo", b"x") == (200, b"x")
    assert way.dialled == 6


class Answering(Watched):
    """A ByteStream in memory: answers a watch with its head alone, and everything else at once."""

    def __init__(self):
        self._answers = asyncio.Queue()

    async def _read(self):
        return await self._answers.get()

    async def write(self, data):
        watch = b"?watch=true" in data
        self._answers.put_nowait(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            if watch
            else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        )


async def test_beside_1000_watches_a_get_has_a_connection_at_once_and_again():
    dialled = []

    @asynccontextmanager
    async def dial():
        dialled.append(Answering())
        yield dialled[-1]

    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as watches:
        pool = HttpPool(dial, tasks)
        watches.callback(pool.close)
        for _ in range(1000):
            await watches.enter_async_context(asked(pool, "GET", "/pods?watch=true"))
        for _ in range(3):
            assert await answer_to(pool, "GET", "/pods/a") == (200, b"{}")
        assert len(dialled) == 1001


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 2", "closed"),
        (b"SSH-2.0-x\r\n\r\n", "illegal"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000, "too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "closed"),
    ],
)
async def test_what_is_no_whole_answer_is_cut(tmp_path, said, why):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "raw")
    async with server, pool_on(Way(tmp_path / "raw")) as http:
        with pytest.raises(Cut, match=why) as failed:
            await answer_to(http, "GET", "/")
        assert failed.value.code == "cluster_lost"
        assert not failed.value.unsent


async def test_more_than_was_asked_for_ends_the_connection(tmp_path):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"
        )
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "raw")
    way = Way(tmp_path / "raw")
    async with server, pool_on(way) as http:
        for _ in range(2):
            assert await answer_to(http, "GET", "/") == (200, b"a")
            await way.until(0)


class Ended(Through):
    """A connection whose end has come already."""

    async def _read(self):
        return b""


async def test_on_a_connection_that_has_ended_nothing_of_a_body_is_sent(way, http, monkeypatch):
    """The server cannot have acted on it."""

    @asynccontextmanager
    async def dial():
        async with Way.dial(way) as stream:
            yield Ended(stream.reader, stream.writer)

    monkeypatch.setattr(http, "_dial", dial)

    async def body():
        raise AssertionError
        yield

    for unsent, what in ((True, body()), (True, b"x"), (False, b"")):
        with pytest.raises(Cut, match="closed") as failed:
            await http.request(Request("POST", "/echo", (), what))
        assert failed.value.unsent is unsent


@pytest.mark.parametrize("path", ["/a b", "/ä", "/a\r\nX: y"])
async def test_what_is_no_path_is_not_sent(way, http, path):
    with pytest.raises(HopFailed, match="cannot be sent"):
        await answer_to(http, "GET", path)
    await way.until(0)


async def test_a_pool_that_is_closed_opens_nothing(way):
    async with pool_on(way) as http:
        http.close()
        with pytest.raises(HopFailed, match="closes its connections"):
            await answer_to(http, "GET", "/echo")
    assert way.dialled == 0


async def test_an_answer_that_is_closed_yields_no_more(http):
    async with asked(http, "GET", "/big") as response:
        await first_part(response)
    assert await whole(response) == b""


async def test_an_answer_that_nobody_reads_on_closes_its_connection(way, http):
    async with asked(http, "GET", "/big"):
        pass
    await way.until(0)


async def test_a_connection_that_is_cut_fails_its_request_alone(way, http):
    async def outcome():
        try:
            return await answer_to(http, "POST", "/never")
        except Cut as cut:
            return cut

    async with asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(outcome()) for _ in range(2))
        await way.until(2)
        way.open[0].broken.set()
        assert isinstance(await first, Cut)
        assert not second.done()
        second.cancel()
    assert await answer_to(http, "POST", "/echo", b"x") == (200, b"x")


async def test_a_defect_is_the_requests_error_and_hurts_no_other(http, monkeypatch):
    @asynccontextmanager
    async def dial():
        raise LookupError
        yield

    async with asked(http, "GET", "/big") as other:
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(http, "_dial", dial)
            with pytest.raises(HopFailed, match="LookupError"):
                await answer_to(http, "GET", "/echo")
        assert len(await whole(other)) == 300 * 65536
    assert [row["event"] for row in logs] == ["connection_defect"]


async def test_a_dial_that_fails_is_the_requests_error(way, http):
    way.refuse = True
    with pytest.raises(HopFailed, match="nobody listens"):
        await answer_to(http, "GET", "/echo")


async def test_a_request_that_is_cancelled_as_its_connection_opens_hurts_nobody(way, http, monkeypatch):
    dialling, there = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def dial():
        dialling.set()
        await there.wait()
        async with Way.dial(way) as stream:
            yield stream

    monkeypatch.setattr(http, "_dial", dial)
    found = await asyncio.open_unix_connection(way.path)
    monkeypatch.setattr(asyncio, "open_unix_connection", at_once(found))
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(http.request(Request("GET", "/echo")))
        await dialling.wait()
        there.set()  # the dialling task is woken ahead of the one that is cancelled
        request.cancel()
    assert request.cancelled()


def at_once(found):
    """No turn of the loop passes."""

    async def opened(_):
        return found

    return opened


async def test_a_request_that_is_cancelled_while_dialling_leaves_nothing(http, monkeypatch):
    dialling = asyncio.Event()

    @asynccontextmanager
    async def dial():
        dialling.set()
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(http, "_dial", dial)
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(http.request(Request("GET", "/echo")))
        await dialling.wait()
        request.cancel()


class Full(Answering):
    """Answers a body whose end it never takes."""

    async def write(self, data):
        if data.startswith(b"0\r\n"):
            await super().write(data)
            await asyncio.Event().wait()


async def test_a_connection_is_not_used_again_that_an_early_answer_has_left_without_the_bodys_end():
    connection = HttpConnection(Full())
    async with asyncio.timeout(5):
        await connection.request(Request("POST", "/", body=pieces(b"a", b"b")))
        while not (await connection.part())[1]:
            pass

    assert not connection.reuse()
