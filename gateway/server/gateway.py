"""Composition: backends, access, the sessions' registry, and what the routes need beside them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gateway.access.access import Access
from gateway.access.forwarded import TrustedProxies
from gateway.access.hosts import AllowedHosts
from gateway.access.identity import name_this_user
from gateway.access.impersonation import Impersonation
from gateway.access.tokens import Tokens
from gateway.backends.contract import Backend
from gateway.backends.factory import make
from gateway.backends.relay.credentials import identity
from gateway.backends.ssh import Prompt
from gateway.server.files.moving import discard_abandoned
from gateway.server.files.transfer import Transfers
from gateway.server.health_cache import HealthCache
from gateway.server.lists.live_lists import LiveLists
from gateway.server.metrics import Metrics
from gateway.server.namespaces import Namespaces
from gateway.server.page_links import PageLinks
from gateway.server.relayed import Relayed
from gateway.server.tls import TlsListener
from gateway.sessions.passed import PassedSessions
from gateway.sessions.registry import SessionRegistry
from gateway.settings.config import Config
from gateway.sleep_watch import SleepWatch
from gateway.supervision import supervise

_LOOK = 1.0  # seconds between looks for sessions whose credential is gone, and at what other gateways changed


@dataclass
class Gateway:
    """Holds the parts of one running gateway; `create_app` hands them to the routes."""

    config: Config
    backends: dict[str, Backend]
    access: Access
    registry: SessionRegistry
    namespaces: Namespaces
    metrics: Metrics
    relayed: Relayed
    impersonation: Impersonation
    checks: HealthCache
    lists: LiveLists
    transfers: Transfers = field(default_factory=Transfers)
    links: PageLinks = field(default_factory=PageLinks)
    tls: TlsListener = field(default_factory=TlsListener)


@asynccontextmanager
async def running(
    config: Config, tokens: Tokens, places: AllowedHosts, prompt: Prompt | None, state: Path | None = None
) -> AsyncIterator[Gateway]:
    """Runs a gateway with a warm connection to each cluster's management host; leaves no task behind. `state`: the
    directory that makes it the same gateway to its relays as the process before; None for one of its own.
    """
    name_this_user()
    async with AsyncExitStack() as stack:
        backends: dict[str, Backend] = {}
        sleeps = SleepWatch()
        who = stack.enter_context(identity(state))
        for name, cluster in config.clusters.items():
            backends[name] = await stack.enter_async_context(
                make(cluster, config.limits, prompt, who, sleeps)
            )
        async with asyncio.TaskGroup() as tasks:
            metrics, namespaces = Metrics(), Namespaces(backends)
            registry = SessionRegistry(
                backends, config.limits, tasks, metrics.session, namespaces.forget, log_argv=config.log_argv
            )
            access = Access(tokens, places, TrustedProxies(config.trusted_proxies))
            passed = PassedSessions(metrics.passed, log_argv=config.log_argv)
            relayed = Relayed(config.limits.requests_per_identity, passed)
            in_person = Impersonation(
                name for name, one in config.clusters.items() if one.impersonate == "user"
            )
            checks = HealthCache(in_person.clusters)
            lists = LiveLists(tasks, backends, config.limits)
            gateway = Gateway(
                config, backends, access, registry, namespaces, metrics, relayed, in_person, checks, lists
            )
            for name, backend in backends.items():
                metrics.watch(name, backend)
            metrics.live.count = partial(_live, registry, passed)
            restarts: dict[str, str] = {}
            work: dict[str, Callable[[], Awaitable[object]]] = {
                "revocations": partial(_end_revoked, access, registry, relayed),
                "page_tokens": partial(_follow_others, tokens),
                "sleep_watch": sleeps.run,
                "transfers": partial(discard_abandoned, gateway.transfers),
            }
            watchers = [tasks.create_task(supervise(name, work[name], restarts)) for name in work]
            lookers = [tasks.create_task(registry.recovery.run(name)) for name in registry.recovery.clusters]
            stack.enter_context(sleeps.telling(gateway.checks.forget))
            try:
                yield gateway
            finally:
                relayed.end_all()
                lists.stop()
                await registry.stop()
                for task in (*watchers, *lookers, *registry.sessions.values()):
                    task.cancel()


def _live(registry: SessionRegistry, passed: PassedSessions) -> Counter[str]:
    """Returns how many sessions each cluster has."""
    count = Counter(dict.fromkeys(registry.backends, 0))
    count.update(session.target.cluster for session in registry.sessions if not session.over.done())
    count.update(session.target.cluster for session in passed.live)
    return count


async def _end_revoked(access: Access, registry: SessionRegistry, relayed: Relayed) -> None:
    """Ends what was opened with a credential that has been revoked, or whose sign-in has ended, within `_LOOK` seconds.
    Renews the credentials of the sessions that live.
    """
    while True:
        await asyncio.sleep(_LOOK)
        access.tokens.use({session.credential for session in registry.sessions} | relayed.credentials())
        good = access.tokens.good()
        registry.end_revoked(good)
        relayed.end_revoked(good)


async def _follow_others(tokens: Tokens) -> None:
    """Takes over page tokens that other gateways of this user have made or revoked, within `_LOOK` seconds."""
    while True:
        await asyncio.sleep(_LOOK)
        await tokens.refresh()
