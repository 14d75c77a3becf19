"""`dap kubeconfig` and `dap token`: what kubectl gets, and what that costs."""

import asyncio
import io
import json
import os
import resource
import shlex
import signal
import ssl
import time
from base64 import b64decode
from contextlib import asynccontextmanager
from functools import partial

import pytest
from support.beside import beside
from support.dap import log_as_before
from support.peer import once
from support.served import cluster_at, config_for, served

from gateway import log
from gateway.peer_credentials import peer_pid

pytestmark = pytest.mark.timeout(60)


async def plugin(home, user, **env):
    """Runs what a kubeconfig says, as kubectl does."""
    said = user["exec"]
    env = home.env | env | {one["name"]: one["value"] for one in said.get("env", [])}
    process = await asyncio.create_subprocess_exec(
        said["command"],
        *said["args"],
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    return json.loads(out)


async def test_what_is_written_lets_one_in(called, demo_home):
    home = demo_home
    forget(home)
    before = {row["name"] for row in await tokens_made(home)}
    done = called("kubeconfig", env=home.env)
    assert done.code == 0, done.err
    (line,) = done.out.decode().splitlines()
    assert line.startswith("export KUBECONFIG=")
    path = home.path / "state" / "dap" / "kubeconfig"
    assert shlex.split(line) == ["export", f"KUBECONFIG={path}"]
    assert path.stat().st_mode & 0o777 == 0o600
    raw = called("kubeconfig", "--raw", env=home.env)
    assert raw.out == path.read_bytes()

    config = json.loads(raw.out)
    (context,) = config["contexts"]
    assert config["current-context"] == context["name"] == "dap-default"
    assert context["context"]["namespace"] == "default"
    (cluster,) = [one["cluster"] for one in config["clusters"]]
    assert cluster["server"].startswith("https://localhost:")
    user = config["users"][0]["user"]
    assert user["exec"]["command"].startswith("/")
    assert (user["exec"]["args"][-1:], user["exec"]["interactiveMode"]) == (["token"], "Never")

    made = await plugin(home, user)
    assert (made["apiVersion"], made["kind"]) == ("client.authentication.k8s.io/v1", "ExecCredential")
    left = (
        time.mktime(time.strptime(made["status"]["expirationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
        - time.timezone
    )
    assert 500 < left - time.time() <= 601
    ca = b64decode(cluster["certificate-authority-data"]).decode()
    assert await answered(cluster["server"], ca, made["status"]["token"]) == b"HTTP/1.1 200 OK"
    assert await answered(cluster["server"], ca, "x" * 43) == b"HTTP/1.1 401 Unauthorized"

    rows = json.loads(called("access", "--json", env=home.env).out)["access"]
    (row,) = [row for row in rows if row["kind"] == "short" and row["name"] not in before]
    assert made["status"]["token"] not in json.dumps(rows)
    assert called("access", "revoke", row["name"], env=home.env).code == 0
    assert await answered(cluster["server"], ca, made["status"]["token"]) == b"HTTP/1.1 401 Unauthorized"
    again = await plugin(home, user)
    assert await answered(cluster["server"], ca, again["status"]["token"]) == b"HTTP/1.1 200 OK"


async def answered(server, ca, token):
    host, _, port = server.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cadata=ca)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname=host)
    try:
        head = f"GET /gateway/v1/info HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        return (await reader.read()).partition(b"\r\n")[0]
    finally:
        writer.close()


async def tokens_made(home):
    body = json.loads((await once(str(home.socket), "GET", "/gateway/v1/access")).body)
    return [row for row in body["access"] if row["kind"] == "short"]


def forget(home):
    """Removes the token that an earlier test was given."""
    for file in kept_of(home):
        file.unlink()


def kept_of(home):
    return [*(home.path / "run" / "dap").glob("*short-token*")]


async def test_many_at_once_ask_for_one_token(demo_home):
    """While the first one waits for the gateway, which stands still here, the others wait for the first."""
    forget(demo_home)
    before = len(await tokens_made(demo_home))
    _, writer = await asyncio.open_unix_connection(str(demo_home.socket))
    gateway = peer_pid(writer.get_extra_info("socket"))
    writer.close()

    os.kill(gateway, signal.SIGSTOP)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(demo_home.dap("token")) for _ in range(12)]
        try:
            await asyncio.sleep(1.5)
        finally:
            os.kill(gateway, signal.SIGCONT)
    done = [one.result() for one in asked]
    assert {one.code for one in done} == {0}
    assert len({one.out for one in done}) == 1
    assert len(await tokens_made(demo_home)) == before + 1
    assert {one.stat().st_mode & 0o777 for one in kept_of(demo_home)} == {0o600}


async def test_a_token_for_which_the_disk_has_no_place_is_printed(demo_home):
    forget(demo_home)
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (8, 8))
    done = await demo_home.dap("token", preexec_fn=full)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["kind"] == "ExecCredential"
    assert [one.suffix for one in kept_of(demo_home)] == [".lock"]


