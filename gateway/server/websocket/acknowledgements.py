"""What a client of ours is told besides output: the hello, and how much of its input has been taken."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gateway import __version__
from gateway.protocol.messages import Control
from gateway.sessions.session import Session
from gateway.settings.config import Limits

_SOON = 0.1  # seconds until input that was taken is told of, unless it is much


def hello(session: Session, window: int | None, resume: dict[str, Any] | None) -> Control:
    """Returns the first message. `window`: bytes of input that may be under way; `resume`: what the client needs to
    come back.
    """
    target, command = session.target, session.command
    names = {name: getattr(target, name) or None for name in ("cluster", "namespace", "pod", "container")}
    body = {"type": "hello", "session": session.name, "gateway": __version__, "tty": command.tty}
    age = max(0, int(time.time() - session.times.opened))
    body |= {"exact": not command.drops_floods, "way": session.way or None, "age": age}
    said = {"target": names, "command": list(command.argv) or None, "window": window, "resume": resume}
    return Control(body | said | ({"note": session.note} if session.note else {}))


class Acknowledgements:
    """Tells how much of a terminal's input has been taken, beyond which `window` bytes may be on their way. A pipe has
    none: receipts stand behind output, and whoever writes all of its input before it reads would wait for ever.
    """

    def __init__(self, session: Session, limits: Limits) -> None:
        self.told = session.bytes_in  # the offset
        self.window = limits.window if session.command.tty and session.command.stdin else None
        self._session = session
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def due(self, wake: Callable[[], None]) -> Control | None:
        """Returns the message that is to be sent now, or None; calls `wake` later when there may be one."""
        received, now = self._session.received, time.monotonic()
        if self.window is None or received <= self.told:
            return None
        if now - self._at >= _SOON or received - self.told >= self.window // 4:
            self.told, self._at = received, now
            return Control({"type": "received", "offset": received})
        loop = asyncio.get_running_loop()
        if not self._timer or self._timer.when() <= loop.time():
            self._timer = loop.call_later(_SOON, wake)
        return None
