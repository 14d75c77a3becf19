"""A client of the demo chain: asyncssh's own, and nothing of the gateway's."""

import os
from contextlib import asynccontextmanager

import asyncssh

from gateway.demo import DemoSettings


@asynccontextmanager
async def login(settings: DemoSettings, **options):
    user, _, address = settings.ssh_host.partition("@")
    host, _, port = address.partition(":")
    options = {"username": user, "client_keys": [str(settings.ssh_key)], "agent_path": None} | options
    connection = await asyncssh.connect(
        host, int(port), known_hosts=str(settings.known_hosts), config=None, **options
    )
    try:
        yield connection
    finally:
        connection.close()
        await connection.wait_closed()


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
