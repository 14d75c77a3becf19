"""The Unix socket of `dap serve`: where it is, what is said where it cannot be there, and that it comes back."""

import asyncio
import os
import pwd
import re
import shutil
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from support.dap import Home
from support.peer import once
from support.repeated import again
from support.waiting import until

from gateway.errors import ConfigError
from gateway.server import listen
from gateway.server.local_socket import LocalSocket
from gateway.server.run import token
from gateway.settings import serving as serving_file
from gateway.settings.paths import passed_over, socket_paths, state_dir

pytestmark = pytest.mark.timeout(60)
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to somebody else")


@asynccontextmanager
async def serving(home, **env):
    """A `dap serve --demo` that is ready: what it has said on stderr so far, and its URL."""
    said = []
    words = ("serve", "--demo", "--listen", "127.0.0.1:0", "--log", "json")
    process = await home.start(*words, env=env, stdin=asyncio.subprocess.DEVNULL)

    async def listen():
        while line := await process.stderr.readline():
            said.append(line.decode())

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        try:
            line = (await process.stdout.readline()).decode()
            assert line, said
            yield said, re.search(r"http://\S+", line)[0]
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def warnings(said):
    return [line for line in said if '"level": "warning"' in line]


@pytest.fixture
def finds(called):
    """Asserts that `dap` finds the gateway, with this environment in place of that of the empty home."""

    async def look(**env):
        done = await asyncio.to_thread(called, "sessions", env=env)
        assert (done.code, done.err) == (0, "dap: no sessions\n"), done

    return look


@pytest.mark.parametrize("what", [again("socket"), "directory"])
async def test_a_client_with_another_environment_finds_it_and_a_removed_socket_comes_back(home, finds, what):
    async with serving(home) as (said, _):
        await finds(XDG_RUNTIME_DIR="")
        await finds(XDG_RUNTIME_DIR=str(home.path / "other"))
        if what == "socket":
            home.socket.unlink()
        else:
            shutil.rmtree(home.socket.parent)
        await finds()  # at its TCP address meanwhile
        await until(home.socket.exists, 15)
        assert (await once(str(home.socket), "GET", "/healthz")).code == 200
        await finds()
        with pytest.raises(ConfigError, match="already listens"), listen.unix(home.socket):
            pass
        assert len(warnings(said)) == 1
    assert not home.socket.exists()
    assert not (home.path / "state" / "dap" / "serving.json").exists()


@pytest.mark.parametrize("name", [again("file"), again("file/below"), "none"])
async def test_a_runtime_directory_of_no_use_falls_back_with_one_warning(home, finds, name):
    (home.path / "file").touch()
    where = "/proc/none" if name == "none" else str(home.path / name)
    async with serving(home, XDG_RUNTIME_DIR=where) as (said, _):
        for other in (where, str(home.path / "file" / "below")):
            await finds(XDG_RUNTIME_DIR=other)
        await finds()
        (warning,) = warnings(said)
    assert "local_socket_fallback" in warning
    assert where in warning
    assert str(home.path / "state" / "dap" / "gateway.sock") in warning


@pytest.mark.parametrize("name", ["file", "file/below", "none", ""])
def test_without_a_runtime_directory_of_use_the_socket_is_in_the_state(home, name):
    """The variable may be unset, too: that is nothing to warn of."""
    (home.path / "file").touch()
    where = "/proc/none" if name == "none" else str(home.path / name)
    env = home.env | {"XDG_RUNTIME_DIR": where if name else ""}
    local = LocalSocket(socket_paths(env), lambda _: True)
    with capture_logs() as logged:
        local.open(passed_over(env))
    assert local.path == home.path / "state" / "dap" / "gateway.sock"
    assert local.path.exists()
    local.close()
    assert [line["event"] for line in logged] == ["local_socket_fallback"] * bool(name)
    assert not name or f"cannot listen on {where}/dap/gateway.sock" in logged[0]["why"]


@ROOT
async def test_nothing_is_made_in_somebody_elses_directory(home, called, finds):
    nobody = pwd.getpwnam("nobody")
    theirs = home.path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    async with serving(home, XDG_RUNTIME_DIR=str(theirs)) as (said, _):
        await finds(XDG_RUNTIME_DIR=str(theirs))
        (warning,) = warnings(said)
    assert f"{theirs}/dap is not used: it would be in a directory of uid {nobody.pw_uid}" in warning
    done = called("config", "init", "--ssh-host", "ops@h", env={"XDG_CONFIG_HOME": str(theirs)})
    assert done.code == 2
    assert f"would be in a directory of uid {nobody.pw_uid}" in done.err
    assert not list(theirs.iterdir())


@ROOT
def test_the_state_of_a_foreign_home_is_in_ones_own(tmp_path):
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    own = pwd.getpwuid(0).pw_dir

    assert str(state_dir(env)) == f"{own}/.local/state/dap"
    assert [str(path) for path in socket_paths(env)] == [f"{own}/.local/state/dap/gateway.sock"]
    assert len(passed_over(env)) == 2


async def test_directories_with_long_names_are_as_good_as_others(finds, tmp_path):
    """AF_UNIX has room for 107 bytes; a pod's volume, a CI's work directory and a test's have more."""
    deep = Home(tmp_path / ("d" * 60) / ("e" * 60))
    (deep.path / "run").mkdir(parents=True, mode=0o700)
    (deep.path / "tmp").mkdir()
    env = {"TMPDIR": str(deep.path / "tmp")}
    assert len(str(deep.socket)) > 150
    async with serving(deep, **env) as (said, _):
        (warning,) = warnings(said)
        assert "the path of a Unix socket has at most 103 bytes" in warning
        assert not deep.socket.exists()
        aside = serving_file.read(deep.path / "state" / "dap").socket
        assert aside.exists()
        await finds(**deep.env | env)
        done = await deep.dap("exec", "web-0", "--", "echo", "hello", env=env)
        assert (done.code, done.out) == (0, b"hello\n"), done
    assert not aside.parent.exists()


def test_a_gateway_inside_a_command_works_below_a_long_name(called, demo, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    env = {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance,
        "DAP_RUNNER_SSH_CONFIG": "none", "TMPDIR": str(deep), "HOME": str(deep),
    }  # fmt: skip
    done = called("exec", "-q", "web-0", "--", "echo", "hello", env=env)

    assert (done.code, done.out, done.err) == (0, b"hello\n", "")
    assert not list(deep.iterdir())


async def test_where_no_directory_will_do_it_says_what_is_lost(home, finds):
    (home.path / "file").touch()
    nowhere = str(home.path / "file")
    env = {"XDG_RUNTIME_DIR": nowhere, "XDG_STATE_HOME": nowhere, "DAP_GATEWAY_TOKEN": "a-token-of-the-test"}
    async with serving(home, **env) as (said, url):
        (warning,) = [line for line in warnings(said) if "local_socket" in line]
        assert "no_local_socket" in warning
        assert "with the token" in warning
        await finds(**env, DAP_GATEWAY_LISTEN=url.removeprefix("http://"))
    with pytest.raises(ConfigError, match=r"or set DAP_GATEWAY_TOKEN$"):
        token(state_dir(home.env | env))


def test_a_socket_path_that_names_itself_is_one_error(tmp_path):
    with (
        pytest.raises(ConfigError, match="cannot listen on"),
        listen.unix(tmp_path / ("x" * 300) / "gateway.sock"),
    ):
        pass
