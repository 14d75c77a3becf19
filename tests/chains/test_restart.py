"""A gateway that is killed, or stopped, and started again: the same shells go on, byte for byte."""

import asyncio
import hashlib
import json
import random
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.dap import Home
from support.exec_client import Access
from support.repeated import seeds
from support.resuming import Resuming, shell
from support.waiting import until

pytestmark = pytest.mark.timeout(120)
LINES = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"
RAW = "stty -echo -onlcr -icanon; echo ready; "


def lines(count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(count))


class Served:
    """`dap serve` on a demo's chain, which outlives it."""

    def __init__(self, home: Home, demo) -> None:
        self.home = home
        self.log: list[dict] = []
        self._env = {
            "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
            "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance,
            "DAP_RUNNER_MODE": "relay",
        }  # fmt: skip
        self.process: asyncio.subprocess.Process | None = None

    @property
    def access(self) -> Access:
        return Access("", socket=str(self.home.socket))

    async def start(self) -> None:
        words = ("serve", "--listen", "127.0.0.1:0", "--log", "json")
        self.process = await self.home.start(*words, env=self._env, stdin=asyncio.subprocess.DEVNULL)
        assert await self.process.stdout.readline(), (await self.process.stderr.read()).decode()

    async def end(self, number: int = signal.SIGKILL) -> None:
        if self.process and self.process.returncode is None:
            self.process.send_signal(number)
            _, err = await self.process.communicate()
            found = [line for line in err.decode().splitlines() if line.startswith("{")]
            self.log += [json.loads(line) for line in found]
            assert "Traceback" not in err.decode(), err.decode()

    async def until(self, name: str) -> None:
        """Waits until it has logged such an event."""
        async with asyncio.timeout(20):
            while not self.events(name):
                line = (await self.process.stderr.readline()).decode()
                self.log += [json.loads(line)] if line.startswith("{") else []

    def events(self, name: str) -> list[dict]:
        return [one for one in self.log if one["event"] == name]


@pytest.fixture
async def gateway(demo, tmp_path):
    one = Served(Home(tmp_path), demo)
    await one.start()
    try:
        yield one
    finally:
        await one.end(signal.SIGTERM)


