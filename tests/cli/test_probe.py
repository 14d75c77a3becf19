"""`dap probe`, against pods that are what they should be, and pods that are not."""

import json
import re

import pytest
from support.beside import beside
from support.fake_gateway import fake_gateway

from gateway.cli.commands import probe as command
from gateway.protocol.messages import Resize, Stdin
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Target, TerminalSize


class Pod:
    """A terminal with the probe's script on it; each attribute is a way to be broken."""

    def __init__(self, *, echo=True, off_by=0, stty=True, code_off_by=0, silent=False):
        self.echo, self.off_by, self.stty, self.code_off_by, self.silent = (
            echo,
            off_by,
            stty,
            code_off_by,
            silent,
        )
        self.size = TerminalSize(80, 24)

    async def __call__(self, client):
        await client.hello()
        if self.silent:
            await client.connection.wait_closed()
        await client.out(b"ready-23\r\n")
        while True:
            match await client.receive():
                case Resize(size):
                    self.size = size
                case Stdin(data):
                    if self.echo:
                        await client.out(data.replace(b"\n", b"\r\n"))
                    words = data.decode().split()
                    if words[0] == "end":
                        return await client.end(int(words[1]) + self.code_off_by)
                    await client.out(self.answer(words))

    def answer(self, words):
        match words:
            case ["add", a, b]:
                return b"sum=%d=\r\n" % (int(a) + int(b) + self.off_by)
            case ["size"] if self.stty:
                return b"size=%d %d=\r\n" % (self.size.rows, self.size.columns)
            case ["size"]:
                return b"size=none=\r\n"
        return b""


@pytest.fixture
def probed(in_this_loop):
    """Runs `dap probe web-0` in the test's own loop."""
    target = Target.parse("default", None, "web-0", None)
    return lambda seconds=30.0: in_this_loop(command._run(target, seconds, as_json=False, quiet=False))


async def test_a_good_pod_passes_every_step(home):
    async with fake_gateway(Pod(), home.socket):
        done = await home.dap("probe", "web-0")

    assert (done.code, done.err) == (0, "")
    lines = done.out.decode().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["PASS", name] for name in ("open", "start", "echo", "compute", "resize", "close")
    ]
    assert all(re.fullmatch(r"PASS \w+ +\d+ ms", line) for line in lines)


def test_json_is_one_object_that_tells_whose_code_it_is(home, called):
    with beside(fake_gateway(Pod(), home.socket)):
        done = called("probe", "web-0", "-n", "shop", "--json")

    verdict = json.loads(done.out)
    assert verdict["ok"]
    assert verdict["target"] == "default/shop/web-0"
    assert (verdict["exitCode"], verdict["exitCodeOf"]) == (0, "dap")
    assert 3 <= verdict["commandExitCode"] < 103
    assert len(verdict["steps"]) == 6


@pytest.mark.parametrize(
    ("pod", "step", "words"),
    [
        (Pod(off_by=1), "compute", "the pod says"),
        (Pod(code_off_by=1), "close", "came through"),
    ],
)
async def test_a_wrong_answer_is_a_failed_check(home, probed, pod, step, words):
    async with fake_gateway(pod, home.socket):
        done = await probed()

    assert done.code == 1
    last = done.out.decode().splitlines()[-1]
    assert last.startswith(f"FAIL {step}: pod: ")
    assert words in last


async def test_without_stty_the_size_is_skipped(home, probed):
    async with fake_gateway(Pod(stty=False), home.socket):
        done = await probed()

    assert done.code == 0
    assert "SKIP resize: the container has no stty\n" in done.out.decode()


async def test_a_hop_that_ends_the_session_is_named(home, probed):
    async def script(client):
        await client.hello()
        await client.end(Outcome("ssh_lost", "connection reset"))

    async with fake_gateway(script, home.socket):
        done = await probed()
        as_json = await home.dap("probe", "web-0", "--json")

    assert done.code == 125
    assert done.out.decode().splitlines()[-1] == "FAIL start: ssh: connection reset (ssh_lost)"
    verdict = json.loads(as_json.out)
    assert [verdict[key] for key in ("ok", "exitCode", "hop", "code")] == [False, 125, "ssh", "ssh_lost"]


async def test_a_gateway_that_dies_is_named(home, probed):
    async def script(client):
        await client.hello()
        client.connection.transport.abort()

    async with fake_gateway(script, home.socket):
        done = await probed()

    assert done.code == 125
    assert "FAIL start: gateway: the connection to the gateway was lost" in done.out.decode()


async def test_silence_ends_with_the_hop_that_the_gateway_blames(home):
    """A hop that hangs says nothing: the gateway is asked which one it is."""
    hops = [{"hop": "ssh", "ok": True, "ms": 1, "message": ""},
            {"hop": "incus", "ok": False, "ms": None, "message": "frozen", "code": "incus_frozen"}]  # fmt: skip
    http = {"/readyz": (503, {"ready": False, "clusters": {"default": {"hops": hops}}})}
    async with fake_gateway(Pod(silent=True), home.socket, http=http):
        done = await home.dap("probe", "web-0", "--timeout", "5")

    assert done.code == 125
    assert done.out.decode().splitlines()[-1] == "FAIL start: incus: frozen (incus_frozen)"


async def test_silence_that_nobody_explains_is_a_failed_check(home, probed):
    async with fake_gateway(Pod(silent=True), home.socket):
        done = await probed(1.0)

    assert done.code == 1
    assert "FAIL start: pod: no answer in 1 s" in done.out.decode()
