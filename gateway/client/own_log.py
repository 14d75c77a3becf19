"""Writes the log of a gateway inside a command. It is imported with such a gateway alone: it loads structlog."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import structlog

from gateway import log
from gateway.log_file import LogFile
from gateway.settings.paths import state_dir

NAME = "gateway.log"  # in the state directory


@contextmanager
def own_log(say: Callable[[str], None] | None) -> Iterator[None]:
    """Has a gateway of this process write its log to a file, within the block: the screen is the command's, which says
    what went wrong once, at its end. Without such a file the log is lost, and `say` is told.
    """

    def waits(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] == "ssh_login_waits" and say:
            say(f"waiting for {event['waiting_for']}")
        return event

    with ExitStack() as stack:
        try:
            log.setup("json", stack.enter_context(closing(LogFile(state_dir() / NAME))), [waits])
        except OSError as error:
            if say:
                say(f"this gateway has no log: {error}")
            log.setup("json", stack.enter_context(Path(os.devnull).open("w")), [waits])
        stack.callback(logging.disable, logging.root.manager.disable)  # by a command, for the screen's sake
        logging.disable(logging.NOTSET)
        yield
