"""The daemon's door: carriers of its own user and gateway come in, each with the two descriptors of a link."""

from __future__ import annotations

import hmac
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from .loop import Loop

_HANDSHAKE = 10.0  # seconds for a carrier to say who sends it
_PAUSE = 1.0  # seconds until the next carrier, when one could not be let in


class Listener:
    """`came` is called with a carrier and its two descriptors. Whoever has it then dismisses it. `sessions`: how many
    there are that may be attached again.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        secret: str,
        sessions: Callable[[], int],
        came: Callable[[socket.socket, tuple[int, int]], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._secret = secret.encode()
        self._sessions = sessions
        self._came = came

    def open(self) -> None:
        """From now on."""
        self._listener.setblocking(False)
        self._listen()

    def dismiss(self, carrier: socket.socket) -> None:
        """It has ended, or has to."""
        if carrier.fileno() >= 0:
            self._loop.close(carrier.detach())

    def _listen(self) -> None:
        self._loop.readable(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            carrier, _ = self._listener.accept()
        except OSError:  # no descriptors left: it would be tried for ever
            self._loop.readable(self._listener.fileno(), None)
            self._loop.later(_PAUSE, self._listen)
            return
        carrier.setblocking(False)
        fd = carrier.fileno()
        timer = self._loop.later(_HANDSHAKE, lambda: self.dismiss(carrier))

        def said() -> None:
            if self._knows(carrier):
                self._loop.readable(fd, handed)
            else:
                broke()

        def handed() -> None:
            timer.cancel()
            self._take(carrier)

        def broke(_: Exception | None = None) -> None:
            timer.cancel()
            self.dismiss(carrier)

        self._loop.readable(fd, said, broke)

    def _knows(self, carrier: socket.socket) -> bool:
        """The same user, and the secret of our gateway."""
        try:
            secret = carrier.recv(4096)
            peer = struct.unpack("iII", carrier.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            known = hmac.compare_digest(secret, self._secret) and peer[1] == os.getuid()
            carrier.send(b"ok %d" % self._sessions() if known else b"no")
        except OSError:
            return False
        return known

    def _take(self, carrier: socket.socket) -> None:
        fds: list[int] = []
        with suppress(OSError):
            _, fds, _, _ = socket.recv_fds(carrier, 16, 2)
        if len(fds) == 2:
            self._came(carrier, (fds[0], fds[1]))
            return
        for fd in fds:
            os.close(fd)
        self.dismiss(carrier)
