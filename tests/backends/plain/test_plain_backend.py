"""SSH as people have it: keys, agents, config files, jump hosts; and hosts that vanish, freeze or are full."""

import asyncio
import os
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncssh
import pytest
from support import openssh
from support.cuttable import cuttable
from support.repeated import again
from support.served import cluster_at
from support.sshd import LOOPBACK, sshd
from support.waiting import becomes, until

from gateway.backends.plain.backend import PlainBackend
from gateway.backends.ssh import Passphrase, connect
from gateway.backends.ssh.algorithms import CIPHERS
from gateway.backends.ssh.ask import parse_host
from gateway.backends.ssh.pool import Pool
from gateway.backends.ssh.settings import Destination
from gateway.demo import demo_chain
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.settings.config import Cluster, Limits

POD = Target("default", "default", "bash-0")
LIMITS = Limits(ssh_connect=5.0, ssh_keepalive=1.0, start=5.0, finish=1.0, check=5.0)
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="session")
def key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty HOME, and no agent."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


def write_key(path, key, passphrase=None, *, public=True, form="openssh"):
    is_openssh = form == "openssh"
    path.write_bytes(key.export_private_key(form, None if is_openssh else passphrase))
    path.chmod(0o600)
    if is_openssh and passphrase:
        openssh.lock(path, passphrase)
    if public:
        path.with_name(path.name + ".pub").write_bytes(key.export_public_key())
    return path


class Prompt:
    """Answers after `seconds`; what was asked is in `asked`."""

    def __init__(self, *answers, seconds=0.0):
        self.answers = list(answers)
        self.seconds = seconds
        self.asked = []

    async def __call__(self, question, echo):
        self.asked.append((question, echo))
        await asyncio.sleep(self.seconds)
        return self.answers.pop(0) if self.answers else None


def cluster_of(server, tmp_path, key, *, port=0, **change) -> Cluster:
    known = server.known(tmp_path / "known", port=port)
    path = tmp_path / "key" if (tmp_path / "key").exists() else write_key(tmp_path / "key", key)
    made = cluster_at(f"me@{LOOPBACK}:{port or server.port}", path, known, "vm")
    return replace(made, **change)


@asynccontextmanager
async def logged_in(cluster, prompt=None, limits=LIMITS, passphrase=None):
    connection = await connect(cluster, limits, passphrase or Passphrase(prompt), prompt)
    try:
        yield connection
    finally:
        connection.close()
        await connection.wait_closed()


async def said(connection, line="hello", size=None) -> bytes:
    process = await connection.open(line, size)
    process.write_eof()
    got = b""
    while batch := await process.read():
        got += b"".join(data for _, data in batch)
    return got


async def refusal(cluster, prompt=None, limits=LIMITS) -> HopFailed:
    with pytest.raises(HopFailed) as failed:
        async with logged_in(cluster, prompt, limits):
            pass
    assert failed.value.hop is Hop.SSH
    return failed.value


async def test_a_login_and_a_command(tmp_path, key):
    async with sshd(key) as server, logged_in(cluster_of(server, tmp_path, key)) as connection:
        assert await said(connection) == b"hello\n"
        assert await said(connection, size=TerminalSize(100, 30)) == b"hello\n"
        assert server.logins == ["me"]


async def test_aes_gcm_comes_first_and_nothing_is_compressed(tmp_path, key):
    async with sshd(key) as server, logged_in(cluster_of(server, tmp_path, key)):
        info = server.connections[0].get_extra_info
        assert info("recv_cipher") == info("send_cipher") == CIPHERS[0] == "aes128-gcm@openssh.com"
        assert info("recv_compression") == info("send_compression") == "none"


async def test_an_unknown_host_key_is_refused_with_its_fingerprint(tmp_path, key):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
        cluster.ssh_known_hosts.write_text("")
        error = await refusal(cluster)
        assert error.code == "ssh_host_key"
        assert server.host_key.get_fingerprint() in error.message
        assert str(cluster.ssh_known_hosts) in error.message
        assert f"{LOOPBACK}:{server.port}" in error.message
        assert server.tries == []  # nothing was shown to it


async def test_a_changed_host_key_is_refused_with_its_fingerprint(tmp_path, key):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
        server.known(cluster.ssh_known_hosts, key=asyncssh.generate_private_key("ssh-ed25519"))
        error = await refusal(cluster)
        assert error.code == "ssh_host_key"
        assert server.host_key.get_fingerprint() in error.message


