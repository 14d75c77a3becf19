"""A gateway as people start it, in front of the real chain, and each client's program at it and straight at the API server."""

import os
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import lab
from support.conformance import Side
from support.dap import DAP, Home
from support.many import make_config_maps

MANY = 5000


@pytest.fixture(scope="module")
def served_home(tmp_path_factory) -> Iterator[Home]:
    """A home in which `dap serve` runs, on the real chain, with a relay."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    home = Home(tmp_path_factory.mktemp("home"))
    (home.path / "run").mkdir(mode=0o700)
    env = home.env | {name: value for name, value in os.environ.items() if name.startswith("DAP_RUNNER_")}
    env |= {
        "DAP_GATEWAY_TLS_LISTEN": "localhost:0",
        "DAP_RUNNER_SSH_CONFIG": "none",
        "DAP_RUNNER_MODE": "relay",
    }
    with subprocess.Popen(
        [*DAP, "serve", "--listen", "127.0.0.1:0", "--log", "json"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield home
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def gateway_kubeconfig(served_home) -> Path:
    """What `dap kubeconfig` writes: `dap token` is its credential."""
    done = subprocess.run(
        [*DAP, "kubeconfig"], env=served_home.env, capture_output=True, text=True, check=True
    )
    return Path(shlex.split(done.stdout)[1].partition("=")[2])


@pytest.fixture(scope="module")
def sides(served_home, gateway_kubeconfig, tmp_path_factory) -> Iterator[tuple[Side, Side]]:
    """The gateway's and the API server's: namespaces with the same in them, whose names are equally long. They are gone
    before tests/lab breaks hops: `lab fault api-restart` waits a second for all pods, in which kubectl asks for nine.
    """
    mark = secrets.token_hex(4)
    configs = {"gateway": gateway_kubeconfig, "direct": Path(os.environ["DAP_LAB_KUBECONFIG"])}
    with ExitStack() as stack:
        many = f"dap-many-{mark}"
        stack.enter_context(lab.namespace(many))
        make_config_maps(lab.kubeconfig_access(os.environ["DAP_LAB_KUBECONFIG"]), many, MANY)
        found = []
        for name, config in configs.items():
            space = f"dap-{name:_<7}-{mark}".replace("_", "x")
            stack.enter_context(lab.namespace(space))
            found.append(Side(name, config, space, many, tmp_path_factory.mktemp(name), served_home.env))
        for side in found:
            side.fill()
        yield found[0], found[1]
