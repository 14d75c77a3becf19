"""structlog, set up once. JSON for machines, or console; control characters from outside never reach a terminal raw."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

Format = Literal["json", "console"]
_CAP = 2048  # characters of one value


def setup(style: Format) -> None:
    """Everything goes to stderr: stdout belongs to the user's command. Libraries speak from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        escape,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )
    logging.getLogger("asyncssh").setLevel(logging.ERROR)


def escape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Field S5, S10: no escape sequence and no line break from outside; values of bounded length."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = printable(value[:_CAP])
    return event


def printable(text: str) -> str:
    """Control characters and lone surrogates are escaped as Python writes them."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