@pytest.mark.parametrize("missing", ["ssh_key", "ssh_known_hosts"])
async def test_a_missing_file_is_named(tmp_path, key, missing):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key, **{missing: tmp_path / "absent"})
        error = await refusal(cluster)
        assert error.code == "ssh_config"
        assert str(tmp_path / "absent") in error.message


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
async def test_a_file_that_is_no_key(tmp_path, key, content):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
        cluster.ssh_key.write_bytes(content)
        assert (await refusal(cluster)).code == "ssh_config"


async def test_a_wrong_key_is_refused(tmp_path, key):
    async with sshd(asyncssh.generate_private_key("ssh-ed25519")) as server:
        error = await refusal(cluster_of(server, tmp_path, key))
        assert error.code == "ssh_refused"
        assert f"me@{LOOPBACK}:{server.port}" in error.message
        assert len(server.tries) == 1  # sshd counts each


async def test_nobody_listens(tmp_path, key):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
    assert (await refusal(cluster)).code == "ssh_unreachable"


async def test_no_such_host(tmp_path, key):
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key, ssh_host="me@no-such-host.invalid")
    assert (await refusal(cluster)).code == "ssh_unreachable"


async def test_a_host_that_says_nothing(tmp_path, key):
    async with sshd(key) as server, cuttable(server.port) as between:
        between.freeze()
        cluster = cluster_of(server, tmp_path, key, port=between.port)
        began = time.monotonic()
        assert (await refusal(cluster, limits=replace(LIMITS, ssh_connect=0.3))).code == "ssh_unreachable"
        assert time.monotonic() - began < 2


async def test_something_else_listens(tmp_path, key):
    async def answer(_, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
    other = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        port = other.sockets[0].getsockname()[1]
        assert (await refusal(replace(cluster, ssh_host=f"{LOOPBACK}:{port}"))).code == "ssh_unreachable"
    finally:
        other.close()
        await other.wait_closed()


FORMS = [("openssh", True), ("openssh", False), ("pkcs8-pem", True), ("pkcs8-pem", False)]
# A public key beside it changes when a passphrase is asked for, not what comes of it
EACH_FORM = [again(form, public) if public else (form, public) for form, public in FORMS]


@pytest.mark.parametrize(("form", "public"), FORMS)
async def test_a_passphrase_is_asked_once(tmp_path, key, form, public):
    """For many logins, also at the same time."""
    write_key(tmp_path / "key", key, "secret", public=public, form=form)
    prompt = Prompt("secret", seconds=0.1)
    passphrase = Passphrase(prompt)
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)

        async def once():
            async with logged_in(cluster, prompt, passphrase=passphrase) as connection:
                return await said(connection)

        assert await asyncio.gather(*(once() for _ in range(3))) == [b"hello\n"] * 3
        assert await once() == b"hello\n"
    assert prompt.asked == [(f"Passphrase for {cluster.ssh_key}: ", False)]


@pytest.mark.parametrize(("form", "public"), EACH_FORM)
async def test_a_wrong_passphrase_is_said_and_asked_again(tmp_path, key, form, public):
    write_key(tmp_path / "key", key, "secret", public=public, form=form)
    prompt = Prompt("mistyped", "secret")
    passphrase = Passphrase(prompt)
    async with sshd(key) as server:
        cluster = cluster_of(server, tmp_path, key)
        with pytest.raises(HopFailed) as failed:
            async with logged_in(cluster, passphrase=passphrase):
                pass
        assert failed.value.code == "ssh_config"
        async with logged_in(cluster, passphrase=passphrase):
            assert server.logins == ["me"]
    assert len(prompt.asked) == 2


@pytest.mark.parametrize(("form", "public"), EACH_FORM)
@pytest.mark.parametrize("prompt", [None, Prompt()])
async def test_a_passphrase_that_nobody_gives(tmp_path, key, form, public, prompt):
    write_key(tmp_path / "key", key, "secret", public=public, form=form)
    async with sshd(key) as server:
        error = await refusal(cluster_of(server, tmp_path, key), prompt)
        assert error.code == "ssh_config"
        assert server.logins == []


async def test_people_may_type_longer_than_a_host_may_take(tmp_path, key):
    write_key(tmp_path / "key", key, "secret")
    limits = replace(LIMITS, ssh_connect=0.5)
    async with (
        sshd(key) as server,
        logged_in(cluster_of(server, tmp_path, key), Prompt("secret", seconds=1.0), limits),
    ):
        assert server.logins == ["me"]


