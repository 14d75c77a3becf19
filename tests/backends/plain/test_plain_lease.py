"""The lease's script run by a real bash beside real wrappers; the loop before it; and whole chains that are lost."""

import asyncio
import itertools
import os
import pty
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support import shorter
from support.cuttable import cuttable
from support.leaks import alive, tasks_back
from support.repeated import again
from support.served import cluster_at
from support.sshd import LOOPBACK
from support.waiting import becomes, until
from support.wrapped import environment

from gateway.backends.plain import lease_protocol
from gateway.backends.plain.backend import PlainBackend
from gateway.backends.plain.lease_protocol import lease_line, send_lease
from gateway.backends.plain.wrapper import Stdout, exec_line, send_argv
from gateway.demo import demo_chain
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

TICK = 0.25  # seconds, instead of 5
LIMIT = 15.0  # seconds that anything may take on a busy machine
STUBBORN = "trap '' TERM HUP; sleep 1000 & echo pid $!; echo pid $$; echo go; wait; sleep 1000"
WILLING = "sleep 1000 & echo pid $!; echo pid $$; echo go; wait"


class Far:
    """A runner: wrappers and leases, all ended at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen] = []
        self.pids: list[int] = []
        self.terminals: list[int] = []

    def lease(self, tick: float = TICK) -> "Leased":
        nonce = secrets.token_hex(12)
        words = shlex.split(exec_line("runner", nonce, ("slice", "look"), tty=False))
        return Leased(self.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE), nonce, tick)

    def wrapper(self, script: str, *, tty: bool = False) -> "Wrapped":
        argv, nonce = ("sh", "-c", script), secrets.token_hex(12)
        words = shlex.split(exec_line("runner", nonce, argv, tty=tty))
        if tty:
            master, slave = pty.openpty()
            take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
            words = [*words[:5], sys.executable, "-S", "-c", take, *words[5:]]
            process = self.popen(words, stdin=slave, stdout=slave)
            os.close(slave)
            self.terminals.append(master)
            wrapped = Wrapped(process, nonce, master, master)
        else:
            process = self.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            wrapped = Wrapped(process, nonce, process.stdin.fileno(), process.stdout.fileno())
        wrapped.start(argv)
        self.pids += [wrapped.process.pid, *wrapped.pids]
        return wrapped

    def popen(self, words: list[str], **streams) -> subprocess.Popen:
        process = subprocess.Popen(
            words[words.index("--") + 1 :], stderr=subprocess.DEVNULL, env=environment(self.home),
            start_new_session=True, **streams,
        )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        for pid in reversed(self.pids):  # a shell before what it waits for, or it begins its next command
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        for terminal in self.terminals:
            os.close(terminal)
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()


class Leased:
    """`pid` is the lease's own; `process` the exec's child."""

    def __init__(self, process: subprocess.Popen, nonce: str, tick: float) -> None:
        self.process, self.nonce = process, nonce
        self._out = Stdout(nonce)
        self._body = b""
        process.stdin.write(send_lease(tick))
        process.stdin.flush()
        while self._out.seen.pid is None:
            self._read()
        self.pid = self._out.seen.pid

    def say(self, *words: object) -> None:
        self.process.stdin.write((" ".join(map(str, words)) + " .\n").encode())
        self.process.stdin.flush()

    def know(self, *wrapped: "Wrapped") -> None:
        for one in wrapped:
            self.say("+", one.nonce, *one.roots)

    def beat(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.say()
            time.sleep(0.1)

    def gone(self) -> dict[str, str]:
        """The next line of what it ended."""
        while b"\n" not in self._body:
            self._read()
        line, _, self._body = self._body.partition(b"\n")
        assert line.startswith(b"gone"), line
        return dict(word.split(":") for word in line.decode().split()[1:])

    def _read(self) -> None:
        data = os.read(self.process.stdout.fileno(), 4096)
        assert data, "the lease has ended"
        self._body += self._out.feed(data)


class Wrapped:
    def __init__(self, process: subprocess.Popen, nonce: str, stdin: int, stdout: int) -> None:
        self.process, self.nonce = process, nonce
        self.pids: list[int] = []
        self.roots: tuple[int, ...] = ()
        self._in, self._fd = stdin, stdout

    def start(self, argv: tuple[str, ...]) -> None:
        out, body = Stdout(self.nonce), b""
        while not out.seen.ready:
            out.feed(os.read(self._fd, 4096))
        os.write(self._in, send_argv(argv, kubectl=False))
        while b"go" not in body:
            body += out.feed(os.read(self._fd, 4096))
        words = body.split()
        self.pids = [int(pid) for word, pid in itertools.pairwise(words) if word == b"pid"]
        self.roots = out.seen.roots

    @property
    def living(self) -> list[int]:
        return [pid for pid in (self.process.pid, *self.pids) if alive(pid)]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What ignores its end is killed after a second."""
    shorter.lease_pauses(monkeypatch)


