"""`dap doctor`: this machine first, then the hops."""

import json

import pytest
from support.fake_gateway import fake_gateway

GOOD = [
    {"hop": name, "ok": True, "ms": 2.0, "code": None, "message": ""} for name in ("ssh", "incus", "cluster")
]


@pytest.fixture
def settled(home):
    """A home where everything local is as it should be."""
    directory = home.path / "config" / "dap"
    directory.mkdir(parents=True)
    for name in ("key", "known"):
        (home.path / name).write_text("x")
        (home.path / name).chmod(0o600)
    (directory / "config.toml").write_text(
        f'[clusters.default]\nssh_host = "ops@mgmt"\nssh_key = "{home.path}/key"\n'
        f'ssh_known_hosts = "{home.path}/known"\n'
    )
    return home


def ready(hops):
    ok = all(hop["ok"] for hop in hops)
    return {"/readyz": (200 if ok else 503, {"ready": ok, "clusters": {"default": {"hops": hops}}})}


async def nobody(_):
    raise AssertionError


async def test_all_well(settled):
    async with fake_gateway(nobody, settled.socket, http=ready(GOOD)):
        done = await settled.dap("doctor")

    assert (done.code, done.err) == (0, "")
    words = [line.split()[:2] for line in done.out.decode().splitlines()]
    assert words == [
        ["PASS", name] for name in ("config", "ssh_key", "known_hosts", "gateway", "ssh", "incus", "cluster")
    ]


async def test_what_is_wrong_here_is_told_with_what_to_do(settled):
    (settled.path / "key").chmod(0o644)
    (settled.path / "known").unlink()
    async with fake_gateway(nobody, settled.socket, http=ready(GOOD)):
        done = await settled.dap("doctor")

    out = done.out.decode()
    assert done.code == 1
    assert f"do: chmod 600 {settled.path}/key" in out
    assert f"{settled.path}/known: No such file" in out


async def test_the_first_hop_that_fails_is_blamed(settled):
    hops = [GOOD[0], {"hop": "incus", "ok": False, "ms": 3, "code": "incus_stopped", "message": "it is STOPPED"},
            {"hop": "cluster", "ok": False, "ms": None, "code": None, "message": ""}]  # fmt: skip
    async with fake_gateway(nobody, settled.socket, http=ready(hops)):
        done = await settled.dap("doctor")
        as_json = await settled.dap("doctor", "--json")

    lines = done.out.decode().splitlines()
    assert done.code == 125
    assert lines[-3].startswith("FAIL incus")
    assert lines[-3].endswith("it is STOPPED")
    assert lines[-2] == "     do: on the management host: incus start the instance"
    assert lines[-1].startswith("SKIP cluster")
    verdict = json.loads(as_json.out)
    assert (verdict["ok"], verdict["exitCode"]) == (False, 125)
    assert [check["name"] for check in verdict["checks"] if check["ok"] is False] == ["incus"]


async def test_without_a_kubeconfig_it_says_so(settled):
    hops = [*GOOD[:2], {"hop": "runner", "ok": False, "code": "kubeconfig_missing", "message": "none"}]
    async with fake_gateway(nobody, settled.socket, http=ready(hops)):
        done = await settled.dap("doctor")

    assert "do: write ~/.kube/config in the runner" in done.out.decode().splitlines()[-1]


async def test_a_gateway_elsewhere_needs_nothing_here(home):
    env = {"DAP_GATEWAY_URL": "http://127.0.0.1:1", "DAP_GATEWAY_TOKEN": "t"}
    done = await home.dap("doctor", env=env)

    lines = done.out.decode().splitlines()
    assert done.code == 125
    assert [line.split()[:2] for line in lines[:2]] == [["PASS", "config"], ["FAIL", "gateway"]]
    assert "dap serve" in lines[2]


async def test_a_broken_file_is_the_first_finding(home):
    path = home.path / "config" / "dap" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[nonsense]\n")
    done = await home.dap("doctor")
    unknown = await home.dap("doctor", "--cluster", "west", env={"XDG_CONFIG_HOME": "/nonexistent"})

    assert (done.code, unknown.code) == (1, 1)
    assert "unknown table 'nonsense'" in done.out.decode()
    assert "no cluster 'west'" in unknown.out.decode()
