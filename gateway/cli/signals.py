"""Runs one coroutine to an exit status, with signals that end it the orderly way."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run(work: Coroutine[Any, Any, int], give_up: Callable[[], None] = lambda: None) -> int:
    """Returns the coroutine's status, or 128 + the number of the signal that cancelled it (130 after Ctrl-C).

    A second signal does not wait for anything: it calls `give_up` (restore the terminal) and exits. Signals
    that were ignored when we started stay so (nohup).
    """
    if not sys.flags.dev_mode:
        logging.disable()  # libraries: the screen is the command's
    return asyncio.run(_guarded(work, give_up))


async def _guarded(work: Coroutine[Any, Any, int], give_up: Callable[[], None]) -> int:
    loop, task, got = asyncio.get_running_loop(), asyncio.current_task(), list[int]()
    assert task is not None

    def on_signal(number: int) -> None:
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