@pytest.fixture
def far(tmp_path):
    made = Far(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("script", [WILLING, STUBBORN], ids=["willing", "stubborn"])
@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_silence_ends_all_that_it_knows_and_itself(far, tty, script):
    one, other = far.wrapper(script, tty=tty), far.wrapper(script, tty=tty)
    stranger = far.wrapper(script, tty=tty)
    lease = far.lease()
    lease.know(one, other)
    how = lease.gone()

    assert becomes(lambda: not one.living and not other.living, LIMIT)
    assert how == dict.fromkeys((one.nonce, other.nonce), "kill" if script is STUBBORN else "term")
    assert len(stranger.living) == 3
    lease.process.wait(LIMIT)
    assert not alive(lease.pid)


def test_a_byte_now_and_then_is_enough(far):
    one, other = far.wrapper(WILLING), far.wrapper(WILLING, tty=True)
    lease = far.lease(tick=0.5)
    lease.know(one, other)
    lease.beat(3.0)  # 2 s without one would be the end

    assert len(one.living) == len(other.living) == 3


def test_the_end_of_input_leaves_time_for_another_lease(far):
    """One connection of several is lost: the new lease knows them all, and the old one is to end none."""
    one, other = far.wrapper(WILLING), far.wrapper(WILLING, tty=True)
    old = far.lease(tick=5.0)
    old.know(one, other)
    old.process.stdin.close()
    new = far.lease(tick=5.0)
    new.know(one, other)
    new.say("take", old.pid, old.nonce)

    assert becomes(lambda: not alive(old.pid), LIMIT)
    old.process.wait(LIMIT)
    assert len(one.living) == len(other.living) == 3
    new.say("bye")
    new.process.wait(LIMIT)
    assert len(one.living) == len(other.living) == 3


def test_the_end_of_input_is_the_end(far):
    one = far.wrapper(WILLING)
    lease = far.lease()
    lease.know(one)
    lease.process.stdin.close()

    assert becomes(lambda: not one.living, LIMIT)
    assert becomes(lambda: not alive(lease.pid), LIMIT)


def test_it_outlives_the_exec_that_it_came_with(far):
    """Incus kills the direct child of an exec whose client is gone."""
    one = far.wrapper(STUBBORN)
    lease = far.lease()
    lease.know(one)
    lease.process.kill()
    lease.process.wait()
    assert alive(lease.pid)
    lease.process.stdin.close()
    lease.process.stdout.close()

    assert becomes(lambda: not one.living, LIMIT)
    assert becomes(lambda: not alive(lease.pid), LIMIT)


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_one_is_ended_and_the_others_live(far, tty):
    one, other = far.wrapper(STUBBORN, tty=tty), far.wrapper(WILLING, tty=tty)
    lease = far.lease(tick=5.0)
    lease.know(one, other)
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "kill"}
    assert not one.living
    assert len(other.living) == 3
    lease.say("!", one.nonce)
    assert lease.gone() == {one.nonce: "none"}
    lease.say("-", other.nonce)
    lease.process.stdin.close()  # knows none any more
    assert len(other.living) == 3


def test_a_wrapper_that_died_leaves_its_command_to_the_lease(far):
    """As Incus leaves it, without a terminal."""
    one = far.wrapper(WILLING)
    lease = far.lease(tick=5.0)
    lease.know(one)
    one.process.kill()
    one.process.wait()
    assert len(one.living) == 2
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "term"}
    assert not one.living


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_a_wrapper_that_never_said_who_it_is_is_found_by_its_nonce(far, tty):
    one, other = far.wrapper(WILLING, tty=tty), far.wrapper(WILLING, tty=tty)
    lease = far.lease(tick=5.0)
    lease.say("+", one.nonce)
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "term"}
    assert not one.living
    assert len(other.living) == 3


def test_a_stopped_command_ends_too(far):
    one = far.wrapper("echo pid $$; echo go; kill -STOP $$; exec sleep 1000")
    lease = far.lease(tick=5.0)
    lease.know(one)
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "term"}
    assert not one.living


