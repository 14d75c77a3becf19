"""A command that may be attached again: it outlives links, and keeps its output until the gateway has no need of it."""

from __future__ import annotations

import json
from typing import Any

from . import wire
from .command import Command
from .loop import Timer
from .stream import CommandStream, Stream

GRACE = 600.0  # seconds without a link, unless the request says otherwise
LONGEST = 7 * 86400.0
NOTE = 8192  # bytes of a note


class ResumableCommand:
    """One of them. `timer` runs while no link carries it."""

    def __init__(self, name: str, grace: float, note: dict[str, Any], command: Command) -> None:
        self.name = name
        self.grace = grace
        self.note = note
        self.command = command
        self.seen = 0  # bytes of output that the gateway said it needs no more
        self.stream: ResumableStream | None = None
        self.timer: Timer | None = None

    @property
    def wanted(self) -> bool:
        """However it ended, it is there until the gateway has said END."""
        return self.stream is None or not self.stream.unwanted

    def shown(self) -> dict[str, Any]:
        """A line of the list."""
        journal = self.command.journal
        return {
            "name": self.name,
            "note": self.note,
            "seen": self.seen,
            "start": journal.start,
            "end": journal.end,
            "received": self.command.input.received,
            "result": self.command.result,
            "attached": self.timer is None,
        }


def parse(given: dict[str, Any]) -> tuple[str, float, dict[str, Any]] | None:
    """(name, grace, note) of a request, None where it has no name. Raises WireError."""
    name, grace = given.get("name"), given.get("grace", GRACE)
    if not isinstance(grace, (int, float)) or not 0 <= grace <= LONGEST:
        raise wire.WireError(f"grace is 0 to {LONGEST:g} seconds")
    note = check_note(given.get("note", {}))
    if name is not None and not isinstance(name, str):
        raise wire.WireError("name is a string")
    return None if name is None else (name, grace, note)


def check_note(note: object) -> dict[str, Any]:
    """The same. Raises WireError."""
    if not isinstance(note, dict) or len(json.dumps(note)) > NOTE:
        raise wire.WireError(f"a note is an object of at most {NOTE} bytes")
    return note


class ResumableStream(CommandStream):
    """On the link that has it now. `offset` of an attach: where its output goes on."""

    def __init__(self, number: int, credit: int, kept: ResumableCommand, offset: int | None = None) -> None:
        super().__init__(number, credit, kept.command)
        self._kept = kept
        self._told = kept.command.input.received  # of input
        if offset is not None:
            waiting = kept.command.input.waiting
            self._sent = min(max(offset, kept.command.journal.start), kept.command.journal.end)
            self._may_come = wire.Window(wire.INPUT, waiting, wire.WINDOW // 2)
            self.say(wire.encode_credit(number, max(wire.INPUT - waiting, 0)))

    @property
    def unwanted(self) -> bool:
        """The gateway has said END."""
        return self._unwanted

    @property
    def done(self) -> bool:
        return self.over and self._unwanted

    def _about(self) -> dict[str, Any]:
        self._told = self.command.input.received
        self._sent = max(self._sent, self.command.journal.start)
        return {"pid": self.command.pid, "offset": self._sent, "received": self._told}

    def _news(self) -> bytes:
        if self._told < self.command.input.received:
            self._told = self.command.input.received
            return wire.encode_offset(wire.RECEIVED, self.number, self._told)
        journal = self.command.journal
        gap = self._sent < journal.start and not self._unwanted
        if gap and self._may_send.left <= 0 and journal.start < journal.end:
            return b""  # it may become longer until more can be sent
        self._sent = max(self._sent, journal.start)
        return wire.encode_offset(wire.GAP, self.number, self._sent) if gap else b""

    def _took(self) -> None:
        """It may have to be sent again."""

    def _write(self, data: bytes) -> None:
        super()._write(data)
        self.wake()

    def _other(self, kind: int, body: bytes) -> None:
        journal = self.command.journal
        if kind == wire.SEEN:
            self._kept.seen = max(self._kept.seen, min(wire.decode_offset(body), journal.end))
            journal.drop(self._kept.seen)
        elif kind == wire.SKIP:
            journal.skip_flood(self._sent)
        elif kind == wire.NOTE:
            self._kept.note = check_note(wire.decode_object(body))
        else:
            super()._other(kind, body)


class ListStream(Stream):
    """The answer to a request for the list."""

    def __init__(self, number: int, credit: int, kept: list[ResumableCommand]) -> None:
        super().__init__(number, credit)
        self._left = "".join(json.dumps(one.shown()) + "\n" for one in kept).encode()

    def cut(self) -> None:
        self._left = b""

    def defect(self, error: Exception) -> None:
        del error  # there is nobody to tell but who did not get the list
        self.cut()

    def _data(self) -> bytes:
        if self._left:
            part = self._left[: max(min(wire.FULL, self._may_send.left), 0)]
            self._left = self._left[len(part) :]
            self._may_send.take(len(part))
            return wire.encode(wire.STDOUT, self.number, part) if part else b""
        if self.over:
            return b""
        self.over = True
        return wire.encode_object(wire.EXIT, self.number, {"code": 0})

    def _write(self, data: bytes) -> None:
        self._wrote(len(data))

    def _write_eof(self) -> None:
        pass
