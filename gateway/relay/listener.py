"""Accepts carriers of the daemon's own user and gateway, each with the two descriptors of a link."""

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
    """Accepts carriers: processes that each bring the two ends of a link, stdin and stdout. Calls `on_carrier` with the
    socket and the two descriptors of each carrier that proves itself; the callee calls `dismiss` when the link is
    over. `sessions` returns how many resumable sessions there are, which a carrier is told.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        secret: str,
        sessions: Callable[[], int],
        on_carrier: Callable[[socket.socket, tuple[int, int]], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._secret = secret.encode()
        self._sessions = sessions
        self._on_carrier = on_carrier
        self._arriving: set[socket.socket] = set()

    @property
    def busy(self) -> bool:
        """True while a carrier is let in that has not brought its link yet."""
        return bool(self._arriving)

    def open(self) -> None:
        """Accepts carriers from now on."""
        self._listener.setblocking(False)
        self._listen()

    def dismiss(self, carrier: socket.socket) -> None:
        """Closes the carrier's socket; a carrier that is closed already is no error."""
        self._arriving.discard(carrier)
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
        self._arriving.add(carrier)
        fd = carrier.fileno()
        timer = self._loop.later(_HANDSHAKE, lambda: self.dismiss(carrier))

        def on_secret() -> None:
            if self._authenticate(carrier):
                self._loop.readable(fd, on_descriptors)
            else:
                refuse()

        def on_descriptors() -> None:
            timer.cancel()
            self._take(carrier)

        def refuse(_: Exception | None = None) -> None:
            timer.cancel()
            self.dismiss(carrier)

        self._loop.readable(fd, on_secret, refuse)

    def _authenticate(self, carrier: socket.socket) -> bool:
        """Receives a carrier's secret and answers it. True if the carrier is of the same user and has our
        gateway's secret.
        """
        try:
            secret = carrier.recv(4096)
            peer = struct.unpack("iII", carrier.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            known = hmac.compare_digest(secret, self._secret) and peer[1] == os.getuid()
            carrier.send(b"ok %d" % self._sessions() if known else b"no")
        except OSError:
            return False
        return known

    def _take(self, carrier: socket.socket) -> None:
        self._arriving.discard(carrier)
        fds: list[int] = []
        with suppress(OSError):
            _, fds, _, _ = socket.recv_fds(carrier, 16, 2)
        if len(fds) == 2:
            self._on_carrier(carrier, (fds[0], fds[1]))
            return
        for fd in fds:
            os.close(fd)
        self.dismiss(carrier)
