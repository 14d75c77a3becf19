"""Connects the link to a cluster's relay, and reconnects the link whenever it is lost."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from gateway.backends.orphans.reaper import Reaper
from gateway.backends.outage_log import LINK, OutageLog
from gateway.backends.relay.bootstrap import RelayUnsupported, link_line
from gateway.backends.relay.bundle import bundle
from gateway.backends.relay.credentials import RelayCredentials
from gateway.backends.relay.link import Link
from gateway.backends.relay.session_registry import SessionRegistry
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.settings.config import Cluster, Limits
from gateway.supervision import defect, supervise

_BACKOFF = (0.1, 1.0, 2.0, 5.0, 10.0, 15.0)  # seconds before each attempt, unless `link` asks for one sooner
_SOONEST = 1.0  # seconds before an attempt that follows a failed one, at least
_HOPELESS = 60.0  # seconds between attempts where the runner cannot have a relay
GIVE_WAY = 60.0  # seconds between checks whether a relay of another version is still needed


class LinkSupervisor:
    """Keeps one link connected inside `async with links.running():`. Every new link goes through `keeper.linked`
    before anybody else has it. `needed` returns True if a link has sessions or requests.
    """

    def __init__(
        self,
        cluster: Cluster,
        limits: Limits,
        host: Host,
        identity: RelayCredentials,
        reaper: Reaper,
        keeper: SessionRegistry,
        needed: Callable[[Link], bool],
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._host = host
        self._identity = identity
        self._reaper = reaper
        self._keeper = keeper
        self._needed = needed
        self.restarts: dict[str, str] = {}  # see `supervise`
        self._outages = OutageLog(cluster.name, LINK)
        self._link: Link | None = None
        self._hop = Hop.SSH  # which answers next, while there is no link
        self._failure: HopFailed | None = None
        self._settled = asyncio.Event()  # an attempt has succeeded or failed
        self._wanted = asyncio.Event()
        self._linked = asyncio.Event()

    @property
    def now(self) -> Link | None:
        """Returns the present link, which may just have been lost; None while the link is down."""
        return self._link

    @property
    def reaching(self) -> Hop | None:
        """Returns the hop that answers next while a link is being made; None while there is one."""
        return None if self._link else self._hop

    @property
    def failure(self) -> HopFailed | None:
        """Returns why there is no link; None while the link is up, and until the first attempt has failed."""
        return None if self._link and not self._link.lost else self._failure

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects and reconnects the link. Leaving closes the link and ends all tasks."""
        async with asyncio.TaskGroup() as tasks:
            jobs = [
                tasks.create_task(supervise(name, work, self.restarts))
                for name, work in (("relay_link", self._keep), ("relay_renewal", self._renew))
            ]
            try:
                with self._host.sleeps.telling(self._wanted.set):  # hastens the next attempt
                    yield
            finally:
                for job in jobs:
                    job.cancel()

    async def link(self) -> Link:
        """Returns the link. While the link is down, hastens the next attempt and waits for its result. Raises
        HopFailed where the attempt fails, or `Limits.start` seconds have passed.
        """
        try:
            async with asyncio.timeout(self._limits.start):
                while not self._link or self._link.lost:
                    self._settled.clear()
                    self._wanted.set()
                    await self._settled.wait()
                    if self._failure and not self._link:
                        raise self._failure
                return self._link
        except TimeoutError:
            message = f"no relay in {self._cluster.vm} within {self._limits.start:g} s"
            raise self._failure or self._host.trouble or HopFailed("runner_timeout", message) from None

    async def next(self) -> Link:
        """Returns the link. While the link is down, waits for as long as it takes, and hastens no attempt."""
        while not self._link or self._link.lost:
            self._linked.clear()
            await self._linked.wait()
        return self._link

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                async with self._connected() as link:
                    failures, began = 0, time.monotonic()
                    self._outages.connected()
                    await link.run()
                    if link.lost:
                        self._outages.lost(link.lost, time.monotonic() - began)
            except HopFailed as error:
                self._fail(error)
                if error.hop is not Hop.SSH:  # SSH logs its own outages
                    self._outages.refused(error)
            except Exception:
                self._fail(defect())
                raise
            never = isinstance(self._failure, RelayUnsupported) and self._failure.never
            if never:
                self._keeper.no_relay()
            began = time.monotonic()
            self._wanted.clear()
            pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            with suppress(TimeoutError):
                async with asyncio.timeout(_HOPELESS if never else pause):
                    await self._wanted.wait()
                    await asyncio.sleep(max(0.0, began + _SOONEST * bool(failures) - time.monotonic()))
            failures += 1

    def _fail(self, error: HopFailed) -> None:
        self._failure = error
        self._settled.set()

    async def _renew(self) -> None:
        """Fails the link to a relay of another version once nobody needs the link, so that the next link starts this
        version: after an upgrade the earlier relay continues until its sessions have ended.
        """
        while True:
            await asyncio.sleep(GIVE_WAY)
            link = self._link
            if link and link.about.get("version") != bundle().version and not self._needed(link):
                link.fail(HopFailed("relay_lost", "a relay of this version replaces that of another version"))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Link]:
        nonce = secrets.token_hex(12)
        line = link_line(self._cluster.vm, nonce, self._cluster.incus_project)
        self._hop = Hop.SSH
        async with self._host.process(line) as process:
            self._hop = Hop.INCUS
            link = Link(process, self._reaper.on_report, self._host.sleeps.recent)
            try:
                async with asyncio.timeout(self._limits.start):
                    await link.arrive(nonce, self._identity.settings(self._cluster.name, self._limits))
                    await self._keeper.linked(link)
            except TimeoutError:
                message = f"no relay in {self._cluster.vm} within {self._limits.start:g} s"
                raise HopFailed("runner_timeout", message) from None
            self._reaper.set_relay(link.relay)
            self._link, self._failure = link, None
            self._linked.set()
            self._settled.set()
            try:
                yield link
            except Exception:
                link.fail(defect())
                raise
            finally:
                self._link = None
                link.fail(HopFailed("shutdown", "the gateway closed the link"))
                self._failure = link.lost