def test_a_pid_that_is_another_process_by_now_is_left_alone(far):
    one, other = far.wrapper(WILLING), far.wrapper(WILLING, tty=True)
    lease = far.lease(tick=5.0)
    for this in (one, other):
        pid, since, *more = this.roots
        lease.say("+", this.nonce[::-1], pid, since + 1, *more)
        lease.say("!", this.nonce[::-1])
        assert lease.gone() == {this.nonce[::-1]: "none"}
    for number in (0, 1):
        lease.say("+", "f" * 24, number, 0, number, number)
        lease.say("!", "f" * 24)
        assert lease.gone() == {"f" * 24: "none"}
    lease.say("take", one.process.pid, lease.nonce)
    lease.say("!", "e" * 24)
    assert lease.gone() == {"e" * 24: "none"}

    assert len(one.living) == len(other.living) == 3


def test_a_command_in_a_session_of_its_own_is_not_this_ones(far):
    """As with a relay: who left the session on purpose stays."""
    one = far.wrapper("setsid sleep 1000 & echo pid $!; sleep 0.2; echo go; exec sleep 1000", tty=True)
    lease = far.lease(tick=5.0)
    lease.know(one)
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "term"}
    assert one.living == one.pids


def test_lines_in_pieces_and_odd_profiles(far):
    (far.home / ".bash_profile").write_text(
        "set -efu; IFS=0; shopt -s failglob nullglob; trap 'echo bye' EXIT; echo hi\n"
    )
    one = far.wrapper(WILLING)
    lease = far.lease(tick=5.0)
    for letter in f"+ {one.nonce} {' '.join(map(str, one.roots))} .\n":
        lease.process.stdin.write(letter.encode())
        lease.process.stdin.flush()
        time.sleep(0.01)
    lease.say("!", one.nonce)

    assert lease.gone() == {one.nonce: "term"}
    assert not one.living


def test_a_line_whose_end_is_lost_is_heard(far):
    """As bash 5.2 loses what comes in the moment in which its `read -t` runs out."""
    one = far.wrapper(WILLING)
    lease = far.lease(tick=0.6)
    for line in (f"+ {one.nonce} {' '.join(map(str, one.roots))} .", " .", f"! {one.nonce} ."):
        lease.process.stdin.write(line.encode())
        lease.process.stdin.flush()
        time.sleep(1.0)  # longer than it waits for a byte, and a third of its patience

    assert lease.gone() == {one.nonce: "term"}
    assert not one.living


def test_a_runner_that_was_paused_ends_nothing(far):
    """What the gateway said meanwhile waits there."""
    one = far.wrapper(WILLING)
    lease = far.lease(tick=0.5)
    lease.know(one)
    os.kill(lease.pid, signal.SIGSTOP)
    lease.beat(3.0)
    os.kill(lease.pid, signal.SIGCONT)
    lease.beat(1.0)

    assert len(one.living) == 3


@pytest.mark.parametrize("how", ["silence", "end of input"])
def test_when_the_gateway_is_gone_it_looks_into_the_containers(far, how):
    """With the kubectl that it was told; ten are two turns of eight. Also when their sessions have ended, as long as the
    gateway has not said that it has looked.
    """
    kubectl = far.home / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$1 $2 $3 $4 $5 $7 $8 $9" >>{far.home}/asked; sleep 0.1\n')
    kubectl.chmod(0o755)
    lease = far.lease()
    for n in range(12):
        lease.say("+", f"{n:024x}")
        lease.say("in", f"mark{n}", kubectl, "exec", f"pod-{n}", "--")
    lease.say("-", f"{8:024x}")
    lease.say("!", f"{9:024x}")
    for n in (10, 11):
        lease.say("-", f"{n:024x}")
        lease.say("out", f"mark{n}")
    if how == "end of input":
        lease.process.stdin.close()

    lease.process.wait(LIMIT)
    asked = (far.home / "asked").read_text("ascii").splitlines()
    assert sorted(asked) == sorted(f"exec pod-{n} -- sh -c dap mark{n} 10" for n in range(10))


def test_a_bye_leaves_the_containers_to_the_gateway(far):
    lease = far.lease()
    lease.say("+", "a" * 24)
    lease.say("in", "mark", "touch", far.home / "asked")
    lease.say("bye")

    lease.process.wait(LIMIT)
    assert not (far.home / "asked").exists()


# the management host


