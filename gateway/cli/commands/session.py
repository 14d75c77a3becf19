"""Runs a session on this terminal or these pipes, until its end, and returns the exit status that comes of
it.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial

from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import say, say_target
from gateway.cli.terminal import tty
from gateway.cli.terminal.pipes import Pipes
from gateway.cli.terminal.shell import Shell
from gateway.cli.terminal.stdio import OutputClosed, Sink, gives_nothing, write_at_once
from gateway.cli.terminal.tty import Terminal
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import End, GatewayFailed, GivenUp
from gateway.client.request import path
from gateway.client.screen_state import ScreenState
from gateway.client.verify import Verification
from gateway.protocol.errors import BadRequest
from gateway.protocol.messages import Stream
from gateway.protocol.target import Command, Target, Verb
from gateway.settings.loader import load

_INTERRUPTED = 130
_SIGPIPE = 128 + 13  # what a shell shows for tools that die of a closed pipe
_LAST_WORDS = 0.5  # seconds for what was said last to reach the terminal

Talk = Callable[[Endpoint, Sink], Awaitable[End]]
Settle = Callable[[Endpoint, Command], Awaitable[Command]]


def command(
    verb: Verb, argv: tuple[str, ...], *, stdin: bool, tty: bool, kill: bool = False, exact: bool = False
) -> Command:
    """Returns the command with all of its output asked for. As with kubectl, a terminal needs one here:
    without, prints so and leaves it out. Raises BadRequest for unusable argv.

    Where stdin is the null device, none is asked for: the command reads nothing either way, and no end of input is sent, which
    may cost the exit code. An end that reaches the kubelet when the command has just ended makes the kubelet close what
    still carries the status, and the API server takes a missing status for success
    (k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go, k8s.io/client-go/tools/remotecommand/v4.go).
    """
    if tty and stdin and not os.isatty(0):
        say("stdin is no terminal, so the command gets none either")
        tty = False
    stdin = stdin and not gives_nothing(0)
    return Command(
        argv, verb, stdin=stdin, stdout=True, stderr=not tty, tty=tty, kill_on_disconnect=kill, exact=exact
    )


def run(
    target: Target,
    wanted: Command,
    *,
    quiet: bool,
    resumable: bool = False,
    verify: bool = False,
    settle: Settle | None = None,
) -> int:
    """Runs the command and returns our exit status. Raises ConfigError, and OSError for output that cannot be
    written.

    `resumable`: a terminal outlives its connection, where the gateway can keep it. `verify`: proves exit code
    and length of a command without a terminal. `settle`: makes the command what it is, once there is a gateway to ask.
    """
    terminal = Terminal(0) if wanted.tty and wanted.stdin else None
    proof = Verification(wanted.argv) if verify else None
    if proof:
        wanted = replace(wanted, argv=proof.argv)

    # scripts know where they go, and read our stderr
    tells = (
        partial(say_target, named=bool(target.namespace))
        if target.pod and not quiet and os.isatty(2)
        else None
    )

    async def talk(endpoint: Endpoint, sink: Sink) -> End:
        settled = await settle(endpoint, wanted) if settle else wanted
        sized = replace(settled, size=tty.size()) if settled.tty else settled
        if terminal is None:
            pipes = Pipes(sink, sized, proof)
            pipes.tells = tells
            return await pipes.run(endpoint, path(target, sized))
        wish = path(target, sized, resumable=resumable)
        shell = Shell(endpoint, sink, terminal, sized)
        shell.tells = tells
        return await shell.open(wish)

    return _run(gateway(load(), quiet=quiet, terminal=terminal), talk, terminal)


def take_over(session: str, endpoint: Endpoint) -> int:
    """Attaches to a living session and goes on with it here. Returns and raises as `run`; raises BadRequest
    without a terminal.
    """
    if not os.isatty(0):
        raise BadRequest("stdin is no terminal, and dap attach needs one: run it in a terminal")
    terminal = Terminal(0)

    async def talk(endpoint: Endpoint, sink: Sink) -> End:
        return await Shell(endpoint, sink, terminal).take_over(session)

    return _run(nullcontext(endpoint), talk, terminal)


def _run(opened: AbstractAsyncContextManager[Endpoint], talk: Talk, terminal: Terminal | None) -> int:
    screen = ScreenState()

    def give_up() -> None:
        write_at_once(Stream.STDOUT, screen.undoing)
        if terminal:
            terminal.restore()

    return signals.run(_session(opened, talk, terminal, screen), give_up)


async def _session(
    opened: AbstractAsyncContextManager[Endpoint], talk: Talk, terminal: Terminal | None, screen: ScreenState
) -> int:
    sink, interrupted = Sink(screen), False
    try:
        with terminal or nullcontext():
            async with opened as endpoint:
                try:
                    end = await _until_end(talk, endpoint, sink)
                finally:
                    if terminal:
                        terminal.restore()
    except OutputClosed:
        return _SIGPIPE
    except GatewayFailed as error:
        end = error.end
    except GivenUp as decision:
        end, interrupted = decision.end, True
    finally:
        sink.close()
    if end.exit_code is None:
        if terminal and terminal.was_raw:
            print(file=sys.stderr)  # the command left the cursor where it liked
        say(str(end))
    return _INTERRUPTED if interrupted else end.exit_status


async def _until_end(talk: Talk, endpoint: Endpoint, sink: Sink) -> End:
    """Runs the session and returns its end. Undoes what the output has left set on the terminal, unless the command
    ended by itself: no program is left to do it.
    """
    end: End | None = None
    try:
        end = await talk(endpoint, sink)
    finally:
        await _settle(sink)
        if end is None or end.exit_code is None:
            await _undo(sink)
    return end


async def _undo(sink: Sink) -> None:
    sink.take_back(Stream.STDOUT)
    sink.put(Stream.STDOUT, sink.screen.undoing)
    await _settle(sink)


async def _settle(sink: Sink) -> None:
    with contextlib.suppress(TimeoutError, OutputClosed, OSError):
        async with asyncio.timeout(_LAST_WORDS):
            await sink.drain()
