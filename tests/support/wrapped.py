"""The real wrapper, run by a local bash as incus would, through pipes or in a terminal."""

import fcntl
import os
import shlex
import subprocess
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.backend.wrapper import Parsed, Stderr, Stdout, exec_line, send_argv

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
    """Both streams through pipes; `stdin` is sent at once behind argv."""
    done = subprocess.run(
        bash(argv),
        input=send_argv(argv, kubectl=kubectl) + stdin,
        env=environment(home),
        cwd=home,
        capture_output=True,
        timeout=20,
        check=False,
    )
    out, err = Stdout(NONCE), Stderr(NONCE)
    body = out.feed(done.stdout) + out.end()
    errors = err.feed(done.stderr) + err.end()
    return Run(out.seen, done.returncode, body, errors, out.talk + err.talk, done.stdout)


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
    try:
        return os.read(master, 65536)
    except OSError:  # EIO: nobody has it open any more
        return b""


def _write(master: int, data: bytes) -> None:
    while data:
        data = data[os.write(master, data) :]
