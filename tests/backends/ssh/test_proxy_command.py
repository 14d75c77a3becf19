"""ProxyCommand with real processes, a real sshd behind them, and OpenSSH's client beside us."""

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path

import asyncssh
import pytest
from support.leaks import children, descriptors
from support.openssh import key, public, ssh, sshd

from gateway.backends.ssh.proxy_command import start_proxy_command
from gateway.errors import HopFailed

CARRY = """
import os, select, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    while True:
        for ready in select.select([0, peer], [], [])[0]:
            data = ready.recv(65536) if ready is peer else os.read(0, 65536)
            if not data:
                sys.exit()
            os.write(1, data) if ready is peer else peer.sendall(data)
            if sys.argv[3:]:
                print("carried", len(data), file=sys.stderr, flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An sshd that lets one key in."""
    folder = tmp_path_factory.mktemp("sshd")
    with sshd(folder) as running:
        running.authorize(key(folder / "id"))
        (folder / "carry").write_text(CARRY)
        yield running


@pytest.fixture
def carry(server):
    """What `nc HOST PORT` is, as a shell line; a third word makes it talk on stderr."""
    return (
        f"{shlex.join([sys.executable, '-ISE', str(server.folder / 'carry')])} {server.address} {server.port}"
    )


@pytest.fixture(autouse=True)
async def nothing_left():
    """No descriptor and no child is left by a test."""
    before, had = len(descriptors()), children()
    yield
    assert len(descriptors()) <= before
    assert children() <= had


async def run(server, line, command="echo hello"):
    """What a command says over a connection through the line."""
    proxy = await start_proxy_command(line)
    try:
        async with asyncio.timeout(60), asyncssh.connect(
            "mgmt", sock=proxy.sock, config=None, username=server.user, client_keys=[str(server.folder / "id")],
            known_hosts=f"mgmt {public(server.host_keys[0])}".encode(), agent_path=None,
        ) as connection:  # fmt: skip
            return (await connection.run(command)).stdout
    except (asyncssh.Error, OSError) as error:
        await proxy.wait_ended(10)
        raise AssertionError(proxy.words()) from error
    finally:
        proxy.close()
        await proxy.wait_closed()


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{} 2>/dev/null",
        "cat | {} | cat",
        "$(echo {})",
        "env HERE=~ {}",
        "sh -c '{}; exit 3'",
        "{} aloud",
    ],
)
async def test_a_login_goes_through_a_shell_line(server, carry, form):
    assert await run(server, form.format(carry)) == "hello\n"


async def test_a_command_that_talks_on_stderr_all_the_time_does_not_end_the_session(server, carry):
    size = len(await run(server, f"{carry} aloud", "head -c 3000000 /dev/zero | tr '\\0' x"))

    assert size == 3_000_000


async def test_ssh_itself_can_be_the_command(server):
    config = server.client_config(f"IdentityFile {server.folder}/id")

    assert await run(server, f"ssh -F {config} -W {server.address}:{server.port} mgmt") == "hello\n"


async def test_a_flood_on_stderr_is_read_and_the_last_line_kept():
    proxy = await start_proxy_command("sh -c 'head -c 4000000 /dev/zero >&2; echo >&2; echo last >&2'")
    assert await proxy.wait_ended(60)
    assert proxy.words() == "the ProxyCommand ended with code 0: last"
    proxy.close()
    await proxy.wait_closed()


@pytest.mark.parametrize(
    ("line", "words"),
    [("no-such-program x", "ended with code 127: {shell}: no-such-program: not found"),
     ("sh -c 'echo why >&2; exit 3'", "ended with code 3: why"),
     ("sh -c 'exit 4'", "ended with code 4"),
     ("sh -c 'kill -9 $$'", "was killed by SIGKILL"),
     ("sh -c 'printf \"a\\rb\\r\\n\\n \\n\" >&2'", "ended with code 0: b"),
     ("printf '\\033[31m\\351 \\000 http://ann:secret@proxy' >&2", "ended with code 0: \\x1b[31m\\xe9 \\x00 http://****@proxy"),
     ("sh -c 'head -c 9999 /dev/zero | tr \"\\0\" x >&2'", "ended with code 0: " + 300 * "x")],
)  # fmt: skip
async def test_how_it_ended_and_its_last_words_are_told(capfd, line, words):
    proxy = await start_proxy_command(line, shell="/bin/sh")
    assert await proxy.wait_ended(60)
    told = proxy.words()
    proxy.close()
    await proxy.wait_closed()

    if "{shell}" in words:
        assert told.startswith("the ProxyCommand ended with code 127: ")
        assert told.endswith("no-such-program: not found")
    else:
        assert told == f"the ProxyCommand {words}"
    assert capfd.readouterr().err == ""


async def test_one_that_runs_tells_what_it_said_so_far():
    proxy = await start_proxy_command("sh -c 'read go; echo waiting >&2; echo x; exec cat'")
    assert proxy.words() == ""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60):
        await loop.sock_sendall(proxy.sock, b"go\n")
        assert await loop.sock_recv(proxy.sock, 2) == b"x\n"
        while not proxy.words():  # noqa: ASYNC110  # stderr is another pipe: what came first is read when it is
            await asyncio.sleep(0.01)
    assert proxy.words() == "the ProxyCommand says: waiting"
    assert not await proxy.wait_ended(0)
    proxy.close()
    await proxy.wait_closed()


