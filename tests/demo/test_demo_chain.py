"""The block: what it makes, and that nothing of it is left."""

import asyncio
import stat

import asyncssh
import pytest
from demo.client import descriptors, login
from support.leaks import alive, children
from support.waiting import until

from gateway.demo import WARNING, demo_chain


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_everything_it_makes_is_private(demo):
    assert mode(demo.directory) == 0o700
    assert mode(demo.ssh_key) == mode(demo.known_hosts) == mode(demo.directory / "host_key") == 0o600
    assert demo.instance == "dap-demo"


def test_the_warning_says_where_commands_run():
    assert "ON THIS MACHINE" in WARNING


async def test_nothing_is_left_after_the_block():
    """Tasks, descriptors, children, the directory, and what the commands have started and abandoned."""
    async with demo_chain():  # what libraries open once and keep
        pass
    before = asyncio.all_tasks(), descriptors(), children()
    async with demo_chain() as settings:
        async with login(settings) as ssh:
            quiet = await ssh.create_process(
                "trap '' HUP; setsid sleep 1000 & echo $!; sleep 1000", encoding=None
            )
            terminal = await ssh.create_process(
                "kubectl exec -it web-0 -- sh -c 'echo $$; sleep 1000'", term_type="xterm", encoding=None
            )
            pids = [int(await process.stdout.readline()) for process in (quiet, terminal)]
        assert alive(pids[0])
    await until(lambda: not any(map(alive, pids)))

    assert (asyncio.all_tasks(), descriptors(), children()) == before
    assert not settings.directory.exists()


async def test_it_ends_with_clients_still_connected_and_commands_running():
    async with demo_chain() as settings:
        connection = login(settings)
        ssh = await connection.__aenter__()
        process = await ssh.create_process("trap '' HUP TERM; echo $$; exec cat", encoding=None)
        pid = int(await process.stdout.readline())
    assert not alive(pid)
    await connection.__aexit__(None, None, None)


async def test_an_error_in_the_block_comes_out_as_it_is():
    async def fail() -> None:
        async with demo_chain() as settings, login(settings) as ssh:
            await ssh.create_process("cat", encoding=None)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


@pytest.mark.parametrize("times", [1, 2])
async def test_cancelling_the_block_ends_everything(times):
    """Cancelled while it waits for a process that ignores the hangup, it kills at once."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with demo_chain() as settings, login(settings) as ssh:
            process = await ssh.create_process("trap '' HUP; echo $$; exec sleep 1000", encoding=None)
            ready.set_result(int(await process.stdout.readline()))
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve())
        pid = await ready
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.02)
    await until(lambda: not alive(pid))


@pytest.mark.parametrize(
    "options",
    [
        {"username": "root"},
        {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
        {"client_keys": None, "password": "dap"},
    ],
)
async def test_nobody_else_gets_in(demo, options):
    with pytest.raises(asyncssh.PermissionDenied):
        async with login(demo, **options):
            pass
