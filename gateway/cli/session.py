"""A session on this terminal: stdin to the command, its output to stdout and stderr, until its end."""

import asyncio
import os
import sys
from contextlib import nullcontext
from dataclasses import replace

from gateway.cli import signals, tty
from gateway.cli.client import Connection, attach
from gateway.cli.connect import gateway
from gateway.cli.ending import End, GatewayFailed
from gateway.cli.request import path
from gateway.cli.stdio import OutputClosed, Sink, Source
from gateway.cli.tty import Terminal
from gateway.cli.words import say
from gateway.config import Config, load
from gateway.protocol.messages import Control, Output
from gateway.protocol.target import Command, Target, Verb

_SIGPIPE = 128 + 13  # what a shell shows for tools that die of a closed pipe


def command(verb: Verb, argv: tuple[str, ...], *, stdin: bool, tty: bool) -> Command:
    """All output is wanted. As with kubectl, a terminal needs one here. Raises BadRequest for unusable argv."""
    if tty and stdin and not os.isatty(0):
        say("stdin is no terminal, so the command gets none either")
        tty = False
    return Command(argv, verb, stdin=stdin, stdout=True, stderr=not tty, tty=tty)


def run(target: Target, wanted: Command, *, quiet: bool) -> int:
    """Runs the command to our exit status. Raises ConfigError, and OSError for output that cannot be written."""
    config = load()
    terminal = Terminal(0) if wanted.tty and wanted.stdin else None
    give_up = terminal.restore if terminal else lambda: None
    return signals.run(_session(config, target, wanted, terminal, quiet=quiet), give_up)


async def _session(
    config: Config, target: Target, wanted: Command, terminal: Terminal | None, *, quiet: bool
) -> int:
    sink = Sink()
    try:
        with terminal or nullcontext():
            async with gateway(config, quiet=quiet, terminal=terminal) as endpoint:
                sized = replace(wanted, size=tty.size()) if wanted.tty else wanted
                try:
                    async with attach(endpoint, path(target, sized)) as connection:
                        end = await _Attached(connection, sink, sized, terminal).run()
                finally:
                    if terminal:
                        terminal.restore()
    except OutputClosed:
        return _SIGPIPE
    except GatewayFailed as error:
        end = error.end
    finally:
        sink.close()
    if end.exit_code is None:
        if terminal and terminal.was_raw:
            print(file=sys.stderr)  # the command left the cursor where it liked
        say(str(end))
    return end.exit_status


class _Attached:
    def __init__(
        self, connection: Connection, sink: Sink, command: Command, terminal: Terminal | None
    ) -> None:
        self._connection = connection
        self._sink = sink
        self._command = command
        self._terminal = terminal
        self._ready = asyncio.Event()  # input may flow

    async def run(self) -> End:
        try:
            # listening before the first output: who sees it may resize at once
            with tty.resized() as changed:
                end = await self._attend(changed)
        except ExceptionGroup as errors:
            raise _first(errors) from None
        await self._connection.closed()
        return end

    async def _attend(self, changed: asyncio.Event) -> End:
        jobs = [self._sink.watch()]
        if self._command.stdin:
            jobs.append(self._input())
        if self._command.tty:
            jobs.append(self._sizes(changed))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
            end = await self._output()
            for task in tasks:
                task.cancel()
        return end

    async def _output(self) -> End:
        while True:
            message = await self._connection.receive()
            match message:
                case Output(stream, data):
                    self._started()
                    if data:
                        await self._sink.write(stream, data)
                case Control(body):
                    # a pipe can be filled early; keys wait until they cannot be echoed by anyone but the pod
                    if body["type"] == "started" or (body["type"] == "hello" and not self._terminal):
                        self._started()
                case End():
                    await self._sink.drain()
                    return message

    def _started(self) -> None:
        if not self._ready.is_set():
            self._ready.set()
            if self._terminal:
                self._terminal.raw()

    async def _input(self) -> None:
        await self._ready.wait()
        source = Source(0)
        while data := await source.read():
            await self._connection.send(data)
        await self._connection.half_close()

    async def _sizes(self, changed: asyncio.Event) -> None:
        last = self._command.size
        await self._ready.wait()
        while True:
            size = tty.size()
            if size and size != last:
                await self._connection.resize(size)
                last = size
            await changed.wait()
            changed.clear()
            if self._terminal:
                self._terminal.again()


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
