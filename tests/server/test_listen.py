"""Of several gateways that want one socket, one has it, and no other takes it away."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.server import listen

HOLDER = """
import sys
from pathlib import Path
from gateway.errors import ConfigError
from gateway.server import listen
try:
    with listen.unix(Path(sys.argv[1])):
        print("listens", flush=True)
        sys.stdin.read()
except ConfigError as error:
    print(error, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "gateway.sock"


@contextlib.asynccontextmanager
async def holder(path):
    """(process, its first line): a process of its own that has the socket until its stdin ends."""
    pipe = asyncio.subprocess.PIPE
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    words = (sys.executable, "-c", HOLDER, str(path))
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=env)
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.stdin.close()
        await process.wait()


def filled(path, stack):
    """Connects until no more may wait."""
    while True:
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.setblocking(False)
        try:
            waiting.connect(str(path))
        except BlockingIOError:
            return


def refused(path):
    with pytest.raises(ConfigError) as caught, listen.unix(path):
        pass
    return str(caught.value)


async def test_of_many_that_start_at_once_one_listens(path):
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        starting = [group.create_task(stack.enter_async_context(holder(path))) for _ in range(6)]
        found = [await task for task in starting]

        (winner,) = [process for process, line in found if line == "listens"]
        lines = {line for _, line in found if line != "listens"}
        assert lines == {f"a gateway, process {winner.pid}, already listens on {path}; stop it first"}
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


async def test_a_gateway_that_is_stopped_keeps_its_socket(path):
    async with holder(path) as (process, line):
        assert line == "listens"
        process.send_signal(signal.SIGSTOP)
        before = path.stat().st_ino
        assert f"process {process.pid}," in refused(path)
        with contextlib.ExitStack() as stack:
            filled(path, stack)
            assert f"process {process.pid}," in refused(path)
        assert path.stat().st_ino == before
    assert not path.exists()


async def test_a_gateway_of_before_there_was_a_lock_keeps_its_socket(path):
    path.parent.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(socket.socket(socket.AF_UNIX))
        old.bind(str(path))
        old.listen(2)
        assert f"process {os.getpid()}," in refused(path)
        filled(path, stack)
        assert refused(path) == f"a gateway already listens on {path}; stop it first"
        assert path.exists()


async def test_what_a_killed_gateway_left_is_replaced(path):
    async with holder(path) as (process, line):
        assert line == "listens"
        process.kill()
        await process.wait()
        assert path.exists()
        with listen.unix(path) as bound, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            bound.accept()[0].close()
    assert not path.exists()


def test_the_end_of_a_gateway_leaves_its_successors_socket_alone(path):
    """Somebody removed the directory under the first."""
    with contextlib.ExitStack() as second:
        with listen.unix(path):
            for file in path.parent.iterdir():
                file.unlink()
            second.enter_context(listen.unix(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_socket_is_left_alone(path, make):
    path.parent.mkdir(mode=0o700)
    make(path)
    assert refused(path) == f"{path} is no socket: move it away"
    assert os.path.lexists(path)


def test_the_lock_is_nobody_elses_file(path, tmp_path):
    path.parent.mkdir(mode=0o700)
    (tmp_path / "precious").write_text("words")
    path.with_name("gateway.sock.lock").symlink_to(tmp_path / "precious")
    assert "cannot listen on" in refused(path)
    assert (tmp_path / "precious").read_text() == "words"
