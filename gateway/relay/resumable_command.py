"""Runs commands that may be attached again: they outlive links, and their output is kept until the gateway has
acknowledged it.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from typing import Any

from . import wire
from .link import Link
from .loop import Loop, Timer
from .running import Running
from .stream import CommandStream, Credit, Stream

GRACE = 600.0  # seconds without a link, unless the request says otherwise
LONGEST = 7 * 86400.0
NOTE = 8192  # bytes of a note


class ResumableCommand:
    """Holds a named command between links. `timer` runs while no link carries the command."""

    def __init__(self, name: str, grace: float, note: dict[str, Any], command: Running) -> None:
        self.name = name
        self.grace = grace
        self.note = note
        self.command = command
        self.seen = 0  # bytes of output that the gateway said it needs no more
        self.stream: ResumableStream | None = None
        self.timer: Timer | None = None

    @property
    def wanted(self) -> bool:
        """True until the gateway has sent END, however the command ended."""
        return self.stream is None or not self.stream.unwanted

    def listed(self) -> dict[str, Any]:
        """Returns the command's line of the list."""
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
    """Returns (name, grace in seconds, note) of a request; None for a request without a name. Raises
    WireError.
    """
    name, grace = given.get("name"), given.get("grace", GRACE)
    if not isinstance(grace, (int, float)) or not 0 <= grace <= LONGEST:
        raise wire.WireError(f"grace is 0 to {LONGEST:g} seconds")
    note = check_note(given.get("note", {}))
    if name is not None and not isinstance(name, str):
        raise wire.WireError("name is a string")
    return None if name is None else (name, grace, note)


def check_note(note: object) -> dict[str, Any]:
    """Returns the note unchanged. Raises WireError when it is no object, or longer than NOTE bytes."""
    if not isinstance(note, dict) or len(json.dumps(note)) > NOTE:
        raise wire.WireError(f"a note is an object of at most {NOTE} bytes")
    return note


class ResumableStream(CommandStream):
    """Carries a resumable command on the link that has it now. `offset` of an attach: where the output goes
    on; None for a new command.
    """

    def __init__(
        self, number: int, credit: Credit, resumable: ResumableCommand, offset: int | None = None
    ) -> None:
        super().__init__(number, credit, resumable.command)
        self._resumable = resumable
        self._acknowledged = resumable.command.input.received  # of input
        if offset is not None:
            waiting = resumable.command.input.waiting
            self._sent = min(max(offset, resumable.command.journal.start), resumable.command.journal.end)
            self._may_come = wire.Window(credit.input, waiting, wire.WINDOW // 2)
            self.send(wire.encode_credit(number, max(credit.input - waiting, 0)))

    @property
    def unwanted(self) -> bool:
        """True once the gateway has sent END."""
        return self._unwanted

    @property
    def done(self) -> bool:
        return self.over and self._unwanted

    def _about(self) -> dict[str, Any]:
        self._acknowledged = self.command.input.received
        self._sent = max(self._sent, self.command.journal.start)
        return {**super()._about(), "received": self._acknowledged}

    def _urgent(self) -> bytes:
        if self._acknowledged < self.command.input.received:
            self._acknowledged = self.command.input.received
            return wire.encode_offset(wire.RECEIVED, self.number, self._acknowledged)
        journal = self.command.journal
        gap = self._sent < journal.start and not self._unwanted
        if gap and self._may_send.left <= 0 and journal.start < journal.end:
            return b""  # it may become longer until more can be sent
        self._sent = max(self._sent, journal.start)
        return wire.encode_offset(wire.GAP, self.number, self._sent) if gap else b""

    def _release(self) -> None:
        """Keeps what was sent: it may have to be sent again."""

    def _write(self, data: bytes) -> None:
        super()._write(data)
        self.wake()

    def _other(self, kind: int, body: bytes) -> None:
        journal = self.command.journal
        if kind == wire.SEEN:
            self._resumable.seen = max(self._resumable.seen, min(wire.decode_offset(body), journal.end))
            journal.drop(self._resumable.seen)
        elif kind == wire.SKIP:
            journal.skip_flood(self._sent)
        elif kind == wire.NOTE:
            self._resumable.note = check_note(wire.decode_object(body))
        else:
            super()._other(kind, body)


class Resumables:
    """Holds a daemon's resumable commands that are still wanted, by name."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._all: dict[str, ResumableCommand] = {}

    def wanted(self) -> list[ResumableCommand]:
        """Drops the commands that the gateway has ended, and returns the others."""
        self._all = {name: one for name, one in self._all.items() if one.wanted}
        return list(self._all.values())

    def __len__(self) -> int:
        return len(self.wanted())

    def check_name(self, name: str) -> None:
        """Raises WireError where the name is in use."""
        self.wanted()
        if name in self._all:
            raise wire.WireError("the name is in use: a new command needs a new name")

    def add(self, one: ResumableCommand) -> ResumableCommand:
        """Takes on a new command."""
        self._all[one.name] = one
        return one

    def attach(self, link: Link, number: int, credit: Credit, given: dict[str, Any]) -> None:
        """Carries the command that `given` names on a stream of the link; answers EXIT where there is none."""
        name, offset = given["attach"], given.get("offset", 0)
        one = self._all.get(name) if isinstance(name, str) else None
        if one is None or not one.wanted or not isinstance(offset, int):
            error = {"error": "no such session", "errno": errno.ENOENT, "unknown": True}
            link.send(wire.encode_object(wire.EXIT, number, error))
            return
        if one.timer:
            one.timer.cancel()
            one.timer = None
        if one.stream and link.streams.get(one.stream.number) is one.stream:
            link.let_go(one.stream)
        one.stream = ResumableStream(number, credit, one, offset)
        link.add(one.stream)

    def keep(self, streams: Iterable[Stream]) -> list[Stream]:
        """Starts the grace time of every command that has none, since the link is lost that had these streams. Returns
        the streams of other things.
        """
        carried = {id(one.stream) for one in self.wanted()}
        for one in self._all.values():
            if one.timer is None:
                one.timer = self._loop.later(one.grace, lambda one=one: self._forget(one))  # type: ignore[misc]
        return [stream for stream in streams if id(stream) not in carried]

    def _forget(self, one: ResumableCommand) -> None:
        if self._all.get(one.name) is one:
            del self._all[one.name]
            if one.stream:
                one.stream.cut()


class ListStream(Stream):
    """Answers a request for the list: one JSON line for each command, then EXIT."""

    def __init__(self, number: int, credit: Credit, commands: list[ResumableCommand]) -> None:
        super().__init__(number, credit)
        self._left = "".join(json.dumps(one.listed()) + "\n" for one in commands).encode()

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
