"""The way to a link: one `incus exec … bash -lc`, the boot text, and what comes before the first frame.

bash reads the boot text from stdin as the plain wrapper does and becomes python3; that reads the settings and the zip.
Until its `link` there is only talk of the login profile, and what the runner has to say about itself.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gateway.backends.incus import trailer
from gateway.backends.incus.quoting import command_line
from gateway.backends.process import Process
from gateway.backends.relay.bundle import bundle
from gateway.errors import HopFailed

_BOOT = (
    r"""set +eu; h=$'\036'$1; if [[ -x $(type -P python3) ]]; then printf "%s ready\n" "$h"; """
    r"""mapfile -d "" -t -n 3 a; ((${#a[@]} == 3)) && exec python3 -I -S -X utf8 -c "${a[0]}" "$1" "${a[1]}"; """
    r"""else printf "%s bare\n" "$h"; fi"""
)
_TALK_LIMIT = 4096
_START = 10.0  # seconds for python3, which was found, to become a relay


class RelayUnsupported(HopFailed):
    """The runner is there and cannot have a relay; a plain chain may do. `never`: nor had it one before."""

    def __init__(self, message: str, *, never: bool = False) -> None:
        super().__init__("relay_failed", message)
        self.never = never


def link_line(instance: str, nonce: str) -> str:
    """The SSH exec request, for any login shell."""
    return command_line(["incus", "exec", instance, "-T", "--", "bash", "-lc", _BOOT, "dap", nonce])


def send_boot(settings: Mapping[str, Any]) -> bytes:
    """What bash and the boot text read: the text and a number, each NUL-terminated, settings, zip."""
    sent = bundle()
    body = json.dumps({**settings, "version": sent.version, "zip": len(sent.archive)}).encode()
    return f"{sent.boot}\0{len(body)}\0\0".encode() + body + sent.archive


async def arrive(process: Process, nonce: str, settings: Mapping[str, Any]) -> bytes:
    """Returns at `link`, with the bytes that came behind it. Raises HopFailed, RelayUnsupported."""
    before = Handshake(nonce)
    while not (before.ready or before.problem):
        if not await _read(process, before):
            raise trailer.refusal(process.exit_code, before.talk)
    try:
        async with asyncio.timeout(_START):
            await process.write(send_boot(settings))
            while not (before.linked or before.problem):
                if not await _read(process, before):
                    raise RelayUnsupported(trailer.refusal(process.exit_code, before.talk).message)
    except TimeoutError:
        raise RelayUnsupported(f"python3 in the runner became no relay within {_START:g} s") from None
    if before.problem:
        raise RelayUnsupported(before.problem, never=before.bare)
    return before.rest


async def _read(process: Process, before: "Handshake") -> bool:
    batch = await process.read()
    if not batch and process.lost:
        raise process.failure()
    for kind, data in batch:
        before.feed(data, mark=kind == 1)
    return bool(batch)


class Handshake:
    """Reads what comes before the first frame."""

    def __init__(self, nonce: str) -> None:
        self.ready = self.linked = self.bare = False
        self.problem = ""
        self._talk = b""
        self.rest = b""  # behind `link`
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._held = b""  # an unfinished line of ours, or what could be its beginning

    @property
    def talk(self) -> bytes:
        """The last of what was said that is not ours."""
        return (self._talk + self._held)[-_TALK_LIMIT:]

    def feed(self, data: bytes, *, mark: bool = True) -> None:
        """`mark`: it came on stdout."""
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
