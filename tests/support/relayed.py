"""A relay on this machine, and a link to it as a gateway has one: the real boot text, daemon and carrier."""

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.compiled_relay import compiled, with_more
from support.waiting import becomes

from gateway.relay import fd_handover, run_directory, wire

LIMIT = 20.0  # seconds that any wait may take


@dataclass
class Said:
    """All that came on one stream."""

    started: dict[str, Any] | None = None
    exit: dict[str, Any] | None = None
    eof: bool = False
    credit: int = 0
    received: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)  # bytes of stdout before it, where it went on
    data: dict[int, bytearray] = field(default_factory=dict)
    kinds: list[int] = field(default_factory=list)

    @property
    def stdout(self) -> bytes:
        """Of kind 1."""
        return bytes(self.data.get(wire.STDOUT, b""))

    @property
    def stderr(self) -> bytes:
        """Of kind 2."""
        return bytes(self.data.get(wire.STDERR, b""))

    def gone_on(self, every: bytes) -> bytes:
        """What must be on stdout of `every`, the gaps being where they were told."""
        parts, had, at = [], 0, 0
        for before, goes_on in self.gaps:
            parts.append(every[at : at + before - had])
            had, at = before, goes_on
        return b"".join((*parts, every[at:]))


class Ends:
    """The two ends of a link that a test has handed to a relay itself, as a carrier's process does."""

    pid = 0

    def __init__(self, carrier: socket.socket) -> None:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        socket.send_fds(carrier, [b"link"], [theirs_in, theirs_out])
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin, self.stdout = os.fdopen(ours_out, "wb", 0), os.fdopen(ours_in, "rb", 0)
        self._carrier = carrier

    def wait(self, seconds: float) -> None:
        """Ends what stands for the carrier: there is no process to wait for."""
        del seconds
        self._carrier.close()

    def kill(self) -> None:
        """Closes everything at once."""
        for one in (self.stdin, self.stdout, self._carrier):
            one.close()


class Linked:
    """A link. Blocking, one thread. Credit is granted as bytes come, unless `hold` has the stream."""

    def __init__(self, process: Any, nonce: str) -> None:
        self.process = process
        self.streams: dict[int, Said] = {}
        self.about: dict[str, Any] = {}
        self.bye: str | None = None
        self.pongs: list[bytes] = []
        self.afters: list[dict[str, Any]] = []
        self.hold: set[int] = set()
        self.problem = ""
        self.closed = False
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._decoder = wire.Decoder()
        self._number = 0
        self._owed: dict[int, int] = {}

    def arrive(self) -> "Linked":
        """Reads up to HELLO, or the problem."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        word = line.rpartition(self._mark)[2].decode().strip()
        if word != "link":
            self.problem = word
            return self
        self.until(lambda: bool(self.about))
        return self

    def send(self, frames: bytes) -> None:
        """Raw bytes."""
        assert self.process.stdin
        left = memoryview(frames)
        while left:  # a signal may cut a write short
            left = left[self.process.stdin.write(left) :]

    def open(self, *argv: str, credit: int = wire.WINDOW, **more: Any) -> int:
        """A command; the stream's number."""
        return self.ask(argv=list(argv), credit=credit, **more)

    def ask(self, **request: Any) -> int:
        """Any request."""
        self._number += 1
        self.streams[self._number] = Said()
        self.send(wire.encode_request(self._number, request))
        return self._number

    def say(self, kind: int, number: int, body: bytes = b"") -> None:
        """One frame."""
        self.send(wire.encode(kind, number, body))

    def say_all(self, number: int, data: bytes) -> None:
        """Input, in frames as long as may be; there is credit for all of it."""
        for at in range(0, len(data), wire.CHUNK):
            self.say(wire.STDIN, number, data[at : at + wire.CHUNK])

    def finish(self, number: int) -> Said:
        """Waits for its end."""
        said = self.streams[number]
        self.until(lambda: said.exit is not None)
        return said

    def run(self, *argv: str, stdin: bytes = b"", **more: Any) -> Said:
        """Opens, gives all input, waits for the end."""
        number = self.open(*argv, **more)
        for at in range(0, len(stdin), wire.CHUNK):
            part = stdin[at : at + wire.CHUNK]
            said, need = self.streams[number], at + len(part)
            self.until(lambda said=said, need=need: said.exit or need <= wire.WINDOW + said.credit)
            self.say(wire.STDIN, number, part)
        self.say(wire.EOF, number)
        return self.finish(number)

    def until(self, true: Any, seconds: float = LIMIT) -> None:
        """Reads until it is true. TimeoutError; ConnectionError when the link ends before."""
        end = time.monotonic() + seconds
        while not true():
            if self.closed:
                raise ConnectionError(f"the link has ended: {self.bye}")
            if not self.step(max(0.0, end - time.monotonic())) and time.monotonic() > end:
                raise TimeoutError(self.streams)

    def step(self, seconds: float) -> bool:
        """Reads once; no when nothing came in time."""
        assert self.process.stdout
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], seconds)[0]:
            return False
        data = os.read(fd, 65536)
        self.closed = not data
        for frame in self._decoder.feed(data):
            self._frame(*frame)
        return True

    def leave(self) -> None:
        """EOF towards the relay; waits for the carrier's end."""
        assert self.process.stdin
        assert self.process.stdout
        self.hold.update(self.streams)  # what still comes is granted no credit
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        while not self.closed and self.step(LIMIT):
            pass
        self.process.stdout.close()
        self.process.wait(LIMIT)

    def _frame(self, kind: int, number: int, body: bytes) -> None:
        if kind == wire.HELLO:
            self.about = wire.decode_object(body)
        elif kind == wire.BYE:
            self.bye = wire.decode_object(body)["reason"]
        elif kind == wire.PONG:
            self.pongs.append(body)
        elif kind == wire.AFTER:
            self.afters.append(wire.decode_object(body))
        else:
            self._stream(kind, number, body)

    def _stream(self, kind: int, number: int, body: bytes) -> None:
        said = self.streams[number]
        said.kinds.append(kind)
        if kind in (wire.STDOUT, wire.STDERR):
            said.data.setdefault(kind, bytearray()).extend(body)
            self._owed[number] = self._owed.get(number, 0) + len(body)
            if number not in self.hold and self._owed[number] >= wire.WINDOW // 2:
                self.send(wire.encode_credit(number, self._owed.pop(number)))
        elif kind == wire.CREDIT:
            said.credit += wire.decode_credit(body)
        elif kind == wire.STARTED:
            said.started = wire.decode_object(body)
        elif kind == wire.EXIT:
            said.exit = wire.decode_exit(body)
        elif kind == wire.EOF:
            said.eof = True
        elif kind == wire.GAP:
            said.gaps.append((len(said.stdout), wire.decode_offset(body)))
        elif kind == wire.RECEIVED:
            said.received = wire.decode_offset(body)