@asynccontextmanager
async def following(client):
    """The client attaches again and again, in the background, until the session's end."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.keep_on(pauses=(0.05, 0.1, 0.3)))
        yield task


@pytest.mark.parametrize("seed", seeds(2))
async def test_killed_and_started_again_nothing_is_lost_or_doubled(gateway, seed):
    chance = random.Random(seed)
    count, every = 60_000, "".join(chance.choices("abcdefgh\n", k=60_000)).encode()
    script = RAW + f"({LINES % count}); head -c {len(every)} | sha256sum; exit 9"
    client = await Resuming(gateway.access).open(shell("sh", "-c", script, pod=""))
    assert client.controls[0]["resume"]["grace"] == 600
    await client.until(lambda: b"ready" in client.output)

    async def nemesis():
        for _ in range(2):
            await asyncio.sleep(chance.uniform(0.1, 1.2))
            await gateway.end()
            await gateway.start()

    async with asyncio.timeout(90), following(client), asyncio.TaskGroup() as tasks:
        tasks.create_task(nemesis())
        at = 0
        while at < len(every):
            part = every[at : at + chance.randrange(1, 1000)]
            await client.type(part)
            at += len(part)
            await asyncio.sleep(0.03)

    said = bytes(client.output).replace(b"\r\n", b"\n").replace(b"ready\n", b"", 1)
    assert said == lines(count) + hashlib.sha256(every).hexdigest().encode() + b"  -\n"
    assert client.gaps == []
    assert client.end["exitCode"] == 9
    assert client.attaches >= 2


async def test_over_a_stop_and_a_kill_each_session_goes_on_as_it_is_promised(gateway, tmp_path):
    """In three lives, each of which is dear to start."""
    ended = await a_stop_leaves_what_can_be_resumed_and_says_so(gateway)
    await over_one_kill_each_session_goes_on(gateway, tmp_path)

    closed = [one for one in gateway.events("session_closed") if one["session"] == ended]
    assert [one["exit_code"] for one in closed] == [7], "counted once"


async def over_one_kill_each_session_goes_on(gateway, tmp_path):
    async with (
        nobody_comes_back(gateway, tmp_path) as gone,  # the last that is waited for
        a_shell_in_a_pod_goes_on(gateway),
        secrets_and_owners_are_known_to_the_next_life(gateway, tmp_path),
        what_ends_meanwhile_is_told_by_the_next_life(gateway),  # it ends while there is no gateway
    ):
        await gateway.end()
        await asyncio.sleep(0.3)
        await gateway.start()
    await gateway.end(signal.SIGTERM)
    assert [one["outcome"] for one in gateway.events("session_closed") if one["session"] == gone.name] == [
        "client_lost"
    ]
    assert gone.name in [one["session"] for one in gateway.events("session_recovered")]


@asynccontextmanager
async def a_shell_in_a_pod_goes_on(gateway):
    client = await Resuming(gateway.access).open(shell(pod="bash-0"))
    opened = time.monotonic()
    await client.type(b"a=4''2; PS1='$ '\n")
    await client.until(lambda: client.output.endswith(b"$ "))
    yield
    await client.gone()
    await client.attach()
    hello = [one for one in client.controls if one["type"] == "hello"][-1]
    assert hello["target"]["pod"] == "bash-0"
    assert hello["command"] is None
    assert hello["way"] == "api"  # of the session's record
    assert hello["age"] >= int(time.monotonic() - opened)  # of the session, not of the gateway
    mark = len(client.output)
    await client.type(b"echo $a; exit 3\n")
    await client.until(lambda: client.over)
    assert b"42\r\n" in client.output[mark:]
    assert client.end["exitCode"] == 3


@asynccontextmanager
async def what_ends_meanwhile_is_told_by_the_next_life(gateway):
    client = await Resuming(gateway.access).open(shell("sh", "-c", RAW + "read x; echo done; exit 7", pod=""))
    await client.until(lambda: b"ready" in client.output)
    await client.type(b"\n")
    await client.until(lambda: client.received == 1 or client.over)
    yield
    await client.gone()
    await client.attach()
    if not client.over:
        await client.until(lambda: client.over)
    assert client.output == b"ready\ndone\n"
    assert client.end["exitCode"] == 7


@asynccontextmanager
async def secrets_and_owners_are_known_to_the_next_life(gateway, tmp_path):
    client = await Resuming(gateway.access).open(shell("cat", pod=""))
    await client.type(b"one\n")
    await client.until(lambda: b"one\r\none\r\n" in client.output)
    before = client.secret
    await client.cut()
    await client.attach()
    await client.type(b"two\n")
    await client.until(lambda: b"two\r\ntwo\r\n" in client.output)
    await asyncio.sleep(0.1)
    yield
    await client.gone()
    token = (tmp_path / "state" / "dap" / "token").read_text().strip()
    assert token
    for secret, code in ((before, "resume_refused"), ("x", "resume_refused")):
        await client.attach(secret=secret)
        assert client.refused["code"] == code
    for offset in (client.offset + 1, 1 << 60):
        await client.attach(offset=offset)
        assert client.refused["code"] == "offset_gone"
    await client.attach()
    assert client.refused is None
    await client.close()


@asynccontextmanager
async def nobody_comes_back(gateway, tmp_path):
    """The next life gives it the grace time again, and then ends it."""
    config = tmp_path / "config" / "dap"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("[limits]\ngrace = 4.0\n")
    pid = tmp_path / "pid"
    client = await Resuming(gateway.access).open(
        shell("sh", "-c", f"echo $$ >{pid}; exec sleep 1000", pod="")
    )
    await client.until(lambda: client.controls[-1]["type"] == "started")
    await until(pid.exists, 5)
    await asyncio.sleep(0.1)
    yield client
    await client.gone()
    command = Path(f"/proc/{int(pid.read_text())}")
    await until(lambda: not command.exists(), 15)


async def a_stop_leaves_what_can_be_resumed_and_says_so(gateway):
    """Returns the name of a session whose end the first life has logged, and the second one has told."""
    kept = await Resuming(gateway.access).open(shell("cat", pod=""))
    await kept.type(b"one\n")
    await kept.until(lambda: b"one\r\none\r\n" in kept.output)
    other = await Resuming(gateway.access).open(shell("cat", pod="", resume=False))
    async with an_end_that_was_not_told_yet_is_told(gateway) as ended:
        await gateway.end(signal.SIGTERM)
        await kept.gone()
        await other.gone()
        assert kept.closed[0] == 1012
        assert (kept.end, kept.status) == (None, None)
        assert other.closed[0] == 1000
        assert other.end["code"] == "shutdown"
        handed_over = [one["session"] for one in gateway.events("session_handed_over")]
        assert [name for name in handed_over if name != ended.name] == [kept.name]
        assert [one["session"] for one in gateway.events("session_closed")] == [ended.name, other.name]

        await gateway.start()
        await kept.attach()
        await kept.type(b"two\n\x04")
        await kept.until(lambda: kept.over)
        assert kept.output == b"one\r\none\r\ntwo\r\ntwo\r\n"
        assert kept.end["exitCode"] == 0
    return ended.name


@asynccontextmanager
async def an_end_that_was_not_told_yet_is_told(gateway):
    """The first life has logged it, the second one tells it."""
    client = await Resuming(gateway.access).open(shell("sh", "-c", "echo ready; sleep 0.5; exit 7", pod=""))
    await client.until(lambda: b"ready" in client.output)
    await client.cut()
    await gateway.until("session_closed")
    yield client
    async with asyncio.timeout(30), following(client):
        pass
    assert client.end["exitCode"] == 7
