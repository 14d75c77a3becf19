"""`dap exec --verify` on the real chain: busybox, Debian, and a container with nothing in it."""

import os

import pytest
from support.dap import Home

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
def dap(tmp_path):
    """Runs `dap exec --verify` with a gateway of its own in the lab's settings."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    (tmp_path / "run").mkdir(mode=0o700)
    home = Home(tmp_path)
    settings = {name: value for name, value in os.environ.items() if name.startswith("DAP_RUNNER_")}

    def run(*arguments, data=b""):
        return home.dap("exec", "-q", "--verify", *arguments, data=data, env=settings)

    return run


@pytest.mark.parametrize("pod", ["web-0", "bash-0"])
async def test_code_length_and_streams_are_the_command_s(dap, pod):
    data = os.urandom(200_000)
    done = await dap("-i", pod, "--", "sh", "-c", "cat; echo err >&2; exit 7", data=data)

    assert (done.code, done.out, done.err) == (7, data, "err\n")


async def test_a_command_that_is_not_there(dap):
    done = await dap("web-0", "--", "nope")

    assert (done.code, done.out) == (127, b"")
    assert "not found" in done.err


async def test_a_container_without_a_shell_is_told(dap):
    done = await dap("distroless-0", "--", "/app")

    assert done.code == 127
    assert "--verify needs sh in the container" in done.err
