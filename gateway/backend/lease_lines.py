"""What the plain chain's lease is, and the lines that it reads.

The input of a session is its user's, so the lease is one bash of its own in the runner. It knows the wrappers by their
nonces and pids, and reads lines (words are parted by blanks, and the last is a full stop):

    .                                       the gateway lives; one every 5 s
    + NONCE [PID SINCE WRAPPER [SESSION]]   know this one, from the wrapper's `start` on with its numbers
    in NONCE MARK KUBECTL...                and what it leaves in its container is found so (leftovers.sh)
    - NONCE                                 it has ended
    ! NONCE...                              end these now: TERM (HUP too in a terminal), KILL 2 s later
    take PID NONCE                          end the lease that was before: this one knows all that it knew
    bye                                     all is over

and says `gone NONCE:how...` of what it was to end: none (nothing was left), term, kill, left. After 20 s without a line,
or 13 s after the end of its input, it ends all that it knows, looks in their containers, and ends itself; the end alone
says little, since sessions on other connections may live, and a new lease comes at once then. While the gateway lives,
the gateway looks there (reaper.py).

It is no child of the exec that Incus would kill with the client, it is in a process group of its own (no setsid is
needed for that), and it writes no file. On the management host a loop between it and ssh (lease_host.sh) ends the incus
client of what is gone, 2 s later, should it hang on a connection that nobody reads; a nonce is hex, so that nothing else
gets into the pattern.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from gateway.backend import leftovers
from gateway.backend.wrapper import exec_line, send_words

TICK = 5.0  # seconds between bytes; four times as long without one is the end
# Of a tick: how long the lease waits for a byte, three times. It must not run out just when one comes: bash loses that.
_SLICE = 4 / 3
# What the lease may be told; a session whose context has other letters is not.
_WORD = re.compile(r"[\w.:/@%+=,-]+", re.ASCII)
_SCRIPT, _LOOP = (
    files("gateway.backend").joinpath(name).read_text("ascii") for name in ("lease.sh", "lease_host.sh")
)


def lease_line(instance: str, nonce: str, tick: float = TICK) -> str:
    """The SSH exec request."""
    return f"sh -c {shlex.quote(f'{exec_line(instance, nonce, _argv(tick), tty=False)} | {_LOOP}')}"


def send_lease(tick: float = TICK) -> bytes:
    """What it reads after its `ready`, before the lines."""
    return send_words(_SCRIPT, "lease", *_argv(tick))


def _argv(tick: float) -> tuple[str, str]:
    return f"{tick * _SLICE:.2f}", leftovers.SCRIPT


@dataclass
class Known:
    """`roots`: what the wrapper's `start` said. `look`: the mark, and the kubectl that gets into the container."""

    roots: tuple[int, ...] = ()
    look: tuple[str, ...] = ()

    @classmethod
    def of(cls, look: tuple[str, ...]) -> "Known":
        """Of a session that is being started."""
        return cls(look=look if all(map(_WORD.fullmatch, look)) else ())

    def begun(self, nonce: str) -> str:
        """The line that says who it is, or that it will be there."""
        return " ".join(["+", nonce, *map(str, self.roots)])

    def lines(self, nonce: str) -> Iterator[str]:
        """All that there is to say."""
        yield self.begun(nonce)
        if self.look:
            yield " ".join(["in", nonce, *self.look])
