"""A gateway whose cluster is scripted, for what the edge does by itself; `demo` where a real chain is needed."""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from scripted import Scripted
from support.served import cluster_at, config_for, served

from gateway.config import Limits
from gateway.demo import demo_chain


@pytest.fixture
async def cluster():
    """The embedded demo alone: the lab has nothing to say about the edge."""
    async with demo_chain() as demo:
        yield cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)


@pytest.fixture
async def edge_with(tmp_path):
    """Starts a gateway over a Scripted backend: `edge = await edge_with(limits, listen=…)`."""
    async with AsyncExitStack() as stack:

        async def start(limits: Limits | None = None, **settings):
            config = replace(config_for(limits=limits), **settings)
            return await stack.enter_async_context(edge_at(config, tmp_path))

        yield start


@pytest.fixture
async def edge(edge_with):
    return await edge_with()


@asynccontextmanager
async def edge_at(config, directory):
    async with served(config, directory) as running:
        backend = Scripted()
        running.gateway.backends["default"] = backend
        running.gateway.metrics.watch("default", backend)
        yield Edge(running, backend)


class Edge:
    """`url`, `socket`: where. `proof`: the header that lets one in. `backend`: what runs behind."""

    def __init__(self, running, backend):
        self.gateway = running.gateway
        self.backend = backend
        self.url = running.url
        self.socket = str(running.socket)
        self.proof = ("Authorization", f"Bearer {running.token}")