def test_an_incus_client_that_hangs_is_ended_there(tmp_path):
    """Nobody reads its connection any more; those of other sessions are left alone, and so is what is no nonce."""
    one, other, own = (secrets.token_hex(12) for _ in range(3))
    incus = tmp_path / "incus"
    incus.write_text(
        f"#!/bin/sh\necho talk gone {other}:kill\necho gone {one}:kill .*:kill {'z' * 24}:kill\nread x\n"
    )
    incus.chmod(0o755)
    hanging = [
        subprocess.Popen(["sh", "-c", "sleep 1000; :", "incus", "dap", nonce, "7"], start_new_session=True)
        for nonce in (one, other)
    ]
    path = f"{tmp_path}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["sh", "-c", lease_line("runner", own)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": path},
    ) as lease:  # fmt: skip
        lease.stdout.close()  # ssh is gone: the loop goes on
        try:
            assert hanging[0].wait(LIMIT) == -signal.SIGKILL
            assert hanging[1].poll() is None
        finally:
            for process in hanging:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            lease.stdin.close()


# chains

RUNNER = Target("default")
LIMITS = Limits(finish=1.0, ssh_keepalive=0.3)
KINDS = [(False, WILLING), (True, WILLING), (False, STUBBORN), (True, STUBBORN)]


@asynccontextmanager
async def behind_a_wire(demo, tmp_path):
    """The forwarder, the cluster as it is reached through it, and as it is reached without."""
    async with cuttable(int(demo.ssh_host.rpartition(":")[2])) as between:
        known = tmp_path / "known"
        known.write_text(f"[{LOOPBACK}]:{between.port} {demo.known_hosts.read_text().partition(' ')[2]}")
        host = f"{demo.ssh_host.partition('@')[0]}@{LOOPBACK}:{between.port}"
        direct = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        yield between, replace(direct, ssh_host=host, ssh_known_hosts=known), direct


async def talk(chain, kind, pids: list[int]) -> Outcome:
    """One session until its end; what it runs is in `pids` once that has begun."""
    tty, script = kind
    command = Command(("sh", "-c", script), "run", tty=tty, stdin=True, stdout=True)
    async with chain.exec(RUNNER, command) as channel:
        body = b""
        async for _, data in channel.output():
            body += data
            if not pids and b"go" in body:
                words = body.split()
                pids += [int(pid) for word, pid in itertools.pairwise(words) if word == b"pid"]
        return await channel.wait()


@asynccontextmanager
async def sessions(cluster, kinds=KINDS, tick=1.0, limits=LIMITS):
    """A chain, a session of each kind on it, and what they run. They are ended, if need be, on leaving."""
    chain = PlainBackend(cluster, limits, tick=tick)
    async with chain.running(), asyncio.TaskGroup() as tasks:
        pids: list[list[int]] = [[] for _ in kinds]
        running = [tasks.create_task(talk(chain, *one)) for one in zip(kinds, pids, strict=True)]
        await until(lambda: all(pids) and chain.stats().connections["leases"])
        yield chain, [pid for some in pids for pid in some], running
        for task in running:
            task.cancel()


async def test_a_cut_connection_leaves_nothing(demo, tmp_path):
    """A new lease comes with a new connection, ends what the old connection left, and is counted."""
    async with (
        behind_a_wire(demo, tmp_path) as (between, cluster, _),
        sessions(cluster, tick=5.0) as (chain, pids, all_of_them),
    ):
        between.cut()
        await until(lambda: not any(map(alive, pids)))
        assert {(await task).code for task in all_of_them} == {"ssh_lost"}
        await until(
            lambda: (
                chain.stats().orphans["lease"] == sum(not tty or script is STUBBORN for tty, script in KINDS)
            )
        )


async def test_a_frozen_connection_leaves_nothing_and_others_live(own_demo, tmp_path):
    """Nobody gets through any more: the lease hears nothing and acts alone."""
    async with (
        behind_a_wire(own_demo, tmp_path) as (between, cluster, direct),
        sessions(direct) as (other, others, _),
        sessions(cluster, tick=0.5) as (chain, pids, _),
    ):
        between.freeze()
        await until(lambda: not any(map(alive, pids)))
        assert all(map(alive, others))
        assert other.stats().orphans == {"finish": 0, "lease": 0}
        between.thaw()
        await until(lambda: not chain.stats().connections["leases"])


async def test_one_of_two_connections_is_lost_with_the_lease():
    """The sessions on the other one live, and are known to the next lease."""
    async with demo_chain(max_sessions=3) as demo:
        cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        async with sessions(cluster, [(False, WILLING)] * 6, tick=1.0) as (chain, pids, running):
            lease, (pid, _) = chain._lease._process, chain._lease._before
            lease._channel.get_connection().abort()
            await until(lambda: chain.stats().connections["leases"] and chain._lease._process is not lease)
            await until(lambda: not alive(pid))  # by the new one's word, or it has acted
            ended = sum(task.done() for task in running)
            assert sum(map(alive, pids)) == 2 * (6 - ended)
            assert ended < 6