async def test_keyboard_interactive_is_asked_on_the_terminal(tmp_path, key):
    prompt = Prompt("123456")
    async with (
        sshd(secret="123456") as server,
        logged_in(cluster_of(server, tmp_path, key), prompt) as connection,
    ):
        assert await said(connection) == b"hello\n"
    [(question, echo)] = prompt.asked
    assert "Code:" in question
    assert not echo


@pytest.mark.parametrize("prompt", [None, Prompt(), Prompt("wrong")])
async def test_keyboard_interactive_without_the_answer_is_refused(tmp_path, key, prompt):
    async with sshd(secret="123456") as server:
        assert (await refusal(cluster_of(server, tmp_path, key), prompt)).code == "ssh_refused"


def defaults(host: str, home) -> Cluster:
    """Only the host is set, and the file of ssh's settings; the rest is that file's."""
    made = cluster_at(host, home / ".ssh" / "id_ed25519", home / ".ssh" / "known_hosts", "vm")
    if not (home / ".ssh" / "config").exists():
        write_config(home)
    explicit = frozenset({"ssh_host", "ssh_config"})
    return replace(made, explicit=explicit, ssh_config=str(home / ".ssh" / "config"))


def write_config(home, *lines: str) -> None:
    """Behind the lines stand files below `home`: ssh itself takes its defaults from the home that passwd has."""
    ours = (
        "Match all",
        f"  IdentityFile {home}/.ssh/id_ed25519",
        f"  UserKnownHostsFile {home}/.ssh/known_hosts",
    )
    (home / ".ssh" / "config").write_text("\n".join([*lines, *ours]) + "\n")


async def test_what_only_ssh_config_names_is_enough(home, key):
    async with sshd(key) as server:
        write_key(home / ".ssh" / "id_ed25519", key)
        server.known(home / ".ssh" / "known_hosts")
        async with logged_in(defaults(f"me@{LOOPBACK}:{server.port}", home)):
            assert server.logins == ["me"]


async def test_ssh_config_is_honoured(home, tmp_path, key):
    async with sshd(key) as server:
        write_key(tmp_path / "other", key)
        server.known(tmp_path / "hosts")
        write_config(
            home, "Host mgmt", f"  HostName {LOOPBACK}", f"  Port {server.port}", "  User ops",
            f"  IdentityFile {tmp_path / 'other'}", f"  UserKnownHostsFile {tmp_path / 'absent'} {tmp_path / 'hosts'}",
            "  Ciphers aes256-ctr",
        )  # fmt: skip
        async with logged_in(defaults("mgmt", home)):
            assert server.logins == ["ops"]
            assert server.connections[0].get_extra_info("send_cipher") == "aes256-ctr"


async def test_what_is_set_here_wins_over_ssh_config(home, tmp_path, key):
    async with sshd(key) as server:
        write_config(
            home, "Host *", "  User ops", "  Port 1", f"  IdentityFile {tmp_path / 'absent'}",
            f"  UserKnownHostsFile {tmp_path / 'absent'}",
        )  # fmt: skip
        async with logged_in(cluster_of(server, tmp_path, key)):
            assert server.logins == ["me"]


@pytest.mark.parametrize("tty", [False, True])
async def test_what_ssh_config_wants_for_shells_is_not_for_sessions(home, tty):
    """A forced terminal, a command of its own, forwarded agents and variables."""
    async with demo_chain() as demo:
        write_config(
            home, "Host *", "  RequestTTY force", "  RemoteCommand tmux", "  ForwardAgent yes", "  SetEnv LC_X=1",
            "  SendEnv LANG LC_*", "  Compression yes", "  IdentitiesOnly yes", "  ForwardX11Trusted yes",
        )  # fmt: skip
        cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        async with chain_of(cluster) as chain:
            command = Command(
                ("sh", "-c", "tty; echo $LC_X; echo err >&2"), stdout=True, stderr=True, tty=tty
            )
            async with chain.exec(POD, command) as channel:
                found = [(int(stream), data) async for stream, data in channel.output()]
    out = b"".join(data for stream, data in found if stream == 1)
    assert out.startswith(b"/dev/pts/") if tty else out == b"not a tty\n\n"
    assert ((2, b"err\n") in found) != tty


