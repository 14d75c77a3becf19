"""Runs a session on pipes: stdin to the command, its output to stdout and stderr. The session ends with its
connection.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.cli.terminal import tty
from gateway.cli.terminal.stdio import Sink, Source
from gateway.cli.terminal.window_size import WindowSize
from gateway.client.connection import Connection, attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import End
from gateway.client.verify import Verification
from gateway.errors import first
from gateway.protocol.messages import Control, Output, Stream
from gateway.protocol.target import Command


class Pipes:
    """Runs one session, once. A command may have a terminal all the same, without our keys: `-t` alone."""

    tells: Callable[[Mapping[str, Any]], None] | None = (
        None  # set it for what is said of the pod at the hello
    )

    def __init__(self, sink: Sink, command: Command, proof: Verification | None = None) -> None:
        self._sink = sink
        self._proof = proof
        self._command = command
        self._ready = asyncio.Event()  # input may flow: a pipe can be filled before the command runs
        self._sizes = WindowSize(command.size, None)

    async def run(self, endpoint: Endpoint, path: str) -> End:
        """Runs the session and returns its end. Raises GatewayFailed, OutputClosed."""
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
                    if body["type"] == "hello" and self.tells:
                        self.tells(body)
                    if body["type"] in ("hello", "started"):
                        self._started()
                case End() as end:
                    if self._proof:
                        self._sink.put(Stream.STDERR, self._proof.rest())
                    await self._sink.drain()
                    return self._proof.judge(end) if self._proof else end

    def _started(self) -> None:
        self._ready.set()
        self._sizes.ready.set()

    async def _input(self, connection: Connection) -> None:
        await self._ready.wait()
        source = Source(0)
        while data := await source.read():
            await connection.send(data)
        await connection.half_close()
