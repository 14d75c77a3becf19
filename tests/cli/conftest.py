"""A gateway that several commands are run at."""

import signal
import subprocess
from contextlib import contextmanager

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
    with _serving(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="module")
def tls_home(tmp_path_factory):
    """The same, and the gateway listens with TLS, too."""
    with _serving(tmp_path_factory.mktemp("home"), DAP_GATEWAY_TLS_LISTEN="localhost:0") as home:
        yield home


@contextmanager
def _serving(folder, **env):
    home = Home(folder)
    process = subprocess.Popen(
        [*DAP, "serve", "--demo", "--listen", "127.0.0.1:0"],
        env=home.env | env,
        stdout=-1,
        stderr=subprocess.DEVNULL,
    )
    assert b"http://" in process.stdout.readline()
    yield home
    process.send_signal(signal.SIGTERM)
    process.communicate()