async def test_the_default_key_may_have_a_passphrase(home, key):
    write_key(home / ".ssh" / "id_ed25519", key, "secret")
    prompt = Prompt("mistyped", "secret")
    passphrase = Passphrase(prompt)
    async with sshd(key) as server:
        server.known(home / ".ssh" / "known_hosts")
        cluster = defaults(f"me@{LOOPBACK}:{server.port}", home)
        with pytest.raises(HopFailed) as failed:
            async with logged_in(cluster, passphrase=passphrase):
                pass
        assert failed.value.code == "ssh_refused"
        async with logged_in(cluster, passphrase=passphrase), logged_in(cluster, passphrase=passphrase):
            assert server.logins == ["me", "me"]
    assert len(prompt.asked) == 2


@pytest.mark.parametrize("value", ["none", "/dev/null", "/absent"])
async def test_no_known_hosts_file_trusts_no_host(home, key, value):
    async with sshd(key) as server:
        write_key(home / ".ssh" / "id_ed25519", key)
        write_config(home, "Host *", f"  UserKnownHostsFile {value}", "  StrictHostKeyChecking no")
        error = await refusal(defaults(f"me@{LOOPBACK}:{server.port}", home))
        assert error.code == "ssh_host_key"
        assert server.host_key.get_fingerprint() in error.message
        assert server.tries == []


async def test_a_config_that_cannot_be_read_is_one_line(home, key):
    async with sshd(key) as server:
        write_config(home, "Host *", "  Port many")
        error = await refusal(defaults(f"me@{LOOPBACK}", home))
        assert error.code == "ssh_config"
        assert "\n" not in error.message
        assert server.connections == []


@asynccontextmanager
async def jumped(home, key):
    """Two servers; `mgmt` is the second, behind the first."""
    async with sshd(key) as jump, sshd(key) as server:
        write_key(home / ".ssh" / "id_ed25519", key)
        lines = [one.known(home / ".ssh" / "known_hosts").read_text() for one in (jump, server)]
        (home / ".ssh" / "known_hosts").write_text("".join(lines))
        write_config(
            home, "Host bastion", f"  HostName {LOOPBACK}", f"  Port {jump.port}", "  User hop",
            "Host mgmt", f"  HostName {LOOPBACK}", f"  Port {server.port}", "  User ops", "  ProxyJump bastion",
        )  # fmt: skip
        yield jump, server


async def test_a_jump_host_is_gone_through(home, key):
    async with jumped(home, key) as (jump, server), logged_in(defaults("mgmt", home)) as connection:
        assert (jump.logins, server.logins) == (["hop"], ["ops"])
        assert await said(connection) == b"hello\n"
        jump.connections[0].abort()
        async with asyncio.timeout(10):
            await connection.lost.wait()


async def test_the_way_through_a_jump_host_ends_with_what_it_led_to(home, key):
    """A pool closes what it has lost."""
    async with jumped(home, key) as (jump, server):
        cluster = defaults("mgmt", home)
        pool = Pool(lambda: connect(cluster, LIMITS, Passphrase(None), None))
        async with pool.running(), pool.connection() as connection:
            server.connections[0].abort()
            async with asyncio.timeout(10):
                await connection.lost.wait()
                await jump.connections[0].wait_closed()


