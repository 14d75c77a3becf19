"""A gateway that several commands are run at."""

import signal
import subprocess

import pytest
from support.dap import DAP, Home
from support.served import cluster_at, config_for, served


@pytest.fixture
async def at(demo, home, tmp_path):
    """A gateway in this process, with a relay, where `dap` of `home` finds it."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path / "at") as running:
        yield home.env | {"DAP_GATEWAY_URL": running.url, "DAP_GATEWAY_TOKEN": running.token}


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory):
    """A home with a `dap serve --demo` that runs, for all tests of a module."""
    home = Home(tmp_path_factory.mktemp("home"))
    process = subprocess.Popen(
        [*DAP, "serve", "--demo", "--listen", "127.0.0.1:0"],
        env=home.env,
        stdout=-1,
        stderr=subprocess.DEVNULL,
    )
    assert b"http://" in process.stdout.readline()
    yield home
    process.send_signal(signal.SIGTERM)
    process.communicate()
