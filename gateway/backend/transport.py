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


def _words(talk: bytes) -> str:
    return talk.decode("utf-8", "replace").replace("\r", "").strip()
