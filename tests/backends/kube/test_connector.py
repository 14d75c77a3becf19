"""aiohttp over byte streams that are not sockets, against a real HTTP server."""

import asyncio
import io
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession, web
from structlog.testing import capture_logs

from gateway.backends.kube.connector import RelayConnector
from gateway.errors import HopFailed


class Through:
    """A ByteStream over a Unix socket. `cut` breaks it."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.broken = asyncio.Event()

    async def read(self):
        async with asyncio.TaskGroup() as tasks:
            data = tasks.create_task(self.reader.read(65536))
            broken = tasks.create_task(self.broken.wait())
            await asyncio.wait([data, broken], return_when=asyncio.FIRST_COMPLETED)
            data.cancel()
            broken.cancel()
        if self.broken.is_set():
            raise HopFailed("relay_lost", "cut")
        return data.result()

    async def write(self, data):
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


@pytest.fixture
async def way(tmp_path):
    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.route("*", "/echo", echo), web.get("/big", big), web.post("/never", never)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    yield Way(str(tmp_path / "s"))
    await runner.cleanup()


@pytest.fixture
async def http(way):
    """On leaving no connection lives."""
    async with (
        asyncio.TaskGroup() as tasks,
        ClientSession(connector=RelayConnector(way.dial, tasks)) as session,
    ):
        yield session
    assert way.open == []


async def test_a_connection_serves_many_requests(way, http):
    for number in range(20):
        async with http.post("http://localhost/echo", data=b"%d" % number) as answer:
            assert await answer.read() == b"%d" % number

    assert way.dialled == 1


async def test_a_long_request_and_a_long_answer_are_whole(http):
    data = bytes(range(256)) * 80_000
    async with http.post("http://localhost/echo", data=io.BytesIO(data)) as answer:
        assert await answer.read() == data
    async with http.get("http://localhost/big") as answer:
        count = 0
        async for part in answer.content.iter_any():
            count += len(part)
            await asyncio.sleep(0)
    assert count == 300 * 65536


async def test_an_answer_that_nobody_reads_on_closes_its_connection(way, http):
    answer = await http.get("http://localhost/big")
    answer.close()
    await way.until(0)


async def test_a_connection_that_is_cut_fails_its_request_alone(way, http):
    async def outcome():
        try:
            async with http.post("http://localhost/never"):  # no GET: aiohttp would ask again
                return None
        except ClientError as error:
            return error

    async with asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(outcome()) for _ in range(2))
        await way.until(2)
        way.open[0].broken.set()
        assert isinstance(await first, ClientError)
        assert not second.done()
        second.cancel()
    async with http.post("http://localhost/echo", data=b"x") as answer:
        assert await answer.read() == b"x"


async def test_a_defect_is_the_requests_error_and_hurts_no_other(http, monkeypatch):
    @asynccontextmanager
    async def dial():
        raise LookupError
        yield

    async with http.get("http://localhost/big") as other:
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(http.connector, "_dial", dial)
            with pytest.raises(HopFailed, match="LookupError"):
                await http.get("http://localhost/echo")
        assert len(await other.read()) == 300 * 65536
    assert [row["event"] for row in logs] == ["connection_defect"]


async def test_a_dial_that_fails_is_the_requests_error(way, http):
    way.refuse = True
    with pytest.raises(HopFailed, match="nobody listens"):
        await http.get("http://localhost/echo")


async def test_a_request_that_is_cancelled_as_its_connection_opens_hurts_nobody(way, http, monkeypatch):
    dialling, there = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def dial():
        dialling.set()
        await there.wait()
        async with Way.dial(way) as stream:
            yield stream

    monkeypatch.setattr(http.connector, "_dial", dial)
    found = await asyncio.open_unix_connection(way.path)
    monkeypatch.setattr(asyncio, "open_unix_connection", at_once(found))
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(http.get("http://localhost/echo"))
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

    monkeypatch.setattr(http.connector, "_dial", dial)
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(http.get("http://localhost/echo"))
        await dialling.wait()
        request.cancel()
