"""Runs commands in pods, for programs: bytes in, bytes out, and an exit code, else an exception."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.client.connection import Connection, attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import End, GatewayFailed
from gateway.client.request import path
from gateway.errors import HopFailed, first
from gateway.protocol.messages import Control, Output
from gateway.protocol.outcome import CODES
from gateway.protocol.target import Command, Target


class Process:
    """Carries one command. One task may read, another write."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._started = asyncio.Event()
        self.target = (
            target  # with the pod and container that the gateway has found, from the first output on
        )
        self.exit_code: int | None = None

    async def read(self) -> Output | None:
        """Returns the next output; None once the command has ended, whose `exit_code` is known then. Raises GatewayFailed,
        HopFailed.
        """
        while self.exit_code is None:
            match await self._connection.receive():
                case Output() as output:
                    self._started.set()
                    if output.data:
                        return output
                case Control(body):
                    if body["type"] == "hello":
                        self.target = _found(self.target, body.get("target"))
                    if body["type"] in ("hello", "started"):
                        self._started.set()
                case End() as end:
                    self.exit_code = exit_code(end)
        return None

    async def write(self, data: bytes) -> None:
        """Sends input; waits while the gateway takes none. Drops it once the command has ended."""
        await self._started.wait()
        await self._connection.send(data)

    async def close_stdin(self) -> None:
        """Ends the command's input."""
        await self._started.wait()
        await self._connection.half_close()


def exit_code(end: End) -> int:
    """Returns the command's own exit code. Raises HopFailed, GatewayFailed where it has none."""
    if end.exit_code is not None:
        return end.exit_code
    if end.code in CODES:
        raise HopFailed(end.code, end.message)
    raise GatewayFailed(end.code, end.message, passing=True)


@asynccontextmanager
async def process(
    endpoint: Endpoint, target: Target, command: Command, stdin: AsyncIterable[bytes] | None = None
) -> AsyncIterator[Process]:
    """Starts a command, whose input is `stdin`, or what the block writes; leaving ends it. Raises GatewayFailed, HopFailed,
    and what `stdin` raises.
    """
    try:
        async with attach(endpoint, path(target, command)) as connection:
            one = Process(connection, target)
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(_feed(one, stdin)) if stdin is not None else None
                yield one
                if feeding:
                    feeding.cancel()
    except BaseExceptionGroup as group:
        raise first(group) from None


class Pod:
    """Starts commands in one pod, which is found with the first of them: what leads to pods may lead to another later."""

    def __init__(self, endpoint: Endpoint, target: Target) -> None:
        self._endpoint = endpoint
        self.target = target

    @asynccontextmanager
    async def start(
        self, argv: tuple[str, ...], stdin: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[Process]:
        """Starts a command, as `process` does."""
        command = Command(argv, stdin=stdin is not None, stdout=True, stderr=True)
        async with process(self._endpoint, self.target, command, stdin) as one:
            try:
                yield one
            finally:
                self.target = one.target


async def _feed(one: Process, stdin: AsyncIterable[bytes]) -> None:
    async for part in stdin:
        await one.write(part)
    await one.close_stdin()


def _found(target: Target, body: object) -> Target:
    """Returns the target that the gateway's hello names."""
    if not isinstance(body, dict) or not body.get("pod"):
        return target
    return replace(
        target, namespace=str(body.get("namespace") or target.namespace), pod=str(body["pod"]),
        container=str(body["container"]) if body.get("container") else target.container,
    )  # fmt: skip