@pytest.mark.parametrize("shell", ["", "recorder"])
async def test_the_shell_gets_what_ssh_gives_it(tmp_path, monkeypatch, shell):
    """$SHELL where it is set, else /bin/sh, with the same words."""
    recorder = tmp_path / "recorder"
    recorder.write_text(f'#!/bin/sh\nprintf "%s|" "$0" "$@" >{tmp_path}/said\n')
    recorder.chmod(0o755)
    line = f"a 'b c' | $d = {tmp_path}"
    if not shell:
        line = f'sh -c "echo \\$0 ~ $0 >{tmp_path}/said"'
    monkeypatch.setenv("SHELL", str(recorder) if shell else "")
    config = tmp_path / "config"
    config.write_text(f"Host x\n  ProxyCommand = {line}\n")

    ssh(config, "x", "true")
    theirs = (tmp_path / "said").read_text()
    (tmp_path / "said").unlink()
    proxy = await start_proxy_command(line)
    await proxy.wait_ended(60)
    proxy.close()
    await proxy.wait_closed()

    assert (tmp_path / "said").read_text() == theirs


async def test_a_shell_that_is_not_there_is_a_setting_to_mend():
    with pytest.raises(HopFailed) as caught:
        await start_proxy_command("cat", shell="/no/shell")

    assert caught.value.code == "ssh_config"
    assert caught.value.message == "cannot run ProxyCommand with /no/shell: No such file or directory"


async def test_stdin_and_stdout_of_the_gateway_are_no_connection():
    with pytest.raises(HopFailed, match="ProxyCommand -: ") as caught:
        await start_proxy_command("-")

    assert caught.value.code == "ssh_config"


@pytest.fixture
def told(tmp_path):
    """A FIFO to which a command writes its pids."""
    os.mkfifo(tmp_path / "told")
    return tmp_path / "told"


async def pids(told):
    async with asyncio.timeout(60):
        return [int(pid) for pid in (await asyncio.to_thread(told.read_text)).split()]


async def gone(pid):
    """Waits until the process has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(process, ended.set)
    async with asyncio.timeout(60):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(process)
    os.close(process)


async def test_it_has_a_session_of_its_own_and_no_terminal(tmp_path):
    script = "import os; print(os.getpid(), os.getsid(0), os.getpgid(0), flush=True); os.open('/dev/tty', os.O_RDWR)"
    proxy = await start_proxy_command(f"{sys.executable} -c {shlex.quote(script)} >{tmp_path}/ids")
    assert await proxy.wait_ended(60)
    proxy.close()
    await proxy.wait_closed()

    assert len(set((tmp_path / "ids").read_text().split())) == 1
    assert "No such device or address: '/dev/tty'" in proxy.words()


@pytest.mark.parametrize(
    "line",
    ["sh -c 'trap \"\" TERM; sleep 600 & echo $$ $! >{}; wait'", "sh -c 'sleep 600 2>/dev/null & echo $$ $! >{}; exit 0'",
     "sh -c 'sleep 600 | sleep 600 & echo $$ $! >{}; wait'"],
)  # fmt: skip
async def test_closing_it_ends_all_that_it_started(told, line):
    proxy = await start_proxy_command(line.format(told), seconds=0.3)
    started = await pids(told)
    assert len(started) == 2
    proxy.close()
    await proxy.wait_closed()

    for pid in started:
        await gone(pid)


async def test_closing_it_without_waiting_ends_it_too(told):
    proxy = await start_proxy_command(
        f"sh -c 'trap \"\" TERM; echo $$ >{told}; sleep 600; sleep 600'", seconds=0.1
    )
    [pid] = await pids(told)
    proxy.close()
    assert await proxy.wait_ended(60)
    assert proxy.words() == "the ProxyCommand was killed by SIGKILL"
    await proxy.wait_closed()
    await gone(pid)


async def test_when_its_closing_is_cancelled_it_is_killed_at_once(told):
    proxy = await start_proxy_command(f"sh -c 'trap \"\" TERM; echo $$ >{told}; sleep 600'", seconds=600)
    [pid] = await pids(told)
    proxy.close()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(proxy.wait_closed())
        await asyncio.sleep(0)
        task.cancel()
    assert await proxy.wait_ended(60)
    await proxy.wait_closed()
    await gone(pid)


async def test_when_its_start_is_cancelled_nothing_is_left():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(start_proxy_command("sleep 600"))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_it_reads_eof_when_the_gateway_is_killed(told):
    program = (
        "import asyncio, sys\n"
        "from gateway.backends.ssh.proxy_command import start_proxy_command\n"
        "async def main():\n"
        "    await start_proxy_command(sys.argv[1])\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    line = f"sh -c 'echo $$ >{told}; exec cat'"
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, line, cwd=Path(__file__).parents[3]
    )
    [pid] = await pids(told)
    gateway.send_signal(signal.SIGKILL)
    await gateway.wait()

    await gone(pid)
