"""Recognises the failures of what stands before kubectl: ssh, incus, the runner's login shell."""

import re

from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome

_INCUS = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Error: .*Instance not found", "incus_not_found"),
        (r"Error: Failed to fetch instance", "incus_not_found"),
        (r"Error: Project not found|Error: The remote \".*\" doesn't exist", "incus_not_found"),
        (r"Error: .*[Ii]nstance is not running", "incus_stopped"),
        (r"Error: .*[Ii]nstance is (?:frozen|paused)", "incus_frozen"),
        (r"Error: websocket: close", "incus_lost"),
        (r"incus: (?:command )?not found", "incus_missing"),
        (r"Error: Command not (?:found|executable)", "runner_failed"),
        (r"bash: (?:command )?not found|exec: \"bash\": executable file not found", "runner_failed"),
        (r"Error: ", "incus_failed"),
    )
)
# Incus' own sentence (its client, lib/incus/connection.go), and Go's for a socket that another group owns
_NOT_ALLOWED = re.compile(r"needed permissions to talk to the incus daemon|dial unix .*permission denied")
_GROUP = (
    "; the account there must be in the group incus-admin (usermod -aG incus-admin USER; the group incus sees its own "
    "project only), which counts from its next login on"
)
_CUT = b"Error: websocket: close "
_LINE = 1024  # bytes of incus' line


def refusal(code: int | None, talk: bytes) -> HopFailed:
    """Returns the error for a wrapper that ended before it sent `ready`: `talk` is all its output, `code` the exit
    code of the transport. What incus says there decides the error's code; else it is runner_failed.
    """
    text = _words(talk)
    for pattern, name in _INCUS:
        if match := pattern.search(text):
            line = text[match.start() :].splitlines()[0].removeprefix("Error: ")
            return HopFailed(name, line + _GROUP if _NOT_ALLOWED.search(line) else line)
    output = f": {text[-400:]}" if text else " and said nothing"
    return HopFailed("runner_failed", f"the runner's login shell ended with code {code}{output}")


def loss(code: int | None) -> Outcome:
    """Returns the outcome incus_lost for a running command whose trailer never came, with the exit code of incus in
    the message (137: the instance was stopped; 1: the websocket was lost; 255: a helper of Incus was killed).
    """
    ended = "without a code" if code is None else f"with code {code}"
    return Outcome(
        "incus_lost", f"incus exec ended {ended} before the command did: the instance or incus was stopped"
    )


class IncusTrailerFilter:
    """Separates the error line of incus, which a cut link puts at the end of the command's own stream, from that
    stream.
    """

    def __init__(self) -> None:
        self.held = b""  # a possible line of incus; the command's own if the command's trailer came

    def feed(self, data: bytes) -> bytes:
        """Returns the command's bytes of `data` and of `held`; keeps in `held` what may be the line of incus, until
        more bytes follow that line.
        """
        data, self.held = self.held + data, b""
        start = data.rfind(_CUT)
        if start >= 0 and len(data) - start <= _LINE and b"\n" not in data[start:-1]:
            data, self.held = data[:start], data[start:]
        return data


def _words(talk: bytes) -> str:
    return talk.decode("utf-8", "replace").replace("\r", "").strip()
