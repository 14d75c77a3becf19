"""Defines everything that can be sent on an exec connection. Frozen, closed unions: mypy finds a forgotten
case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gateway.protocol.status import Status
from gateway.protocol.target import TerminalSize


class Stream(IntEnum):
    """Numbers the streams as on the wire: apimachinery/pkg/util/remotecommand/constants.go; 5 is ours, in
    `v1.dap-gateway` alone.
    """

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    CONTROL = 5
    CLOSE = 255


@dataclass(frozen=True)
class Stdin:
    """Carries bytes for the command."""

    data: bytes


@dataclass(frozen=True)
class Resize:
    """Carries the terminal's new size."""

    size: TerminalSize


@dataclass(frozen=True)
class HalfClose:
    """Says that the client writes no more on this stream. Only stdin's has an effect, as in a cluster."""

    stream: int


@dataclass(frozen=True)
class Control:
    """Carries one JSON object of our own subprotocol; `body["type"]` names it."""

    body: Mapping[str, Any]


@dataclass(frozen=True)
class Ignored:
    """Stands for what a cluster ignores too; `why` is a word for the counter."""

    why: str


@dataclass(frozen=True)
class Output:
    """Carries bytes of the command. Empty on stdout is the hello frame that Headlamp waits for."""

    stream: int
    data: bytes


@dataclass(frozen=True)
class Ended:
    """Carries the one Status of a session, strictly last."""

    status: Status


ClientMessage = Stdin | Resize | HalfClose | Control | Ignored
ServerMessage = Output | Ended | Control
