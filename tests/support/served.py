"""A gateway in the test's own event loop, on a free loopback port and a Unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from support.leaks import tasks_back
from support.waiting import until

from gateway.access.hosts import AllowedHosts
from gateway.access.tokens import Tokens
from gateway.backends.contract import Backend
from gateway.server import listen
from gateway.server.gateway import Gateway, running
from gateway.server.listen_names import hosts
from gateway.server.run import listening
from gateway.server.tls import tls_listener
from gateway.settings.config import Cluster, Config, Limits

TOKEN = "test-token-0123456789"


@dataclass(frozen=True)
class Served:
    """`url` like http://127.0.0.1:PORT; `gateway` to look inside."""

    url: str
    token: str
    socket: Path
    gateway: Gateway

    @property
    def websocket(self) -> str:
        """The URL's WebSocket form."""
        return self.url.replace("http", "ws", 1)


def config_for(*clusters: Cluster, limits: Limits | None = None) -> Config:
    """A Config as settings would make it, but that all are one person here."""
    by_name = {cluster.name: cluster for cluster in clusters}
    return Config(by_name, "127.0.0.1:0", "", (), (), "", TOKEN, limits or Limits(sessions_per_identity=0))


def cluster_at(
    host: str,
    key: Path,
    known_hosts: Path,
    vm: str,
    name: str = "default",
    mode: str = "plain",
    way: str = "auto",
) -> Cluster:
    """A cluster with every setting explicit, and no file of ssh's own settings. `way`: `Cluster.exec`."""
    keys = frozenset({"ssh_host", "ssh_key", "ssh_known_hosts", "vm", "ssh_config"})
    return Cluster(name, host, key, known_hosts, vm, "", mode, keys, "none", exec=way)


@asynccontextmanager
async def served(
    config: Config, directory: Path, *, alone: bool = True, authority: Path | None = None
) -> AsyncIterator[Served]:
    """`authority`: where the gateway's own is kept. On leaving, asserts that SSH channels are back where they started, and tasks, if it is `alone` in this loop."""
    before: set[asyncio.Task[Any] | None] = set(asyncio.all_tasks())
    with ExitStack() as stack:
        sockets = stack.enter_context(listen.loopback(config.listen))
        unix = stack.enter_context(listen.unix(directory / "run" / "gateway.sock"))
        tls = stack.enter_context(tls_listener(config, authority))
        names = hosts(config.listen, sockets)
        places = AllowedHosts(
            names, config.public_url, config.allowed_hosts, config.allowed_origins, tls.hosts
        )
        async with running(config, Tokens(TOKEN), places, None) as gateway:
            gateway.links.base = f"http://{names[0]}"
            gateway.tls = tls
            async with listening(gateway, [*sockets, unix]):
                yield Served(f"http://{names[0]}", TOKEN, directory / "run" / "gateway.sock", gateway)
                await gateway.registry.stop()
                for name, backend in gateway.backends.items():
                    with suppress(TimeoutError):  # a look at what a session has left may be under way
                        await until(partial(_quiet, backend), 10)
                    counts = backend.stats().connections
                    assert counts["channels"] == 0, f"{name}: {counts}"
    if alone:
        left = await tasks_back(before | {asyncio.current_task()})
        assert not left, f"tasks left: {left}"


def _quiet(backend: Backend) -> bool:
    return not backend.stats().connections["channels"]
