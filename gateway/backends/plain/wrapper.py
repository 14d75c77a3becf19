"""Starts the wrapper, a bash text that runs one command in the runner, and separates its marks from the output.

A mark is a line that begins with RS and the session's nonce, so that no byte of the command and no talk (what the login
shell's profile writes) can be taken for a mark:

    stdout  talk, RS NONCE ready, [script and argv are sent now], RS NONCE start PID SINCE WRAPPER [SESSION]
            (or absent), the command's bytes, among them RS NONCE also PID where kubectl is a script that runs
            kubectl (a process below it, found in its first two seconds), RS NONCE exit CODE, in a terminal kubectl's messages, RS NONCE
    stderr  talk, RS NONCE, the command's bytes and kubectl's messages, RS NONCE        (without a terminal)

The script and the argv go through stdin as NUL-terminated strings: the script, a mode word, the arguments, an empty
string. Where the connection cuts them off, nothing runs. In a terminal, the mode `kubectl` keeps stderr apart, which is
kubectl's own. The wrapper always exits 0, since incus cuts the output of a process that exits 126 or 127: any other code
is therefore the transport's. Without a terminal, a first TERM to the wrapper sends TERM to the command's process group,
the next TERM sends KILL.

Without a terminal, incus on a busy machine may lose what is written just before the exit: the last line of stderr, in one
session of 400. So the wrapper waits up to 5 s for a TERM, by which the gateway confirms that it has all output. The wrapper
heeds TERM even before its first end mark: the confirmation may be that quick.
"""

from dataclasses import dataclass
from enum import Enum
from importlib.resources import files

from gateway.backends.incus.quoting import command_line, incus_exec

# All that `ps` shows on the two hosts. The terminal becomes raw before the gateway sends into it, and stays raw: mapfile
# leaves it so, while `read -d` would turn signals and CR-to-NL on again (bash's ttcbreak).
_BOOT = (
    r"set +eu; h=$'\036'$1 t=; [ -t 0 ] && t=$(stty -g) && stty raw -echo; "
    r'''printf "%s ready\n" "$h"; mapfile -d "" -t -n "$2" a; ((${#a[@]} == "$2")) && eval "${a[0]}"'''
)
_SCRIPT = files(__package__).joinpath("wrapper.sh").read_text("ascii")
TALK_LIMIT = 4096  # bytes of a profile's talk kept for the diagnosis, and of kubectl's words in a terminal
MARK_LIMIT = 256  # bytes of a mark's line


def exec_line(instance: str, nonce: str, argv: tuple[str, ...], *, tty: bool, project: str = "") -> str:
    """Returns the SSH exec request that starts the wrapper, for any login shell on the management host: a few hundred
    bytes, of which only the number of arguments depends on `argv`. `tty`: with a terminal. `project`: of
    Incus, empty for its current one.
    """
    words = ["bash", "-lc", _BOOT, "dap", nonce, str(len(argv) + 3)]
    return command_line([*incus_exec(instance, project, tty=tty), *words])


def send_argv(argv: tuple[str, ...], *, kubectl: bool) -> bytes:
    """Returns the bytes to send after `ready`: the wrapper's script, its mode and `argv`. The arguments are free of NUL
    (protocol.target.check_argv).
    """
    return send_words(_SCRIPT, "kubectl" if kubectl else "command", *argv)


def send_words(script: str, mode: str, *argv: str) -> bytes:
    """Returns the bytes that the boot text reads, for an `exec_line` with the same argv: it runs `script`."""
    return b"".join(word.encode() + b"\0" for word in (script, mode, *argv, ""))


class _At(Enum):
    TALK = 1  # before `ready` (stdout), before the first mark (stderr)
    READY = 2  # before `start`
    BODY = 3
    WORDS = 4  # kubectl's messages, after `exit`
    END = 5


@dataclass
class Parsed:
    """Holds what the marks on stdout have told so far."""

    ready: bool = False
    pid: int | None = None  # of kubectl, or of the command itself; in a terminal the wrapper's own
    roots: tuple[int, ...] = ()  # pid, its start in ticks, the wrapper's pid, in a terminal its session
    below: tuple[int, ...] = ()  # processes that may be kubectl where `pid` is a script that runs kubectl
    absent: bool = False  # the runner has no such program
    code: int | None = None
    words: bytes = b""  # kubectl's messages, in a terminal
    complete: bool = False  # `exit` and the last mark have come


