"""The management host behaves as sshd does."""

import asyncio
import os
from pathlib import Path

import asyncssh
import pytest
from demo.client import login
from support.leaks import alive
from support.waiting import until

from gateway.demo import demo_chain, stdio

RAW = {
    asyncssh.PTY_ECHO: 0,
    asyncssh.PTY_ICANON: 0,
    asyncssh.PTY_ISIG: 0,
    asyncssh.PTY_ICRNL: 0,
    asyncssh.PTY_OPOST: 0,
}
TERMINAL = {"term_type": "xterm", "term_size": (80, 24), "encoding": None}


async def test_the_exit_status_is_the_commands(ssh):
    for code in (0, 1, 3, 126, 127, 130, 137, 255):
        result = await ssh.run(f"exit {code}", encoding=None)

        assert (result.exit_status, result.exit_signal) == (code, None)


async def test_a_shell_that_dies_of_a_signal_says_which(ssh):
    result = await ssh.run("kill -TERM $$", encoding=None)

    assert result.exit_signal[0] == "TERM"


async def test_stdout_and_stderr_stay_apart(ssh):
    result = await ssh.run("printf out; printf err >&2", encoding=None)

    assert (result.stdout, result.stderr) == (b"out", b"err")


async def test_the_end_of_input_arrives(ssh):
    result = await ssh.run("cat; echo done", input=b"line\n", encoding=None)

    assert result.stdout == b"line\ndone\n"


@pytest.mark.parametrize("line", ["cat", "incus exec dap-demo -T -- kubectl exec -i web-0 -- cat"])
async def test_eight_mebibytes_pass_unchanged_both_ways(ssh, line):
    data = os.urandom(8 << 20)

    assert (await ssh.run(line, input=data, encoding=None)).stdout == data


async def test_input_for_a_command_that_reads_none_is_dropped(ssh):
    result = await ssh.run("exec <&-; echo over", input=bytes(4 << 20), encoding=None)

    assert (result.stdout, result.exit_status) == (b"over\n", 0)


async def test_a_client_that_does_not_read_holds_the_command_back(ssh):
    process = await ssh.create_process("echo $$; exec head -c 33554432 /dev/zero", encoding=None)
    pid = int(await process.stdout.readline())
    counts = [-1, -2]

    def stands_still() -> bool:
        counts.append(int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0]))
        return len(set(counts[-10:])) == 1

    await until(stands_still)
    assert counts[-1] < 16 << 20
    assert len(await process.stdout.read()) == 32 << 20


async def test_a_grandchild_that_keeps_the_pipe_does_not_keep_the_session(ssh, monkeypatch):
    monkeypatch.setattr(stdio, "_PIPE_QUIET", 0.1)
    async with asyncio.timeout(10):
        result = await ssh.run("sleep 1000 & echo over; exit 4", encoding=None)

    assert (result.stdout, result.exit_status) == (b"over\n", 4)


async def test_a_signal_goes_to_the_process_group(ssh):
    process = await ssh.create_process("echo ready; sh -c 'sleep 1000; :'; echo not", encoding=None)
    await process.stdout.readline()
    process.send_signal("TERM")

    assert (await process.wait()).exit_signal[0] == "TERM"


async def test_a_command_without_a_terminal_outlives_its_channel(ssh):
    process = await ssh.create_process("echo $$; exec sleep 1000", encoding=None)
    pid = int(await process.stdout.readline())
    process.close()
    await process.wait_closed()

    assert alive(pid)


async def test_a_terminal_has_the_size_and_the_modes_that_were_asked_for(ssh):
    result = await ssh.run("stty size; stty -a; tty; echo $TERM", term_modes=RAW, **TERMINAL)

    lines = result.stdout.decode().split("\n")
    assert lines[0] == "24 80"
    assert {"-echo", "-icanon", "-isig", "-icrnl", "-opost"} <= set(
        result.stdout.decode().replace(";", " ").split()
    )
    assert lines[-3].startswith("/dev/")
    assert lines[-2] == "xterm"


async def test_a_raw_terminal_passes_all_bytes(ssh):
    data = bytes(range(256)) * 1024
    process = await ssh.create_process(f"stty -a | grep -c .; head -c {len(data)}", term_modes=RAW | {
        asyncssh.PTY_IXON: 0, asyncssh.PTY_IEXTEN: 0,
    }, **TERMINAL)  # fmt: skip
    await process.stdout.readline()
    process.stdin.write(data)

    assert await process.stdout.read() == data


async def test_a_new_size_reaches_the_foreground(ssh):
    line = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done"
    process = await ssh.create_process(line, **TERMINAL)
    await process.stdout.readline()
    process.change_terminal_size(200, 50)

    assert await process.stdout.readline() == b"50 200\r\n"


async def test_control_c_interrupts(ssh):
    process = await ssh.create_process("exec cat", **TERMINAL)
    process.stdin.write(b"x\r")
    assert await process.stdout.readexactly(6) == b"x\r\nx\r\n"  # echoed, and said by cat, which so runs
    process.stdin.write(b"\x03")

    assert (await process.wait()).exit_signal[0] == "INT"


@pytest.mark.parametrize("stalled", [False, True])
async def test_a_terminal_that_is_closed_hangs_up(ssh, stalled):
    """Also when input waits for a command that does not read."""
    process = await ssh.create_process("stty raw -echo; echo $$; sleep 1000; :", **TERMINAL)
    pid = int(await process.stdout.readline())
    if stalled:
        process.stdin.write(bytes(1 << 20))
    process.close()
    await until(lambda: not alive(pid))


async def test_a_lost_connection_hangs_up_too(demo):
    async with login(demo) as ssh:
        process = await ssh.create_process("echo $$; sleep 1000; :", **TERMINAL)
        pid = int(await process.stdout.readline())
        ssh.abort()
    await until(lambda: not alive(pid))


async def test_the_output_before_the_end_of_a_terminal_is_whole(ssh):
    result = await ssh.run("seq 1 20000; sleep 1000 & exit 3", term_modes={asyncssh.PTY_ONLCR: 0}, **TERMINAL)

    assert result.stdout.split() == [b"%d" % number for number in range(1, 20001)]
    assert result.exit_status == 3


async def test_the_eleventh_session_of_a_connection_is_refused(ssh):
    open_ones = [await ssh.create_process("cat", encoding=None) for _ in range(10)]

    with pytest.raises(asyncssh.ChannelOpenError) as refused:
        await ssh.create_process("cat", encoding=None)
    assert (refused.value.code, refused.value.reason) == (asyncssh.OPEN_CONNECT_FAILED, "open failed")

    open_ones[0].stdin.write_eof()
    await open_ones[0].wait()
    assert (await ssh.run("echo again", encoding=None)).stdout == b"again\n"


async def test_the_limit_of_sessions_can_be_set():
    async with demo_chain(max_sessions=1) as settings, login(settings) as ssh:
        await ssh.create_process("cat", encoding=None)
        with pytest.raises(asyncssh.ChannelOpenError):
            await ssh.create_process("cat", encoding=None)


async def test_an_impossible_command_line_is_refused_in_words(ssh):
    result = await ssh.run("echo " + "x" * 200_000, encoding=None)

    assert b"too long" in result.stderr
    assert result.exit_status == 126
