"""A session on pipes: stdin to the command, its output to stdout and stderr. It ends with its connection."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.cli import tty
from gateway.cli.client import Connection, attach
from gateway.cli.connect import Endpoint
from gateway.cli.ending import End, first
from gateway.cli.resume import number
from gateway.cli.sizes import Sizes
from gateway.cli.stdio import Sink, Source
from gateway.cli.verify import Verification
from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import Control, Output, Stream
from gateway.protocol.target import Command


class Pipes:
    """Run once. A command may have a terminal all the same, without our keys: `-t` alone."""

    def __init__(self, sink: Sink, command: Command, proof: Verification | None = None) -> None:
        self._sink = sink
        self._proof = proof
        self._command = command
        self._ready = asyncio.Event()  # input may flow: a pipe can be filled before the command runs
        self._sizes = Sizes(command.size, None)
        self._window: int | None = None  # bytes of input that may be on their way; any number
        self._sent = self._received = 0
        self._room = asyncio.Event()

    async def run(self, endpoint: Endpoint, path: str) -> End:
        """Until the session's end. Raises GatewayFailed, OutputClosed."""
        async with attach(endpoint, path) as connection:
            try:
                with tty.resized() as changed:
                    end = await self._attend(connection, changed)
            except BaseExceptionGroup as errors:
                raise first(errors) from None
            await connection.closed()
        return end

    async def _attend(self, connection: Connection, changed: asyncio.Event) -> End:
        jobs: list[Any] = [self._sink.watch()]
        if self._command.stdin:
            jobs.append(self._input(connection))
        if self._command.tty:
            jobs += [self._sizes.listen(changed), self._sizes.send(connection)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
            end = await self._output(connection)
            for task in tasks:
                task.cancel()
        return end

    async def _output(self, connection: Connection) -> End:
        while True:
            match await connection.receive():
                case Output(stream, data):
                    self._started()
                    if self._proof:
                        data = self._proof.take(stream, data)
                    if data:
                        await self._sink.write(stream, data)
                case Control(body):
                    self._control(body)
                case End() as end:
                    if self._proof:
                        self._sink.put(Stream.STDERR, self._proof.rest())
                    await self._sink.drain()
                    return self._proof.judge(end) if self._proof else end

    def _control(self, body: Mapping[str, Any]) -> None:
        if body["type"] in ("hello", "started"):
            self._started()
        if body["type"] == "hello" and body.get("window"):
            self._window = number(body, "window")
        elif body["type"] == "received":
            self._received = number(body, "offset")
            self._room.set()

    def _started(self) -> None:
        self._ready.set()
        self._sizes.ready.set()

    async def _input(self, connection: Connection) -> None:
        await self._ready.wait()
        source = Source(0)
        while data := await source.read(await self._credit()):
            self._sent += len(data)
            await connection.send(data)
        await connection.half_close()

    async def _credit(self) -> int:
        """Waits until something may be sent: how much. What has no credit is not read, so that it waits where it is."""
        while self._window is not None and self._sent >= self._received + self._window:
            self._room.clear()
            await self._room.wait()
        return CHUNK if self._window is None else min(CHUNK, self._received + self._window - self._sent)
