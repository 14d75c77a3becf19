"""Makes the backend of a cluster from its settings: only this module knows all kinds of backends."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.backends.auto import AutoBackend
from gateway.backends.contract import Backend
from gateway.backends.orphans.reaper import Reaper
from gateway.backends.plain.backend import PlainBackend
from gateway.backends.relay import RelayBackend
from gateway.backends.relay.credentials import RelayCredentials
from gateway.backends.ssh import Prompt
from gateway.backends.ssh.host import Host
from gateway.settings.config import Cluster, Limits
from gateway.sleep_watch import SleepWatch

Make = Callable[
    [Cluster, Limits, Prompt | None, RelayCredentials, SleepWatch | None],
    AbstractAsyncContextManager[Backend],
]


def make(
    cluster: Cluster,
    limits: Limits,
    prompt: Prompt | None,
    credentials: RelayCredentials,
    sleeps: SleepWatch | None = None,
) -> AbstractAsyncContextManager[Backend]:
    """Makes the backend that the cluster's `kind` names. Entering starts its connections and tasks; leaving ends all
    of them. `prompt` asks a person where a login needs an answer; None: nobody can be asked.
    `sleeps`: tells when this machine has slept; None: that is found out only where a session is lost.
    """
    return KINDS[cluster.kind](cluster, limits, prompt, credentials, sleeps)


@asynccontextmanager
async def _over_ssh(
    cluster: Cluster,
    limits: Limits,
    prompt: Prompt | None,
    credentials: RelayCredentials,
    sleeps: SleepWatch | None,
) -> AsyncIterator[Backend]:
    host, reaper = Host(cluster, limits, prompt, sleeps), Reaper(limits)
    async with host.running():
        plain = PlainBackend(cluster, limits, host, reaper)
        if cluster.mode == "plain":
            async with plain.running(), reaper.running():
                yield plain
            return
        relay = RelayBackend(cluster, limits, host, credentials, reaper)
        async with plain.running(), relay.running(), reaper.running():
            yield relay if cluster.mode == "relay" else AutoBackend(cluster.name, relay, plain)


KINDS: Mapping[str, Make] = {"ssh": _over_ssh}
