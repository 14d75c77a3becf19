"""structlog, set up once. JSON for machines, or console; control characters from outside never reach a terminal raw."""

import logging
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.masking import mask

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

Format = Literal["json", "console"]
_CAP = 2048  # characters of one value
_QUERY = re.compile(r"(https?://[^\s\"?]*)\?[^\s\"]*")


def setup(style: Format, file: "SupportsWrite[str] | None" = None, first: Sequence[Processor] = ()) -> None:
    """Everything goes to stderr, or to `file`: stdout belongs to the user's command. Libraries speak from WARNING on, in
    the same form. A line that cannot be written is lost, and nothing else: no session ends with a full disk or a closed
    pipe. `first`: processors of our own events that come before all others.
    """
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=file is None and sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(file or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                escape,
                last,
            ],
        )
    )
    structlog.configure(
        processors=[*first, *common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gateway").setLevel(logging.INFO)
    logging.getLogger("asyncssh").setLevel(logging.ERROR)


def escape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """No escape sequence and no line break from outside; values of bounded length; no credential; no query of a URL,
    which in kubectl's words about an exec has the command's arguments.
    """
    for key, value in event.items():
        if isinstance(value, str):
            known = _QUERY.sub(r"\1?…", mask(value))  # before anything is cut off that shows what it is
            event[key] = (
                "\n".join(map(printable, known.split("\n")))
                if key == "exception"
                else printable(known[:_CAP])
            )
    return event


def printable(text: str) -> str:
    """Control characters and lone surrogates are escaped as Python writes them."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