async def test_a_token_is_asked_for_anew_shortly_before_its_end_and_at_another_gateway(home):
    async with at_its_socket(home, "one"):
        first = await home.dap("token")
        (kept,) = [one for one in kept_of(home) if one.suffix == ".json"]
        body = json.loads(kept.read_text())
        kept.write_text(json.dumps(body | {"until": time.time() + 59}))
        second = await home.dap("token")
        assert second.out != first.out
        kept.chmod(0o644)
        assert (await home.dap("token")).out != second.out, "others can read it"
        kept.write_text("{")
        third = await home.dap("token")
        assert third.code == 0
    async with at_its_socket(home, "another"):
        other = await home.dap("token")
    assert (other.code, other.out != third.out) == (0, True)


@asynccontextmanager
async def at_its_socket(home, name, *clusters):
    """A gateway of the test's own where `dap` of that home looks for one."""
    async with served(config_for(*clusters), home.path / name) as running:
        home.socket.parent.mkdir(exist_ok=True)
        running.socket.rename(home.socket)
        yield
        home.socket.rename(running.socket)


async def test_the_token_that_one_was_given(called, demo_home):
    secret = (demo_home.path / "state" / "dap" / "token").read_text().strip()
    port = json.loads((demo_home.path / "state" / "dap" / "serving.json").read_text())["listen"][0][1]
    env = {"DAP_GATEWAY_URL": f"http://127.0.0.1:{port}", "DAP_GATEWAY_TOKEN": secret}
    done = await demo_home.dap("token", env=env)
    assert done.code == 0, done.err
    env = demo_home.env | env
    again = await asyncio.to_thread(called, "token", env=env)
    assert again.out == done.out
    wrong = await asyncio.to_thread(called, "token", env=env | {"DAP_GATEWAY_TOKEN": "w" * 32})
    assert (wrong.code, wrong.out) == (125, b"")
    config = json.loads((await asyncio.to_thread(called, "kubeconfig", "--raw", env=env)).out)
    names = {one["name"] for one in config["users"][0]["user"]["exec"]["env"]}
    assert names == {"DAP_GATEWAY_URL"}
    assert secret not in json.dumps(config)


def test_without_tls_it_says_why(home, called):
    nowhere = cluster_at("nobody@127.0.0.1:1", home.path / "key", home.path / "known_hosts", "vm")
    with log_as_before():
        log.setup("json", io.StringIO())  # of the gateway, whose process this is
        with beside(at_its_socket(home, "one", nowhere)):
            done = called("kubeconfig")
    assert (done.code, done.out) == (125, b"")
    assert "gateway.tls_listen is none" in done.err


def test_a_cluster_that_there_is_not_and_no_gateway(called, demo_home):
    for words in (("kubeconfig",), ("token",)):
        done = called(*words)
        assert (done.code, done.out) == (125, b"")
        assert "start one with dap serve" in done.err
    done = called("kubeconfig", "--cluster", "nope", env=demo_home.env)
    assert (done.code, done.out) == (2, b"")
    assert "there are: default" in done.err


async def test_a_token_takes_few_imports(demo_home):
    forget(demo_home)
    for _ in range(2):
        done = await demo_home.dap("token", env={"PYTHONPROFILEIMPORTTIME": "1"})
        names = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
        assert done.code == 0
        assert "gateway.cli.token" in names
        assert not names & {
            "click",
            "http.client",
            "pathlib",
            "dataclasses",
            "ssl",
            "asyncio",
            "typing",
            "hashlib",
        }
