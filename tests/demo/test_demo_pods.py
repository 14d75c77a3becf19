"""A terminal in a pod of the demo, through the whole chain."""

import asyncio
import hashlib
import os
import shlex
import signal

import pytest
from support.leaks import alive
from support.waiting import until

TERMINAL = {"term_type": "xterm-256color", "term_size": (100, 30), "encoding": None}
# what a gateway does before kubectl starts
RAW_RUNNER = "stty raw -echo; echo ready; exec kubectl exec -it {} 2>$HOME/words"


async def terminal(ssh, pod: str, *command: str):
    """A session in a pod as the gateway opens it; returns when the far side is raw."""
    inner = RAW_RUNNER.format(f"{pod} -- {shlex.join(command)}")
    process = await ssh.create_process(f"incus exec dap-demo -t -- bash -lc {shlex.quote(inner)}", **TERMINAL)
    await process.stdout.readuntil(b"ready\n")
    return process


async def test_a_pods_terminal_is_cooked_under_a_raw_one(ssh, demo):
    """Echo, line editing and CR LF once each, and kubectl's words apart."""
    process = await terminal(
        ssh, "web-0", "sh", "-c", "echo $TERM; stty size; read -r line; echo got $line; exit 7"
    )
    assert await process.stdout.readline() == b"xterm\r\n"
    assert await process.stdout.readline() == b"30 100\r\n"
    process.stdin.write(b"wordx\x7f\r")

    assert await process.stdout.read() == b"wordx\x08 \x08\r\ngot word\r\n"
    assert (await process.wait()).exit_status == 7
    assert (demo.directory / "runner" / "words").read_bytes() == b"command terminated with exit code 7\n"


async def test_control_c_acts_in_the_pod_only(ssh):
    process = await terminal(
        ssh, "web-0", "sh", "-c", "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.02; done"
    )
    await process.stdout.readline()
    process.stdin.write(b"\x03")

    assert await process.stdout.read() == b"^Ccaught\r\n"
    assert (await process.wait()).exit_status == 5


async def test_a_new_size_reaches_the_pod(ssh):
    process = await terminal(
        ssh, "web-0", "sh", "-c", "trap 'stty size' WINCH; echo up; while :; do sleep 0.02; done"
    )
    await process.stdout.readline()
    process.change_terminal_size(200, 50)

    assert await process.stdout.readline() == b"50 200\r\n"


async def test_a_shell_in_a_pod_shows_the_demos_prompt(ssh):
    process = await terminal(ssh, "bash-0", "bash")

    assert (await process.stdout.readuntil(b"$ ")).endswith(b"bash-0:demo$ ")


async def test_a_pods_terminal_passes_all_bytes_both_ways(ssh):
    data = os.urandom(1 << 20)
    process = await terminal(ssh, "web-0", "sh", "-c", f"stty raw -echo; echo up; head -c {len(data)}")
    await process.stdout.readline()
    process.stdin.write(data)

    assert hashlib.sha256(await process.stdout.read()).digest() == hashlib.sha256(data).digest()


async def test_a_terminal_that_hangs_up_hangs_up_the_pods(ssh):
    process = await terminal(ssh, "web-0", "sh", "-c", "echo $$; sleep 1000; :")
    pid = int(await process.stdout.readline())
    process.close()
    await until(lambda: not alive(pid))


@pytest.mark.parametrize(("options", "code"), [({}, 143), (TERMINAL, 1)])
async def test_ending_kubectl_ends_the_command(ssh, options, code):
    """TERM to kubectl alone: with a terminal it exits with 1, without one it dies of the signal; never with words."""
    flag = "-it" if options else "-i"
    command = shlex.quote("echo $PPID $$; sleep 1000; :")
    line = f"kubectl exec {flag} web-0 -- sh -c {command}; echo $?"
    process = await ssh.create_process(line, **({"encoding": None} | options))
    kubectl, pid = map(int, (await process.stdout.readline()).split())
    os.kill(kubectl, signal.SIGTERM)

    assert int(await process.stdout.readline()) == code
    assert b"terminated with" not in await process.stderr.read()
    await until(lambda: not alive(pid))


async def test_sixty_four_mebibytes_through_a_pod_take_a_second(ssh):
    async with asyncio.timeout(10):
        process = await ssh.create_process("kubectl exec web-0 -- head -c 67108864 /dev/zero", encoding=None)
        total = 0
        while data := await process.stdout.read(1 << 20):
            total += len(data)

    assert total == 64 << 20


async def test_no_signal_is_ignored_in_a_pod(ssh):
    """However the demo was started: nohup and a shell's background job ignore some."""
    result = await ssh.run("trap '' HUP INT QUIT; kubectl exec web-0 -- grep SigIgn /proc/self/status")

    ignored = int(result.stdout.split()[1], 16)
    assert ignored & 0x7FFFFFFF == 0  # signals 1 to 31; the C library has those behind them for itself
