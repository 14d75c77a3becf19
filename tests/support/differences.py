"""Every deliberate difference between an API server and the gateway, as a change of what the API server said.

The keys are those of the table in gateway/protocol/README.md, which has the reasons; a test holds the two together.
None stands for what no transcript shows: a test of its own, or none, has it.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from support.exec_client import Refusal, Transcript

from gateway.protocol.status import Status, failure, internal_error

Change = Callable[[Transcript], Transcript]


def same(said: Transcript) -> Transcript:
    """What the API server says when it is asked without the thing that it does not stand."""
    return said


def bad_request(message: str) -> Change:
    """HTTP 400 with a Status, whatever the API server made of it."""
    return lambda _: Transcript(
        refusal=Refusal(400, "application/json", failure(400, message).json(http=True))
    )


def translated(said: Transcript) -> Transcript:
    """A Status in an old kubelet's words, as the API server's v5 handler says it."""
    return replace(said, statuses=[_translated(status) for status in said.statuses])


def _translated(data: bytes) -> bytes:
    status = Status.parse(data)
    assert status
    if status.reason == "InternalError":
        return internal_error(status.message).json()
    words = r"error executing command \[.*\], exit code (\d+)$"
    message = re.sub(
        words, r"command terminated with exit code \1", status.message, flags=re.ASCII | re.DOTALL
    )
    return replace(status, message=message).json()


CHANGES: dict[str, Change | None] = {
    # before the upgrade
    "refused-late": None,
    "container-unasked": None,
    "kubelet-refusal": None,
    "no-stream": bad_request("you must specify at least 1 of stdin, stdout, stderr"),
    "command-missing": bad_request("you must specify at least one command for the container"),
    "name-impossible": bad_request(
        "'Web_0' is not a pod name: use lower case letters, digits and '-', at most 253 characters"
    ),
    "argument-impossible": bad_request(
        "command argument 1 contains a NUL byte, which no program can be given"
    ),
    "anonymous": None,
    "no-protocol-in-common": None,
    "empty-protocol-header": None,
    "spdy": None,
    "other-verbs": None,
    # in a session
    "fragmented": same,
    "resize-malformed": same,
    "resize-without-terminal": same,
    "terminal-size": lambda said: replace(
        said, streams={1: bytearray(said.stdout.replace(b"[]", b"[24 80]"))}
    ),
    "terminal-stderr": lambda said: replace(said, hello=[3]),
    # at its end
    # it closes at once, sometimes before its own hello is out
    "half-close-malformed": lambda said: replace(said, close_code=1002, hello=[1]),
    "message-too-big": lambda said: replace(said, close_code=1009),
    "v4-words": translated,
    "pod-deleted": None,
    "hop-failed": None,
    "tcp-close": None,
}
