"""What the plain chain's lease is, and the lines that it reads.

The input of a session is its user's, so the lease is one bash of its own in the runner. It knows the wrappers by their
nonces and pids, and reads lines (words are parted by blanks, and the last is a full stop):

    .                                       the gateway lives; one every 5 s
    + NONCE [PID SINCE WRAPPER [SESSION]]   know this one, from the wrapper's `start` on with its numbers
    - NONCE                                 it has ended
    ! NONCE...                              end these now: TERM (HUP too in a terminal), KILL 2 s later
    in MARK KUBECTL...                      what carries this mark in a container is found so (search.sh)
    out MARK                                and nothing is there, as the gateway has seen
    take PID NONCE                          end the lease that was before: this one knows all that it knew
    bye                                     all is over

and says `gone NONCE:how...` of what it was to end: none (nothing was left), term, kill, left. After 20 s without a line,
or 13 s after the end of its input, it ends all that it knows, looks in the containers, and ends itself; the end alone
says little, since sessions on other connections may live, and a new lease comes at once then. While the gateway lives,
the gateway looks there (reaper.py), soon after the session's end; it may be killed before it has.

It is no child of the exec that Incus would kill with the client, it is in a process group of its own (no setsid is
needed for that), and it writes no file. On the management host a loop between it and ssh (lease_host.sh) ends the incus
client of what is gone, 2 s later, should it hang on a connection that nobody reads; a nonce is hex, so that nothing else
gets into the pattern. Whoever is root in the runner writes these lines: no name of a file gets in either (set -f), and at
most 16 of the loop's jobs run at a time.
"""

import re
from importlib.resources import files

from gateway.backends.incus.quoting import command_line
from gateway.backends.orphans import search
from gateway.backends.plain.wrapper import exec_line, send_words

TICK = 5.0  # seconds between bytes; four times as long without one is the end
# Of a tick: how long the lease waits for a byte, three times. It must not run out just when one comes: bash loses that.
_SLICE = 4 / 3
# What the lease may be told; a session whose context has other letters is not.
_WORD = re.compile(r"[\w.:/@%+=,-]+", re.ASCII)
_SCRIPT, _LOOP = (
    files(__package__).joinpath(name).read_text("ascii") for name in ("lease.sh", "lease_host.sh")
)
_LOOP = " ".join(_LOOP.split())  # csh has no line breaks in quotes


def lease_line(instance: str, nonce: str, tick: float = TICK) -> str:
    """The SSH exec request."""
    return command_line(["sh", "-c", f"{exec_line(instance, nonce, _argv(tick), tty=False)} | {_LOOP}"])


def send_lease(tick: float = TICK) -> bytes:
    """What it reads after its `ready`, before the lines."""
    return send_words(_SCRIPT, "lease", *_argv(tick))


def _argv(tick: float) -> tuple[str, str]:
    return f"{tick * _SLICE:.2f}", search.SCRIPT


def line(words: str) -> bytes:
    """As it reads them."""
    return f"{words} .\n".encode()


def begun(nonce: str, roots: tuple[int, ...]) -> str:
    """The line that says who it is, or that it will be there."""
    return " ".join(["+", nonce, *map(str, roots)])


def look(words: tuple[str, ...]) -> str:
    """The line for a mark, and the kubectl exec before a command; empty where it cannot be said."""
    return " ".join(["in", *words]) if words and all(map(_WORD.fullmatch, words)) else ""
