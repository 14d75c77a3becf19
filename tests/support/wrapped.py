"""The real wrapper, run by a local bash as incus would, through pipes or in a terminal."""

import fcntl
import os
import selectors
import shlex
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

from gateway.backends.plain.wrapper import Parsed, Stderr, Stdout, exec_line, send_argv
from gateway.relay.process import read_after_eio

NONCE = "0123456789abcdef"


@dataclass
class Run:
    """What came out, through the parsers. `code` is the wrapper's own."""

    seen: Parsed
    code: int
    stdout: bytes
    stderr: bytes = b""
    talk: bytes = b""
    raw: bytes = field(default=b"", repr=False)


def bash(argv: tuple[str, ...], *, tty: bool = False) -> list[str]:
    """What incus is asked to run."""
    words = shlex.split(exec_line("runner", NONCE, argv, tty=tty))
    return words[words.index("--") + 1 :]


def piped(argv: tuple[str, ...], home: Path, stdin: bytes = b"", *, kubectl: bool = False) -> Run:
    """Both streams through pipes; `stdin` is sent at once behind argv. TERM when it has said all, as the gateway does."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        bash(argv), stdin=pipe, stdout=pipe, stderr=pipe, env=environment(home), cwd=home
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    feeder = Thread(target=_feed, args=(process.stdin, send_argv(argv, kubectl=kubectl) + stdin))
    feeder.start()
    out, err, raw, body, errors = Stdout(NONCE), Stderr(NONCE), b"", b"", b""
    try:
        with selectors.DefaultSelector() as streams:
            streams.register(process.stdout, selectors.EVENT_READ)
            streams.register(process.stderr, selectors.EVENT_READ)
            while streams.get_map():
                for key, _ in streams.select(20):
                    data = os.read(key.fd, 65536)
                    if not data:
                        streams.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        raw += data
                        body += out.feed(data)
                    else:
                        errors += err.feed(data)
                if out.seen.complete and err.ended:
                    process.terminate()
        code = process.wait(20)
    finally:
        process.kill()
        feeder.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        process.wait()
    return Run(out.seen, code, body + out.end(), errors + err.end(), out.talk + err.talk, raw)


def _feed(stdin: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError):
        stdin.write(data)
    with suppress(BrokenPipeError):
        stdin.close()


def in_terminal(
    argv: tuple[str, ...],
    home: Path,
    keys: bytes = b"",
    *,
    kubectl: bool = False,
    at: Callable[[int, bytes], None] | None = None,
) -> Run:
    """In a new terminal, as a session leader. `keys` are sent at once behind argv; `at(pid, body)` sees each chunk."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        bash(argv, tty=True),
        stdin=slave, stdout=slave, stderr=slave, env=environment(home), cwd=home,
        start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509  # one ioctl
    )  # fmt: skip
    os.close(slave)
    out, raw, body, sent = Stdout(NONCE), b"", b"", False
    try:
        while data := _read(master):
            raw += data
            body += out.feed(data)
            if out.seen.ready and not sent:
                sent = True
                _write(master, send_argv(argv, kubectl=kubectl) + keys)
            if at:
                at(process.pid, body)
        return Run(out.seen, process.wait(20), body + out.end(), talk=out.talk, raw=raw)
    finally:
        os.close(master)
        process.kill()
        process.wait()


def environment(home: Path) -> dict[str, str]:
    """Little; HOME may have a profile."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read(master: int) -> bytes:
    """Empty at the end."""
    try:
        return os.read(master, 65536)
    except OSError:  # EIO: nobody has it open any more
        return read_after_eio(master, 65536)


def _write(master: int, data: bytes) -> None:
    while data:
        data = data[os.write(master, data) :]
