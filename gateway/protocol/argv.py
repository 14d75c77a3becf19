"""Carries a command's arguments in messages of `v1.dap-gateway`, where they are too long for a URL: proxies take 4 to 8 KiB
of one.
"""

from collections.abc import Iterable, Iterator

from gateway.protocol.errors import BadRequest
from gateway.protocol.messages import Control

IN_BAND = ("argv", "in-band")  # the query's field that announces the messages
STAND_IN = "dap-needs-a-newer-gateway"  # the query's command: what a gateway that ignores the field runs
TYPE = "command"
MAX_SIZE = 2 << 20  # bytes, a byte for the end of each argument among them: what a kernel takes
_PART = 2048  # characters of a message; as JSON each has up to twelve bytes


def messages(argv: Iterable[str]) -> Iterator[Control]:
    """Yields the messages that carry the arguments. No argument has a NUL: it stands between two of them."""
    text = "\0".join(argv)
    for start in range(0, len(text) or 1, _PART):
        last = start + _PART >= len(text)
        yield Control({"type": TYPE, "part": text[start : start + _PART], "last": last})


class ArgvReader:
    """Puts the arguments together again."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def take(self, message: object) -> tuple[str, ...] | None:
        """Returns the arguments with the last message, None before. Raises BadRequest for any other message, for text that
        is no UTF-8, and for too much of it.
        """
        match message:
            case Control({"type": "command", "part": str() as part, "last": bool() as last}):
                pass
            case _:
                raise BadRequest(
                    "the first messages are the parts of the command: argv=in-band announces them"
                )
        try:
            self._size += len(part.encode())
        except UnicodeError:
            raise BadRequest("the command is not valid UTF-8") from None
        if self._size >= MAX_SIZE:
            raise BadRequest(f"the command has more than {MAX_SIZE} bytes")
        self._parts.append(part)
        return tuple("".join(self._parts).split("\0")) if last else None
