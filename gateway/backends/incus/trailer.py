"""What the links before kubectl say when they fail: ssh, incus, the runner's login shell."""

import re

from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome

_INCUS = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Error: .*Instance not found", "incus_not_found"),
        (r"Error: Failed to fetch instance", "incus_not_found"),
        (r"Error: .*[Ii]nstance is not running", "incus_stopped"),
        (r"Error: .*[Ii]nstance is (?:frozen|paused)", "incus_frozen"),
        (r"Error: websocket: close", "incus_lost"),
        (r"incus: (?:command )?not found", "incus_missing"),
        (r"Error: Command not (?:found|executable)", "runner_failed"),
        (r"bash: (?:command )?not found|exec: \"bash\": executable file not found", "runner_failed"),
        (r"Error: ", "incus_failed"),
    )
)
_CUT = b"Error: websocket: close "
_LINE = 1024  # bytes of incus' line


def refusal(code: int | None, talk: bytes) -> HopFailed:
    """The wrapper never said `ready`; `talk` is all that was said instead, `code` the transport's."""
    text = _words(talk)
    for pattern, name in _INCUS:
        if match := pattern.search(text):
            line = text[match.start() :].splitlines()[0]
            return HopFailed(name, line.removeprefix("Error: "))
    said = f": {text[-400:]}" if text else " and said nothing"
    return HopFailed("runner_failed", f"the runner's login shell ended with code {code}{said}")


def loss(code: int | None) -> Outcome:
    """The command was running and no trailer came: the link into the runner was lost (16b: 137 is a stopped
    instance, 1 a lost websocket, 255 a killed helper of Incus).
    """
    ended = "without a code" if code is None else f"with code {code}"
    return Outcome(
        "incus_lost", f"incus exec ended {ended} before the command did: the instance or incus was stopped"
    )


class IncusTrailerFilter:
    """What incus says when its link is cut comes on the command's own stream, last: bytes in, the command's out."""

    def __init__(self) -> None:
        self.held = b""  # the command's after all, if it ended and said so

    def feed(self, data: bytes) -> bytes:
        """Its line is held until something follows it."""
        data, self.held = self.held + data, b""
        start = data.rfind(_CUT)
        if start >= 0 and len(data) - start <= _LINE and b"\n" not in data[start:-1]:
            data, self.held = data[:start], data[start:]
        return data


def _words(talk: bytes) -> str:
    return talk.decode("utf-8", "replace").replace("\r", "").strip()
