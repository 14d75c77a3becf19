"""A gateway that several commands are run at."""

import pytest
from support.served import cluster_at, config_for, served


@pytest.fixture
async def at(demo, home, tmp_path):
    """A gateway in this process, with a relay, where `dap` of `home` finds it."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path / "at") as running:
        yield home.env | {"DAP_GATEWAY_URL": running.url, "DAP_GATEWAY_TOKEN": running.token}
