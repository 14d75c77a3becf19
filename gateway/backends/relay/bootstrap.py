"""Starts a relay in the runner with one `incus exec … bash -lc`, and reads what comes before the first frame.

bash reads the text of boot.py from stdin and becomes a python3 with that text, which reads the settings and the zip.
Before the line `link` come the login profile's output, and status lines, which begin with RS and the nonce.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gateway.backends.incus import trailer
from gateway.backends.incus.quoting import command_line, incus_exec
from gateway.backends.process import Process
from gateway.backends.relay.bundle import bundle
from gateway.errors import HopFailed

_BOOT = (
    r"""set +eu; h=$'\036'$1; if [[ -x $(type -P python3) ]]; then printf "%s ready\n" "$h"; """
    r"""mapfile -d "" -t -n 3 a; ((${#a[@]} == 3)) && exec python3 -I -S -X utf8 -c "${a[0]}" "$1" "${a[1]}"; """
    r"""else printf "%s bare\n" "$h"; fi"""
)
_TALK_LIMIT = 4096
_START = 10.0  # seconds for python3 to become a relay, once the runner is `ready`


class RelayUnsupported(HopFailed):
    """Raised when the runner answers but cannot have a relay; a plain chain may work. `never`: True if its python3 is
    missing or too old, so that no earlier relay can be running either.
    """

    def __init__(self, message: str, *, never: bool = False) -> None:
        super().__init__("relay_failed", message)
        self.never = never


def link_line(instance: str, nonce: str, project: str = "") -> str:
    """Returns the command line that starts a relay, quoted for any login shell. `nonce` marks its status lines."""
    return command_line([*incus_exec(instance, project), "bash", "-lc", _BOOT, "dap", nonce])


def send_boot(settings: Mapping[str, Any]) -> bytes:
    """Returns what bash and boot.py read from stdin: the text of boot.py, the length of the settings and an empty
    field, each NUL-terminated; then the settings as JSON, and the zip.
    """
    sent = bundle()
    body = json.dumps({**settings, "version": sent.version, "zip": len(sent.archive)}).encode()
    return f"{sent.boot}\0{len(body)}\0\0".encode() + body + sent.archive


async def arrive(process: Process, nonce: str, settings: Mapping[str, Any]) -> bytes:
    """Starts a relay in a process that runs `link_line`, and returns the bytes that came behind its line `link`.
    Raises RelayUnsupported where the runner cannot have a relay or does not start it in 10 s; HopFailed where the
    process is lost, or ends before `ready`. The caller bounds the wait for `ready`.
    """
    handshake = Handshake(nonce)
    while not (handshake.ready or handshake.problem):
        if not await _read(process, handshake):
            raise trailer.refusal(process.exit_code, handshake.talk)
    try:
        async with asyncio.timeout(_START):
            await process.write(send_boot(settings))
            while not (handshake.linked or handshake.problem):
                if not await _read(process, handshake):
                    raise RelayUnsupported(trailer.refusal(process.exit_code, handshake.talk).message)
    except TimeoutError:
        raise RelayUnsupported(f"python3 in the runner did not become a relay within {_START:g} s") from None
    if handshake.problem:
        raise RelayUnsupported(handshake.problem, never=handshake.bare)
    return handshake.rest


async def _read(process: Process, handshake: "Handshake") -> bool:
    batch = await process.read()
    if not batch and process.lost:
        raise process.failure()
    for kind, data in batch:
        handshake.feed(data, mark=kind == 1)
    return bool(batch)


class Handshake:
    """Parses what comes before the first frame. `ready`, `linked`: these status lines have come; `problem`: why there
    will be no relay, empty if nothing is known; `bare`: the problem is a python3 that is missing or too old.
    """

    def __init__(self, nonce: str) -> None:
        self.ready = self.linked = self.bare = False
        self.problem = ""
        self._talk = b""
        self.rest = b""  # bytes behind the line `link`: frames
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._held = b""  # an unfinished status line, or bytes that may begin a status line

    @property
    def talk(self) -> bytes:
        """Returns the last 4096 bytes, of stdout and stderr, that are in no complete status line."""
        return (self._talk + self._held)[-_TALK_LIMIT:]

    def feed(self, data: bytes, *, mark: bool = True) -> None:
        """Parses bytes of the process for status lines. `mark`: True for stdout, False for stderr, which has no such
        lines.
        """
        if not mark:
            self._talked(data)
            return
        data, self._held = self._held + data, b""
        while not self.linked and (at := data.find(self._mark)) >= 0:
            end = data.find(b"\n", at)
            if end < 0:
                break
            self._talked(data[:at])
            self._said(data[at + len(self._mark) : end].decode("utf-8", "replace"))
            data = data[end + 1 :]
        if self.linked:
            self.rest += data
            return
        at = data.find(self._mark)
        keep = at if at >= 0 else max(0, len(data) - len(self._mark))
        self._talked(data[:keep])
        self._held = data[keep:][:_TALK_LIMIT]

    def _talked(self, data: bytes) -> None:
        self._talk = (self._talk + data)[-_TALK_LIMIT:]

    def _said(self, word: str) -> None:
        if word == "ready":
            self.ready = True
        elif word == "link":
            self.linked = True
        elif word == "bare":
            self.bare = True
            self.problem = "the runner has no python3 that its login shell could run"
        elif word.startswith(("old ", "error ")):
            kind, _, why = word.partition(" ")
            self.bare = kind == "old"
            self.problem = f"the relay could not be started: {why}"
