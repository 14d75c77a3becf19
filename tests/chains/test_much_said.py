"""A kubectl that says much more than is kept ends its session by name, and the gateway keeps next to nothing of it."""

import asyncio
import json
import re
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from support.peer import once
from support.repeated import again

from gateway.protocol.outcome import CODES

SAYS = """#!/bin/sh
case " $* " in
*" {verb} "*) yes 'error: words {filler}' | head -c {size} {end}>&2; exit 1 ;;
esac
exec {real} "$@"
"""
SIZES = [8_000_000, again(100_000_000)]  # bytes of words
OF_A_READ = [24_000_000, again(100_000_000)]  # the gateway's first connection is within the bound, too
SHARE = 0.65  # of the words, then they are kept
pytestmark = pytest.mark.timeout(110)


@asynccontextmanager
async def serving(home, demo, mode):
    """(process, its log), of a gateway on the demo's chain."""
    env = {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance, "DAP_RUNNER_MODE": mode,
        "DAP_RUNNER_EXEC": "kubectl",
    }  # fmt: skip
    words = ("serve", "--listen", "127.0.0.1:0", "--log", "json")
    process = await home.start(*words, env=env, stdin=asyncio.subprocess.DEVNULL)
    log = []
    try:
        assert await process.stdout.readline()
        yield process, log
    finally:
        process.terminate()
        _, err = await process.communicate()
        log += [json.loads(line) for line in err.decode().splitlines() if line.startswith("{")]
        assert "Traceback" not in err.decode()


@contextmanager
def kubectl(demo, verb, size, *, lines):
    """Puts a kubectl before the real one that talks instead of doing `verb`; in one line, or in many."""
    path = demo.directory / "bin" / "kubectl"
    real = path.rename(path.with_name("kubectl.real"))
    end = "" if lines else "| tr '\\n' ' ' "
    path.write_text(SAYS.format(verb=verb, size=size, filler="x" * 60, end=end, real=real))
    path.chmod(0o700)
    try:
        yield
    finally:
        real.rename(path)


def largest(pid):
    """KiB of memory that the process had at most."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("mode", "lines"),
    [again("plain", True), ("plain", False), again("relay", False), again("relay", True)],
    ids=["plain-lines", "plain-one line", "relay-one line", "relay-lines"],
)  # a relay looks for no lines
async def test_a_session_whose_kubectl_talks_ends_by_name(home, demo, mode, lines, size):
    async with serving(home, demo, mode) as (process, log):
        assert (await home.dap("exec", "-q", "bash-0", "--", "true")).code == 0
        with kubectl(demo, "exec", size, lines=lines):
            before = largest(process.pid)
            done = await home.dap("exec", "-q", "bash-0", "--", "true", stderr=asyncio.subprocess.DEVNULL)
            assert done.code not in (0, None)
            assert largest(process.pid) - before < size / 1024 * SHARE
            assert (await once(str(home.socket), "GET", "/healthz")).code == 200
    closed = [line for line in log if line["event"] == "session_closed"]
    assert len(closed) == 2
    assert closed[1]["outcome"] in CODES
    assert closed[1]["outcome"] not in ("exited", "gateway_error")


@pytest.mark.parametrize("size", OF_A_READ)
@pytest.mark.parametrize(("mode", "verb"), [again("plain", "get"), ("relay", "proxy")])
async def test_a_read_whose_kubectl_talks_is_refused_by_name(home, demo, mode, verb, size):
    with kubectl(demo, verb, size, lines=False):
        async with serving(home, demo, mode) as (process, _):
            before = largest(process.pid)
            async with asyncio.timeout(60):
                answer = await once(str(home.socket), "GET", "/api/v1/namespaces/default/services/web")
            assert answer.code >= 500
            assert answer.status["message"]
            assert len(answer.body) < 32 << 10
            assert largest(process.pid) - before < size / 1024 * SHARE
