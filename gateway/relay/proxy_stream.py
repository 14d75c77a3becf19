"""Carries the gateway's connections to kubectl proxy."""

from __future__ import annotations

import socket
from typing import Any

from . import wire
from .dial import DialStream
from .loop import Loop
from .proxy import Generation, Proxies
from .request import ProxyRequest
from .stream import Credit


class ProxyStream(DialStream):
    """Carries a connection to the proxy that is wanted, which is started where it does not run."""

    def __init__(
        self, loop: Loop, number: int, credit: Credit, proxies: Proxies, wanted: ProxyRequest
    ) -> None:
        super().__init__(loop, number, credit)
        self._proxies = proxies
        self._wanted = wanted
        self._generation: Generation | None = None
        self._again = True  # a proxy that has ended, which is not known yet, refuses

    def begin(self) -> None:
        """Begins to connect. STARTED reports success, EXIT a proxy that does not start, or two that refuse in turn."""
        self._generation = self._proxies.current(self._wanted)
        self._generation.join(self)

    def reach(self, path: str) -> None:
        """Connects to the proxy, which listens on the socket `path`."""
        self.connect(socket.AF_UNIX, path)

    def refuse(self, why: dict[str, Any]) -> None:
        """Ends the stream with the EXIT `why`."""
        self._finish(why)

    def tell_replaced(self) -> None:
        """Tells of a changed kubeconfig with another STARTED; ends a connection that would go on without knowing."""
        if not self._wanted.stays:
            self._finish({"error": "the kubeconfig was changed", "changed": True})
        elif self._connected:
            self.send(wire.encode_object(wire.STARTED, self.number, self._about()))

    def _about(self) -> dict[str, Any]:
        return self._generation.about if self._generation else {}

    def _fail(self, number: int) -> None:
        generation = self._generation
        if self.over or self._connected or not self._again or generation is None:
            super()._fail(number)
            return
        self._again, self._generation = False, None
        if self._timer:
            self._timer.cancel()
        generation.retire()
        generation.leave(self)
        self.begin()

    def _finish(self, result: dict[str, Any]) -> None:
        super()._finish(result)
        if self._generation:
            self._generation.leave(self)
            self._generation = None