class Far:
    """Where relays of one gateway run: `directory` is TMPDIR there, `python` the interpreter."""

    def __init__(self, directory: str, python: str) -> None:
        self.directory = Path(directory)
        self.python = python
        self.settings: dict[str, Any] = {
            "key": secrets.token_hex(12), "secret": secrets.token_hex(16), "idle": 5.0, "lease": 20.0,
        }  # fmt: skip
        self.links: list[Linked] = []

    @property
    def places(self) -> list[Path]:
        """The relay's directories."""
        return sorted(self.directory.glob("dap-relay-*"))

    def begin(
        self,
        *,
        version: str = "",
        env: dict[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Linked:
        """Starts a boot; `arrive` is the caller's. `more`: text that is added to modules of the relay."""
        sent, nonce = compiled(self.python), secrets.token_hex(8)
        archive = with_more(sent.archive, more) if more else sent.archive
        chosen = {**self.settings, "version": version or sent.version, "zip": len(archive), **settings}
        body = json.dumps(chosen).encode()
        process = subprocess.Popen(
            [self.python, "-I", "-S", "-X", "utf8", "-c", sent.boot, nonce, str(len(body))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=self.directory,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.directory), "HOME": "/nowhere", **(env or {})},
        )  # fmt: skip
        link = Linked(process, nonce)
        self.links.append(link)
        with suppress(BrokenPipeError):
            link.send(body + archive)
        return link

    def link(self, **more: Any) -> Linked:
        """A new link."""
        return self.begin(**more).arrive()

    def link_at_hand(self) -> Linked:
        """A new link to the relay that runs, without a boot and without a carrier's process: much cheaper."""
        (directory,) = self.places
        carrier = run_directory.connect(str(directory), self.links[0].about["version"])
        assert carrier
        fd_handover.greet(carrier, self.settings["secret"])
        link = Linked(Ends(carrier), "")
        self.links.append(link)
        link.until(lambda: bool(link.about))
        return link

    def leave(self) -> None:
        """Leaves every link."""
        for link in self.links:
            if link.process.stdout and not link.process.stdout.closed:
                link.leave()

    def forget(self) -> None:
        """Ends every command that has a name."""
        link = self.link_at_hand()
        listed = link.finish(link.ask(list=True)).stdout.splitlines()
        for name in [json.loads(line)["name"] for line in listed]:
            number = link.ask(attach=name)
            link.say(wire.END, number)
            link.finish(number)
        link.leave()

    def gone(self, seconds: float = 6.0) -> bool:
        """The daemon has left and removed its directory."""
        return becomes(lambda: not self.places, seconds)


@contextmanager
def far_side(python: str = sys.executable) -> Iterator[Far]:
    """On leaving every link is closed and nothing of the relay is left."""
    with tempfile.TemporaryDirectory(prefix="dap-far-") as directory:
        far = Far(directory, python)
        try:
            yield far
        finally:
            far.leave()
            for pid in {link.about["pid"] for link in far.links if link.about}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)  # it may have gone; a pid is not used again so soon
            assert far.gone(), far.places


@contextmanager
def lasting_side(python: str = sys.executable, more: Mapping[str, str] = {}) -> Iterator[Far]:
    """The same, and one relay runs there, a minute without a link too. `more`: see `Far.begin`."""
    with far_side(python) as far:
        far.settings["idle"] = 60.0
        far.link(more=more).leave()
        yield far
