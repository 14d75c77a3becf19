"""Connects to addresses as a cluster's runner reaches them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.client.endpoint import Endpoint
from gateway.client.upgrade import Upgraded, upgraded
from gateway.protocol import runner_dial


@asynccontextmanager
async def from_runner(endpoint: Endpoint, cluster: str, host: str, port: int) -> AsyncIterator[Upgraded]:
    """Opens a connection that begins in the runner of `cluster`; leaving aborts the connection. Raises GatewayFailed, whose
    message ends in `(address_unknown)` or `(address_unreachable)` where it is the address.
    """
    async with upgraded(endpoint, runner_dial.path(cluster, host, port), runner_dial.PROTOCOL) as connection:
        yield connection
