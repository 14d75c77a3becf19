"""Logs when a hop is lost, refused and connected again, at a limited rate: README.md beside this file has the events."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.errors import HopFailed

log = structlog.get_logger()
PAUSE = 60.0  # seconds between two lines of one event with the same code


@dataclass(frozen=True)
class Events:
    """The names of one hop's events in the log."""

    lost: str
    refused: str
    connected: str


SSH = Events("ssh_lost", "ssh_login_failed", "ssh_login_works_again")
KUBECTL_PROXY = Events("kubectl_proxy_lost", "kubectl_proxy_failed", "kubectl_proxy_works_again")
LINK = Events("link_lost", "relay_refused", "link_connected")


class OutageLog:
    """Logs the outages of one hop of one cluster. An outage begins with a loss or a refusal, and ends when the hop is
    connected. An event whose last line is less than `pause` seconds old gets no line; the next line counts it.
    """

    def __init__(
        self, cluster: str, events: Events, clock: Callable[[], float] = time.monotonic, pause: float = PAUSE
    ) -> None:
        self._cluster = cluster
        self._events = events
        self._clock = clock
        self._pause = pause
        self._began: float | None = None  # this outage
        self._logged: dict[tuple[str, str], float] = {}  # when each (event, code) was logged last
        self._repeated = 0  # losses and refusals without a line
        self._told = False  # True: the outage has been logged

    def lost(self, error: HopFailed, seconds: float) -> None:
        """Records that the hop was lost after it had been connected for `seconds`."""
        self._trouble(self._events.lost, error, seconds)

    def refused(self, error: HopFailed) -> None:
        """Records that an attempt to connect the hop failed. Its line has the seconds of the outage."""
        began = self._began if self._began is not None else self._clock()
        self._trouble(self._events.refused, error, self._clock() - began)

    def connected(self) -> None:
        """Records that the hop is connected. Logs that, with the seconds of the outage, if the outage has been
        logged.
        """
        began, self._began = self._began, None
        if self._told and began is not None:
            self._told = False
            log.info(
                self._events.connected, cluster=self._cluster, seconds=self._since(began), **self._unlogged()
            )

    def _trouble(self, event: str, error: HopFailed, seconds: float) -> None:
        now, key = self._clock(), (event, error.code)
        self._began = now if self._began is None else self._began
        if now - self._logged.get(key, float("-inf")) < self._pause:
            self._repeated += 1
            return
        self._logged[key], self._told = now, True
        log.warning(
            event, cluster=self._cluster, hop=str(error.hop), code=error.code, reason=error.message,
            seconds=round(seconds, 1), **self._unlogged(),
        )  # fmt: skip

    def _since(self, began: float) -> float:
        return round(self._clock() - began, 1)

    def _unlogged(self) -> dict[str, int]:
        repeated, self._repeated = self._repeated, 0
        return {"repeated": repeated} if repeated else {}
