"""The raw way: a new OpenSSH process each time, `ssh … incus exec … kubectl exec …`, as people type it today."""

import fcntl
import os
import pty
import select
import shlex
import struct
import subprocess
import tempfile
import termios
import time
from contextlib import suppress

from conversation import CHUNK, COLUMNS, LIMIT, ROWS, Asked, BenchError, Sink

_READ = 256 * 1024  # bytes; a terminal gives at most 4 KiB at once


class Raw:
    """`host` is the management host's name in the SSH configuration `config`."""

    name = "raw"

    def __init__(self, config: str, instance: str, pod: str, container: str, host: str = "mgmt") -> None:
        self._ssh = ("ssh", "-F", config)
        self._host = host
        self._instance = instance
        self._place = (pod, "-c", container)

    def open(self, asked: Asked) -> "RawConversation":
        """See `Way.open`."""
        flags, ssh_flags = ("-t", "-tt") if asked.tty else ("-T", "-T")
        inner = ["kubectl", "exec", "-it" if asked.tty else "-i", *self._place, "--", *asked.argv]
        line = ["incus", "exec", self._instance, flags, "--", "bash", "-lc", shlex.join(inner)]
        return RawConversation([*self._ssh, ssh_flags, self._host, shlex.join(line)], tty=asked.tty)


class RawConversation:
    """See `Conversation`. Reads block in this thread: the least that a reader can cost."""

    def __init__(self, argv: list[str], *, tty: bool) -> None:
        self._tty = tty
        self._buffer = b""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # what ssh says, closed in close()
        if tty:
            self._in, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            self._process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=self._said, start_new_session=True
            )
            os.close(slave)
            self._out = self._in
        else:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0
            )
            assert self._process.stdin
            assert self._process.stdout
            self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)  # else a write blocks, without limit, until ssh has read all of it

    def until(self, marker: bytes) -> bytes:
        """See `Conversation.until`."""
        deadline = time.monotonic() + LIMIT
        while marker not in self._buffer:
            more = self._more(deadline)
            if not more:
                raise BenchError(f"raw: ended without {marker!r}: {self._words()}")
            self._buffer += more
        before, _, self._buffer = self._buffer.partition(marker)
        return before

    def fetch(self, count: int, sink: Sink | None = None) -> None:
        """See `Conversation.fetch`."""
        deadline = time.monotonic() + LIMIT
        part, self._buffer = self._buffer, b""
        while True:
            if sink:
                sink(part[:count])
            count -= len(part)
            if count <= 0:
                break
            part = self._more(deadline)
            if not part:
                raise BenchError(f"raw: {count} bytes are missing at the end: {self._words()}")
        self._buffer = part[len(part) + count :]

    def send(self, data: bytes) -> None:
        """See `Conversation.send`."""
        deadline = time.monotonic() + LIMIT
        rest = memoryview(data)
        while rest:
            if not select.select([], [self._in], [], max(0.0, deadline - time.monotonic()))[1]:
                raise BenchError(f"raw: took no input for {LIMIT:g} s")
            try:
                rest = rest[os.write(self._in, rest[:CHUNK]) :]
            except OSError as error:
                raise BenchError(
                    f"raw: {len(rest)} bytes were not taken ({error}): {self._words()}"
                ) from None

    def send_eof(self) -> None:
        """See `Conversation.send_eof`."""
        assert self._process.stdin
        self._process.stdin.close()

    def echo(self, key: bytes) -> float:
        """See `Conversation.echo`."""
        began = time.perf_counter()
        os.write(self._in, key)
        self.until(key)
        return time.perf_counter() - began

    def end(self) -> bytes:
        """See `Conversation.end`."""
        deadline = time.monotonic() + LIMIT
        rest = self._buffer
        while more := self._more(deadline):
            rest += more
        try:
            code = self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise BenchError("raw: ssh closed its output and does not end") from None
        if code:
            raise BenchError(f"raw: ended with code {code} and {rest[-200:]!r}: {self._words()}")
        return rest

    def close(self) -> None:
        """See `Conversation.close`."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        if self._tty:
            os.close(self._in)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        self._said.close()

    def _more(self, deadline: float) -> bytes:
        """What has come, at least one byte; empty at the end."""
        if not select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise BenchError(f"raw: no output for {LIMIT:g} s: {self._words()}")
        try:
            return os.read(self._out, _READ)
        except OSError:  # a terminal whose other side has gone says EIO, not end of file
            return b""

    def _words(self) -> str:
        self._said.seek(0)
        return ascii(self._said.read()[-300:].decode("utf-8", "replace"))


def version() -> str:
    """As `ssh -V` says it."""
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, timeout=10, check=False)
    return done.stderr.strip().partition(",")[0]