@pytest.mark.parametrize("kind", [(False, STUBBORN), (True, STUBBORN)])
async def test_what_outlives_its_session_is_ended(demo, tmp_path, kind):
    async with (
        behind_a_wire(demo, tmp_path) as (_, cluster, _),
        sessions(cluster, [kind], tick=5.0, limits=replace(LIMITS, finish=0.2)) as (chain, pids, (session,)),
    ):
        session.cancel()
        await until(lambda: not any(map(alive, pids)))
        await until(lambda: sum(chain.stats().orphans.values()))


@pytest.mark.parametrize("shell", [again("sh"), "tcsh"])
async def test_a_gateway_that_is_killed_leaves_nothing_and_its_next_life_is_left_alone(shell):
    """Whatever the login shell of the management host is, which reads all that is sent there."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no login shell of that kind here: {shell}")
    async with demo_chain(shell=program) as demo:
        cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        words = [demo.ssh_host, str(demo.ssh_key), str(demo.known_hosts), demo.instance]
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, __file__, *words, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
        async with asyncio.timeout(LIMIT):
            pids = [int(word) for word in (await gateway.stdout.readline()).split()]
        assert len(pids) == 2 * len(KINDS)
        assert all(map(alive, pids))
        gateway.kill()
        await gateway.wait()
        async with sessions(cluster) as (_, mine, _):
            await until(lambda: not any(map(alive, pids)))
            assert all(map(alive, mine))


async def test_it_goes_when_there_is_nothing_to_watch(demo, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.backends.plain.lease._IDLE", 0.3)
    async with behind_a_wire(demo, tmp_path) as (_, cluster, _):
        async with sessions(cluster, [(False, WILLING)], tick=0.2) as (chain, pids, (session,)):
            lease = chain._lease._process
            session.cancel()
            await until(lambda: not chain.stats().connections["leases"])
            assert lease.exit_code == 0
            assert chain.stats().orphans == {"finish": 0, "lease": 0}
            again: list[int] = []
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(talk(chain, (False, WILLING), again))
                await until(lambda: again and chain.stats().connections["leases"])
                task.cancel()
        assert not any(map(alive, pids + again))


async def test_one_that_is_only_just_starting_is_told_bye(demo, monkeypatch):
    """Else it would wait for another gateway, 13 s long."""
    monkeypatch.setattr("gateway.backends.plain.lease_protocol._SCRIPT", f"sleep 1\n{lease_protocol._SCRIPT}")
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
    chain, before = PlainBackend(cluster, LIMITS), asyncio.all_tasks()
    async with chain.running():
        assert (await talk(chain, (False, "sleep 0.7"), [])).exit_code == 0
        assert not chain.stats().connections["leases"]
    assert not await tasks_back(before, 5)


async def test_the_lease_knows_what_may_be_left_until_the_gateway_has_looked(demo, tmp_path):
    """And forgets it then: there would be a lease for ever."""
    pod = Target("default", "default", "bash-0")
    kill = Command(("sh", "-c", "echo ready; exec sleep 1000"), stdout=True, kill_on_disconnect=True)
    async with behind_a_wire(demo, tmp_path) as (between, cluster, _):
        chain = PlainBackend(cluster, LIMITS)
        async with chain.running():
            async with chain.exec(pod, kill) as channel:
                await anext(aiter(channel.output()))
                await until(lambda: chain._lease._looks and chain.stats().connections["leases"])
                between.cut()
            assert len(chain._lease._looks) == 1
            await until(lambda: not chain._lease._looks)
            assert chain.stats().leftovers["reaped"] == 1


@pytest.mark.parametrize("script", ["exit 3", "sleep 1000", "echo nonsense; cat"])
async def test_a_lease_that_fails_fails_no_session(own_demo, tmp_path, monkeypatch, script):
    monkeypatch.setattr("gateway.backends.plain.lease_protocol._SCRIPT", script)
    async with behind_a_wire(own_demo, tmp_path) as (_, cluster, _):
        chain = PlainBackend(cluster, replace(LIMITS, start=0.5))
        async with chain.running():
            outcome = await talk(chain, (False, "echo pid 1; sleep 1; echo go; exit 7"), [])
            assert outcome.exit_code == 7
            assert not chain.stats().connections["leases"]
            assert chain.stats().connections["channels"] == 0


async def _main(host: str, key: str, known_hosts: str, vm: str) -> None:
    """A gateway that says what its sessions run, and waits to be killed."""
    cluster = cluster_at(host, Path(key), Path(known_hosts), vm)
    async with sessions(cluster, tick=0.5) as (_, pids, _):
        print(*pids, flush=True)  # noqa: T201  # to the test that started it
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
