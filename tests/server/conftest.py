"""A gateway whose cluster is scripted, for what the edge does by itself; `demo` where a real chain is needed."""

import asyncio
import contextlib
import io
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from support.dap import log_as_before
from support.scripted import Scripted
from support.served import cluster_at, config_for, served
from support.upstream import upstream_at

from gateway import log
from gateway.settings.config import Limits


@pytest.fixture
def cluster(demo):
    """The embedded demo alone: the lab has nothing to say about the edge."""
    return cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)


@pytest.fixture
async def edge_with(tmp_path):
    """Call and await it for a gateway over a Scripted backend, with limits and settings of its own."""
    async with AsyncExitStack() as stack:

        async def start(limits: Limits | None = None, **settings):
            config = replace(config_for(limits=limits), **settings)
            return await stack.enter_async_context(edge_at(config, tmp_path))

        yield start


@pytest.fixture
async def edge(edge_with):
    return await edge_with()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_edge(tmp_path_factory):
    """One edge for all tests of a module that run in its loop and leave nothing behind."""
    async with edge_at(config_for(), tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture
async def upstream(edge, tmp_path):
    """The API server behind the edge: it records every byte of a request."""
    async with upstream_at(tmp_path / "api.sock") as (one, api):
        edge.backend.kube = api
        yield one


@asynccontextmanager
async def edge_at(config, directory):
    async with served(config, directory) as running:
        backend = Scripted()
        running.gateway.backends["default"] = backend
        running.gateway.config.clusters["default"] = cluster_at("nobody", Path("/none"), Path("/none"), "vm")
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

    def metric(self, line):
        """The value of one line of /metrics, 0 where it is not there yet."""
        for said in self.gateway.metrics.text().decode().splitlines():
            name, _, value = said.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    def outcomes(self):
        """How sessions ended, and how many did so."""
        found = re.findall(
            r'^dap_sessions_total{.*outcome="(.*)",.*} (.*)$',
            self.gateway.metrics.text().decode(),
            re.MULTILINE,
        )
        return {outcome: int(float(count)) for outcome, count in found}

    async def idle(self, seconds=10.0):
        """TimeoutError unless every session has ended within the time."""
        async with asyncio.timeout(seconds):
            while self.gateway.registry.sessions:
                await asyncio.wait(list(self.gateway.registry.sessions.values()))
        assert self.backend.running == 0


@pytest.fixture
def logged():
    """What has been logged as JSON, by us and by the libraries. Ask for it before the gateway."""
    text = io.StringIO()
    with log_as_before():
        with contextlib.redirect_stderr(text):
            log.setup("json")
        yield text.getvalue