async def test_a_jump_host_with_a_wrong_key_is_named(home, key):
    async with sshd(key) as jump, sshd(key) as server:
        write_key(home / ".ssh" / "id_ed25519", key)
        server.known(home / ".ssh" / "known_hosts")
        write_config(
            home, "Host mgmt", f"  HostName {LOOPBACK}", f"  Port {server.port}",
            f"  ProxyJump hop@{LOOPBACK}:{jump.port}",
        )  # fmt: skip
        error = await refusal(defaults("mgmt", home))
        assert (error.code, f"{LOOPBACK}:{jump.port}" in error.message) == ("ssh_host_key", True)
        assert server.connections == []


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An ssh-agent; `agent(path)` adds a key file to it."""
    path = tmp_path / "agent.sock"
    try:
        process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("ssh-agent is not installed")
    assert becomes(path.exists)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield lambda file: subprocess.run(
        ["ssh-add", "-q", file], check=True, env=os.environ | {"SSH_AUTH_SOCK": str(path)}
    )
    process.terminate()
    process.wait(5)


async def test_a_key_of_the_agent_needs_no_passphrase(agent, tmp_path, key):
    agent(write_key(tmp_path / "open", key))
    write_key(tmp_path / "key", key, "secret")
    prompt = Prompt()
    async with sshd(key) as server, logged_in(cluster_of(server, tmp_path, key), prompt):
        assert server.logins == ["me"]
    assert prompt.asked == []


async def test_only_the_key_that_is_set_is_shown_from_the_agent(agent, tmp_path, key):
    """The host counts each try, and closes after six."""
    for number in range(8):
        agent(write_key(tmp_path / f"more{number}", asyncssh.generate_private_key("ssh-ed25519")))
    agent(write_key(tmp_path / "key", key))
    async with sshd(key) as server, logged_in(cluster_of(server, tmp_path, key)):
        assert {line.split()[1] for line in server.tries} == {key.get_fingerprint()}


async def test_the_agent_is_enough(agent, tmp_path, home, key):
    agent(write_key(tmp_path / "open", key))
    async with sshd(key) as server:
        server.known(home / ".ssh" / "known_hosts")
        async with logged_in(defaults(f"me@{LOOPBACK}:{server.port}", home)):
            assert server.logins == ["me"]


async def test_an_agent_that_is_gone_is_no_hindrance(tmp_path, key, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "absent"))
    async with sshd(key) as server, logged_in(cluster_of(server, tmp_path, key)):
        assert server.logins == ["me"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("host", Destination("host")),
        ("u@host", Destination("host", "u")),
        ("u@host:22", Destination("host", "u", 22)),
        ("u@dom@host", Destination("host", "u@dom")),
        ("[::1]:2222", Destination("::1", "", 2222)),
        ("u@[fe80::1%eth0]", Destination("fe80::1%eth0", "u")),
        ("::1", Destination("::1")),
        ("10.0.0.1:2", Destination("10.0.0.1", "", 2)),
    ],
)
def test_a_host_is_read(text, parts):
    assert parse_host(text) == parts


@pytest.mark.parametrize(
    "text", ["", "u@", "host:0", "host:65536", "host:x", "u@:22", "host:-1", "host:²", "-oProxyCommand=x"]
)
def test_what_is_no_host(text):
    with pytest.raises(HopFailed) as failed:
        parse_host(text)
    assert failed.value.code == "ssh_config"


# the chain over it


@asynccontextmanager
async def chain_of(cluster, limits=LIMITS):
    chain = PlainBackend(cluster, limits)
    async with chain.running():
        yield chain
        assert chain.stats().connections["channels"] == 0


@asynccontextmanager
async def demo_through_a_wire(tmp_path, **options):
    """The demo, behind a forwarder."""
    async with demo_chain(**options) as demo, cuttable(int(demo.ssh_host.rpartition(":")[2])) as between:
        known = tmp_path / "known"
        known.write_text(f"[{LOOPBACK}]:{between.port} {demo.known_hosts.read_text().partition(' ')[2]}")
        user = demo.ssh_host.partition("@")[0]
        yield between, cluster_at(f"{user}@{LOOPBACK}:{between.port}", demo.ssh_key, known, demo.instance)


FLOOD = Command(("sh", "-c", "echo go; while :; do echo x; sleep 0.01; done"), stdout=True)


@pytest.mark.parametrize("tty", [False, True])
async def test_a_cut_in_mid_stream_is_ssh_lost_at_once(tmp_path, tty):
    async with demo_through_a_wire(tmp_path) as (between, cluster), chain_of(cluster) as chain:
        began = None
        async with chain.exec(POD, replace(FLOOD, tty=tty)) as channel:
            async for _ in channel.output():
                if began is None:
                    began = time.monotonic()
                    between.cut()
            outcome = await channel.wait()
        assert (outcome.code, outcome.hop) == ("ssh_lost", Hop.SSH)
        assert time.monotonic() - began < 2
        async with chain.exec(POD, Command(("true",), stdout=True)) as channel:  # and the next is served
            async for _ in channel.output():
                pass
            assert (await channel.wait()).exit_code == 0


async def test_writing_after_a_cut_does_nothing(tmp_path):
    async with (
        demo_through_a_wire(tmp_path) as (between, cluster),
        chain_of(cluster) as chain,
        chain.exec(POD, Command(("cat",), stdin=True, stdout=True)) as channel,
    ):
        between.cut()
        async with asyncio.timeout(10):
            for _ in range(100):
                await channel.write(bytes(100_000))
            channel.write_eof()
            async for _ in channel.output():
                pass
            assert (await channel.wait()).code == "ssh_lost"


async def test_a_host_that_freezes_is_noticed_by_keepalives(tmp_path):
    limits = replace(LIMITS, ssh_keepalive=0.2)
    async with demo_through_a_wire(tmp_path) as (between, cluster), chain_of(cluster, limits) as chain:
        began = None
        async with chain.exec(POD, FLOOD) as channel:
            async for _ in channel.output():
                if began is None:
                    began = time.monotonic()
                    between.freeze()
            assert (await channel.wait()).code == "ssh_lost"
        assert 0.3 < time.monotonic() - began < 3
        between.thaw()


async def test_a_session_that_begins_on_a_frozen_connection_finds_another(tmp_path):
    limits = replace(LIMITS, ssh_keepalive=0.2)
    async with demo_through_a_wire(tmp_path) as (between, cluster), chain_of(cluster, limits) as chain:
        async with chain.exec(POD, Command(("true",), stdout=True)) as channel:
            async for _ in channel.output():
                pass
        between.freeze()
        between.moving_for_new_connections()
        async with chain.exec(POD, Command(("echo", "hi"), stdout=True)) as channel:
            assert b"".join([data async for _, data in channel.output()]) == b"hi\n"
        assert between.connections >= 2
        between.thaw()


@pytest.mark.parametrize("sessions", [2, again(3)])
async def test_a_host_that_takes_fewer_sessions_gets_more_connections(sessions):
    """MaxSessions below our 8."""
    async with demo_chain(max_sessions=sessions) as demo:
        cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        async with chain_of(cluster) as chain:
            ready = asyncio.Barrier(6)

            async def one(number):
                command = Command(("sh", "-c", f"echo {number}; cat"), stdin=True, stdout=True)
                async with chain.exec(POD, command) as channel:
                    output = channel.output()
                    assert await anext(output) == (1, b"%d\n" % number)
                    await ready.wait()
                    channel.write_eof()
                    async for _ in output:
                        pass
                    return (await channel.wait()).exit_code

            assert await asyncio.gather(*(one(number) for number in range(6))) == [0] * 6
            with_lease = -(-7 // sessions)  # when it takes so long that there is one
            assert 6 // sessions <= chain.stats().connections["connections"] <= with_lease


async def test_starts_wait_for_their_turn_and_sessions_do_not_hold_it(tmp_path, monkeypatch):
    """Three live at once where one is started at a time; who waits too long is told what for, and holds up nobody."""
    monkeypatch.setattr("gateway.backends.plain.backend.STARTS", 1)
    limits = replace(LIMITS, turn=2.0)
    async with demo_through_a_wire(tmp_path) as (between, cluster), chain_of(cluster, limits) as chain:
        started, over = 0, asyncio.Event()

        async def live():
            nonlocal started
            async with chain.exec(POD, FLOOD):
                started += 1
                await over.wait()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(live())
            await until(lambda: started == 3)
            between.freeze()
            tasks.create_task(live())
            await asyncio.sleep(0.1)  # it is being started
            with pytest.raises(HopFailed, match="start of other sessions") as failed:
                async with chain.exec(POD, FLOOD):
                    pass
            assert failed.value.code == "runner_busy"
            between.thaw()
            await until(lambda: started == 4)
            over.set()
        async with chain.exec(POD, Command(("true",), stdout=True)) as channel:
            async for _ in channel.output():
                pass
            assert (await channel.wait()).exit_code == 0


STEPS = [
    step if step % 12 == 0 else pytest.param(step, marks=pytest.mark.repetition) for step in range(0, 60, 3)
]


@pytest.mark.parametrize("steps", STEPS)
async def test_cancelled_while_a_channel_is_opened_nothing_stays_open(tmp_path, key, steps, monkeypatch):
    """Whatever the server has heard of by then."""
    monkeypatch.setattr("gateway.backends.plain.lease._LEAVE", 0.1)  # echo is no lease either
    async with sshd(key) as server, chain_of(cluster_of(server, tmp_path, key)) as chain:
        await until(lambda: chain.stats().connections["connections"])

        async def enter():
            async with chain.exec(POD, Command(("true",), stdout=True)):
                raise AssertionError("echo is no wrapper")

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(enter())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        await until(lambda: not server.sessions and not any(one._channels for one in server.connections))
