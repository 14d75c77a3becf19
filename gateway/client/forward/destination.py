"""Keeps track of where a forwarded port leads: finds the pod, proves that its port answers, and finds the next pod when
the pod is gone.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.client.forward.spec import Wanted
from gateway.client.tunnel import PodPort, tunnel

PROOF = 0.3  # seconds in which a port that takes no connection has said so
LOOK = 5.0  # seconds between looks at a pod that is well
_OK, _FAILED = 200, 500
_FIRST, _MOST = 0.25, 4.0  # seconds between attempts

Tell = Callable[[str, PodPort | None, str], None]  # state, where it leads, why


class Destination:
    """Holds where one port leads now. `tell` hears of each change of state: starting, healthy, failed."""

    def __init__(self, endpoint: Endpoint, wanted: Wanted, tell: Tell) -> None:
        self._endpoint = endpoint
        self._wanted = wanted
        self._tell = tell
        self._now: PodPort | None = None
        self._found = asyncio.Event()
        self._doubt = asyncio.Event()

    async def where(self) -> PodPort:
        """Returns where the port leads, as soon as a pod is found whose port answers."""
        while self._now is None:
            await self._found.wait()
        return self._now

    def doubt(self, where: PodPort) -> None:
        """Has the destination looked at again, since a connection to `where` failed."""
        if where == self._now:
            self._doubt.set()

    async def find(self, seconds: float = math.inf) -> PodPort:
        """Returns where the port leads, and that its port answers, found within `seconds`. Raises GatewayFailed when they
        are over, and at once for what no wait mends, such as a pod that there is not; without `seconds` never.
        """
        said, pause, loop = "", _FIRST, asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            try:
                found = await self._look()
                await self._prove(found)
                return self._settle(found)
            except GatewayFailed as error:
                if loop.time() + pause > end or not (error.passing or seconds == math.inf):
                    raise
                if str(error) != said:
                    said = str(error)
                    self._tell("starting", None, said)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MOST)

    async def run(self) -> None:
        """Looks at the pod from time to time, and when a connection fails. Where the pod or a hop is gone, finds the way
        again, with growing pauses, for ever.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._doubt.wait()
            doubted = self._doubt.is_set()
            self._doubt.clear()
            try:
                found = await self._look()
                if doubted or found != self._now:
                    await self._prove(found)
                self._settle(found)
            except GatewayFailed as error:
                self._now = None
                self._found.clear()
                self._tell("failed", None, str(error))
                await self.find()

    async def _look(self) -> PodPort:
        """Returns where the port leads, as the gateway finds it. Raises GatewayFailed."""
        wanted = self._wanted
        query = {"target": wanted.target.pod, "namespace": wanted.target.namespace, "port": wanted.remote}
        path = f"/gateway/v1/clusters/{wanted.target.cluster}/forward?{urlencode(query)}"
        status, body = await asyncio.to_thread(http.request, self._endpoint, "GET", path)
        if status == _OK:
            return _parsed(body)
        refused = http.refused(status, body)
        final = status < _FAILED and isinstance(body, dict)  # the gateway's own words, not a proxy's
        refused.passing = not final
        raise refused

    async def _prove(self, where: PodPort) -> None:
        """Connects to the port, and takes a connection that has not failed within PROOF for one that works."""
        async with tunnel(self._endpoint, where) as made:
            await made.connect()
            try:
                async with asyncio.timeout(PROOF):
                    await made.read()
            except TimeoutError:
                return

    def _settle(self, found: PodPort) -> PodPort:
        if found != self._now:
            self._now = found
            self._found.set()
            self._tell("healthy", found, "")
        return found


def _parsed(body: Any) -> PodPort:
    try:
        return PodPort(body["cluster"], body["namespace"], body["pod"], body["uid"], int(body["port"]))
    except (KeyError, TypeError, ValueError):
        raise GatewayFailed(
            REFUSED, "the gateway's answer cannot be read: use a dap of its version"
        ) from None
