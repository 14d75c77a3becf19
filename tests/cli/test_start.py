"""What `dap` imports before it works: a command starts fast that leaves out what only the gateway needs."""

import pytest
from support.repeated import again

GATEWAYS_OWN = {"aiohttp", "asyncssh", "prometheus_client", "pydantic", "rich", "structlog"}
SESSIONS_OWN = {"asyncio", "ssl", "websockets"}
NO_GATEWAY = {"DAP_GATEWAY_URL": "http://127.0.0.1:1", "DAP_GATEWAY_TOKEN": "0123456789abcdef"}


@pytest.fixture
def imports(home):
    """Runs `dap`: (exit status, the top names of all that it imported)."""

    async def run(*arguments, **env):
        done = await home.dap(*arguments, env=env | {"PYTHONPROFILEIMPORTTIME": "1"})
        lines = [line for line in done.err.splitlines() if line.startswith("import time:")]
        return done.code, {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}

    return run


@pytest.mark.parametrize(
    "arguments", [again(["--version"]), ["--help"], ["exec", "--help"], again(["config", "-h"])]
)
async def test_help_imports_no_network(imports, arguments):
    code, names = await imports(*arguments)

    assert code == 0
    assert "click" in names
    assert not names & (GATEWAYS_OWN | SESSIONS_OWN)


@pytest.mark.parametrize(
    "arguments",
    [
        ["exec", "web-0", "--", "ls"], again(["shell", "web-0"]), ["probe", "web-0"], ["sessions"], again(["run", "--", "ls"]),
        again(["kill", "1"]), ["port-forward", "web-0", "80"], ["kubectl", "get", "pods"], again(["access"]),
    ],
)  # fmt: skip
async def test_a_client_imports_nothing_of_the_gateway(imports, arguments):
    """It runs to where it would talk to one."""
    code, names = await imports(*arguments, **NO_GATEWAY)

    assert code == 125
    assert "asyncio" in names
    assert not names & GATEWAYS_OWN


@pytest.mark.parametrize(
    "setting", [{"DAP_GATEWAY_LISTEN": "nowhere"}, {"DAP_GATEWAY_PUBLIC_URL": "https://u:p@dap.example.com"}]
)
async def test_serve_refuses_settings_before_it_imports_the_servers(imports, setting):
    code, names = await imports("serve", **setting)

    assert code == 2
    assert not names & GATEWAYS_OWN
