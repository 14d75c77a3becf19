"""A gateway that several commands are run at."""

import signal
import socket
import subprocess
from types import MappingProxyType

import pytest
from support.dap import DAP, Done, Home, environment
from support.waiting import becomes

from gateway.cli.commands import doctor


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory):
    """A home with a `dap serve --demo` that runs, with TLS, too, for all tests: none of them may change it."""
    home = Home(tmp_path_factory.mktemp("home"))
    process = subprocess.Popen(
        [*DAP, "serve", "--demo", "--listen", "127.0.0.1:0"],
        env=home.env | {"DAP_GATEWAY_TLS_LISTEN": "localhost:0"},
        stdout=-1,
        stderr=subprocess.DEVNULL,
    )
    assert b"http://" in process.stdout.readline()
    yield home
    process.send_signal(signal.SIGTERM)
    process.communicate()


@pytest.fixture
def at(demo_home):
    """What `dap` of any home needs to find that gateway; it has no session and no channel left after the test."""
    yield demo_home.env
    assert becomes(lambda: _quiet(demo_home.socket), 10)


def _quiet(path):
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(path))
        asked.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        lines = asked.makefile("rb").read().splitlines()
    of_it = b'cluster="default"'
    return {b"dap_sessions_open{%s} 0.0" % of_it, b'dap_ssh{%s,what="channels"} 0.0' % of_it} <= set(lines)


@pytest.fixture
def in_this_loop(home, capsys):
    """Runs what a command is, once the command line is read, in the test's own loop, which has to answer it."""

    async def run(command, env=MappingProxyType({})):
        with environment(home, env):
            code = await command
        out, err = capsys.readouterr()
        return Done(code, out.encode(), err)

    return run


@pytest.fixture
def doctor_here(in_this_loop):
    """Runs `dap doctor` there."""
    return lambda env=MappingProxyType({}): in_this_loop(
        doctor._run("default", as_json=False, quiet=False), env
    )
