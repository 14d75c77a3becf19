"""Runs one coroutine to an exit status, with signals that end it the orderly way."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_receivers: list[Callable[[int], None]] = []  # of signals, in place of `_guarded`; the last one counts
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_TYPED = (signal.SIGINT, signal.SIGQUIT)  # by keys


def run(work: Coroutine[Any, Any, int], give_up: Callable[[], None] = lambda: None) -> int:
    """Returns the coroutine's status, or 128 + the number of the signal that cancelled it (130 after Ctrl-C).

    A second signal does not wait for anything: it calls `give_up` (restore the terminal) and exits. Signals
    that were ignored when we started stay so (nohup).
    """
    if not sys.flags.dev_mode:
        logging.disable()  # libraries: the screen is the command's
    return asyncio.run(_guarded(work, give_up))


@contextmanager
def passed_on(process: Process) -> Iterator[None]:
    """Passes the signals that would end us on to a child, within the block. What keys send is left out: the kernel has
    given that to all that is in the foreground.
    """

    def send(number: int) -> None:
        if not (number in _TYPED and _in_foreground()):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    _receivers.append(send)
    try:
        yield
    finally:
        _receivers.remove(send)


def _in_foreground() -> bool:
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)


async def _guarded(work: Coroutine[Any, Any, int], give_up: Callable[[], None]) -> int:
    loop, task, got = asyncio.get_running_loop(), asyncio.current_task(), list[int]()
    assert task is not None

    def on_signal(number: int) -> None:
        if _receivers:
            _receivers[-1](number)
            return
        if got:
            give_up()
            os._exit(128 + number)
        got.append(number)
        task.cancel()

    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal, number)
    try:
        return await work
    except asyncio.CancelledError:
        if not got:
            raise
        return 128 + got[0]
