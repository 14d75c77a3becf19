"""Encodes the lines to the plain chain's lease, and the commands that start the lease.

The lease is a bash in the runner (lease.sh), apart from the wrappers, whose input is their users'. It knows each wrapper
by nonce and pid, and reads lines whose words are separated by blanks; the last word is a full stop:

    .                                       the gateway lives; sent every 5 s
    + NONCE [PID SINCE WRAPPER [SESSION]]   register a wrapper; with the numbers of its `start`, once these are known
    - NONCE                                 drop this wrapper: its command has ended
    ! NONCE...                              end these commands: TERM (HUP too in a terminal), KILL 2 s later
    in MARK KUBECTL...                      register a mark, and the kubectl exec that reaches its container
    out MARK                                drop this mark: the gateway has searched the container
    take PID NONCE                          kill the lease before this one, which knows all the same commands
    bye                                     end; nothing is left to do

The lease answers a `!` line with `gone NONCE:HOW...`; HOW is none (nothing was left), term or kill. After 20 s without a
line, or 13 s after the end of its input, the lease ends every command that it knows, searches the containers of its marks
(search.sh), and exits. It waits those 13 s since its input may end alone: sessions on other connections live on, and the
gateway starts a new lease at once. A gateway that lives searches the containers by itself (reaper.py).

Incus kills an exec's child together with the client; the lease is not that child. It has its own process group (without
setsid), and writes no file. On the management host a loop between the lease and ssh (lease_host.sh) kills the incus client
of a command that is gone, 2 s later: that client may hang on a connection that nobody reads. Root in the runner can write
`gone` lines too, so the loop takes only hex nonces into its pattern, expands no file names (set -f), and has at most 16
jobs at a time.
"""

import re
from importlib.resources import files

from gateway.backends.incus.quoting import command_line
from gateway.backends.orphans import search
from gateway.backends.plain.wrapper import exec_line, send_words

TICK = 5.0  # seconds between lines; the lease ends after four times as long without a line
# In ticks: how long one `read` of the lease waits, three times in all. It must not time out just as a byte comes: bash
# would lose that byte.
_SLICE = 4 / 3
# Words that can stand in a line. A mark whose kubectl exec has other letters is not sent to the lease.
_WORD = re.compile(r"[\w.:/@%+=,-]+", re.ASCII)
_SCRIPT, _LOOP = (
    files(__package__).joinpath(name).read_text("ascii") for name in ("lease.sh", "lease_host.sh")
)
_LOOP = " ".join(_LOOP.split())  # csh allows no line break within quotes


def lease_line(instance: str, nonce: str, tick: float = TICK, *, project: str = "") -> str:
    """Returns the SSH exec request that starts a lease in an instance."""
    line = exec_line(instance, nonce, _argv(tick), tty=False, project=project)
    return command_line(["sh", "-c", f"{line} | {_LOOP}"])


def send_lease(tick: float = TICK) -> bytes:
    """Returns the bytes to send after `ready`: the lease's script, before any line."""
    return send_words(_SCRIPT, "lease", *_argv(tick))


def _argv(tick: float) -> tuple[str, str]:
    return f"{tick * _SLICE:.2f}", search.SCRIPT


def line(words: str) -> bytes:
    """Returns one line of the protocol as bytes."""
    return f"{words} .\n".encode()


def begun(nonce: str, roots: tuple[int, ...]) -> str:
    """Returns the line that registers a wrapper; `roots` is empty before its `start` (`Parsed.roots`)."""
    return " ".join(["+", nonce, *map(str, roots)])


def look(words: tuple[str, ...]) -> str:
    """Returns the line that registers a mark: `words` are the mark and the kubectl exec before a command. Empty where
    `words` is empty or has letters that a line cannot carry.
    """
    return " ".join(["in", *words]) if words and all(map(_WORD.fullmatch, words)) else ""