class Stdout:
    """Separates the wrapper's stdout into the command's bytes, `talk` (its last bytes) and the marks' contents, `seen`."""

    def __init__(self, nonce: str) -> None:
        self.seen = Parsed()
        self.talk = b""
        self._mark = b"\x1e" + nonce.encode()
        self._at = _At.TALK
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Returns the command's bytes in `data`; holds back bytes that could begin a mark until more has come."""
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        body: list[bytes] = []
        while buffer and self._at is not _At.END:
            start = buffer.find(self._mark)
            if start < 0:
                keep = _partial(buffer, self._mark)
                self._take(buffer[: len(buffer) - keep], body)
                self._rest = buffer[len(buffer) - keep :]
                break
            end = buffer.find(b"\n", start)
            self._take(buffer[:start], body)
            if end < 0 and len(buffer) - start > MARK_LIMIT:
                self._at = _At.END  # no wrapper of ours says that: nothing more is believed
                break
            if end < 0:
                self._rest = buffer[start:]
                break
            self._line(buffer[start + len(self._mark) : end].split())
            buffer = buffer[end + 1 :]
        return b"".join(body) if len(body) != 1 else body[0]

    def end(self) -> bytes:
        """Returns the bytes held back at the end of the stream, which are the command's where no `exit` has come."""
        rest, self._rest = self._rest, b""
        return rest if self._at is _At.BODY else b""

    def _take(self, data: bytes, body: list[bytes]) -> None:
        if self._at is _At.BODY:
            if data:
                body.append(data)
        elif self._at is _At.WORDS:
            self.seen.words = (self.seen.words + data)[-TALK_LIMIT:]
        else:
            self.talk = (self.talk + data)[-TALK_LIMIT:]

    def _line(self, fields: list[bytes]) -> None:
        seen = self.seen
        match fields:
            case [b"ready"]:
                seen.ready, self._at = True, _At.READY
            case [b"absent"]:
                seen.absent, self._at = True, _At.BODY
            case [b"start", pid, *more] if pid.isdigit():
                seen.pid, self._at = int(pid), _At.BODY
                # without /proc there are fewer numbers
                if len(more) > 1 and all(word.isdigit() for word in more):
                    seen.roots = (seen.pid, *map(int, more))
            case [b"also", pid] if pid.isdigit():
                seen.below = (*seen.below, int(pid))
            case [b"exit", code] if code.isdigit():
                seen.code, self._at = int(code), _At.WORDS
            case _:
                seen.complete, self._at = self._at is _At.WORDS, _At.END


class Stderr:
    """Separates the wrapper's stderr: `talk` (its last bytes), a mark, the command's bytes, a mark."""

    def __init__(self, nonce: str) -> None:
        self.talk = b""
        self.started = self.ended = False
        self._mark = b"\x1e" + nonce.encode() + b"\n"
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Returns the command's bytes in `data`, kubectl's messages among them; holds back what could begin a mark."""
        if self.ended:
            return b""
        buffer = self._rest + data
        self._rest = b""
        if not self.started:
            talk, mark, buffer = buffer.partition(self._mark)
            self.talk = (self.talk + talk)[-TALK_LIMIT:]
            if not mark:
                keep = _partial(talk, self._mark)
                self._rest = talk[len(talk) - keep :]
                self.talk = self.talk[: len(self.talk) - keep]
                return b""
            self.started = True
        body, mark, _ = buffer.partition(self._mark)
        if mark:
            self.ended = True
            return body
        keep = _partial(body, self._mark)
        self._rest = body[len(body) - keep :]
        return body[: len(body) - keep]

    def end(self) -> bytes:
        """Returns the bytes held back at the end of the stream, which are the command's where the first mark has come."""
        rest, self._rest = self._rest, b""
        return rest if self.started else b""


def _partial(data: bytes, mark: bytes) -> int:
    """Returns how many bytes at the end of `data` could begin `mark`."""
    start = data.rfind(mark[:1], max(0, len(data) - len(mark) + 1))
    return len(data) - start if start >= 0 and mark.startswith(data[start:]) else 0
