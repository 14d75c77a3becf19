"""A login, on a real sshd and on hosts that say odd things: what is asked, how long, and what is said when it fails."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import asyncssh
import pytest
from support import openssh
from support.served import cluster_at
from support.ssh_login import ssh_agent
from support.sshd import LOOPBACK, sshd

from gateway.backends.plain.backend import PlainBackend
from gateway.backends.ssh import Passphrase, connect, login
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.settings.config import Limits

LIMITS = Limits(ssh_connect=5.0, ssh_login=10.0, start=5.0, finish=1.0)
POD = Target("default", "default", "web-0")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An sshd of OpenSSH's that says Latin-1 in its version and in its banner."""
    folder = tmp_path_factory.mktemp("sshd")
    banner = folder / "banner"
    banner.write_bytes("Grüße an alle\n".encode("latin-1"))
    with openssh.sshd(folder, f"Banner {banner}", "VersionAddendum gr\udcfc\udcdfe") as made:
        made.authorize(openssh.key(folder / "id"))
        yield made


def cluster_of(server, **change):
    made = cluster_at(
        f"{server.user}@{LOOPBACK}:{server.port}", server.folder / "id", server.known_hosts, "vm", **change
    )
    return replace(made, mode="plain")


@asynccontextmanager
async def logged_in(cluster, limits=LIMITS, prompt=None, waiting=None):
    more = {"waiting": waiting} if waiting else {}
    connection = await connect(cluster, limits, Passphrase(prompt), prompt, **more)
    try:
        yield connection
    finally:
        connection.close()
        await connection.wait_closed()


async def output(connection, line):
    return await output_of(await connection.open(line, None))


async def output_of(process):
    process.write_eof()
    got = b""
    while batch := await process.read():
        got += b"".join(data for kind, data in batch if kind == 1)  # sshd's own debug lines come on 2
    return got


async def refusal(cluster, limits=LIMITS, prompt=None):
    with pytest.raises(HopFailed) as failed:
        async with logged_in(cluster, limits, prompt):
            pass
    return failed.value


async def test_cancelled_at_any_moment_a_login_leaves_no_socket_open(server, monkeypatch):
    """Also in the thread in which asyncssh makes its options, when the socket is connected already."""
    sockets = asyncio.Queue()
    connect_tcp = login.connect_tcp

    async def connecting(*args, **kwargs):
        sock = await connect_tcp(*args, **kwargs)
        sockets.put_nowait(sock)
        return sock

    monkeypatch.setattr(login, "connect_tcp", connecting)
    for moments in range(12):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(connect(cluster_of(server), LIMITS, Passphrase(None), None))
            sock = await sockets.get()
            for _ in range(moments):
                await asyncio.sleep(0)
            task.cancel()
        assert task.cancelled()
        assert sock.fileno() == -1


async def test_a_banner_and_a_version_in_latin_1_do_not_end_a_login(server):
    async with logged_in(cluster_of(server)) as connection:
        assert await output(connection, "echo hi") == b"hi\n"


async def test_a_question_in_latin_1_is_asked(tmp_path, monkeypatch):
    """A PAM module may say any bytes."""
    asked = []

    async def prompt(question, echo):
        asked.append((question, echo))
        return "123456"

    monkeypatch.setattr("asyncssh.auth.String", _string)
    async with sshd(secret="123456") as host:
        known = host.known(tmp_path / "known")
        cluster = cluster_at(f"me@{LOOPBACK}:{host.port}", tmp_path / "absent", known, "vm")
        cluster = replace(cluster, explicit=cluster.explicit - {"ssh_key"})
        async with logged_in(cluster, prompt=prompt):
            assert host.logins == ["me"]
    assert asked == [(f"(me@{LOOPBACK}) Login a token, please C\ufffdde: ", False)]


def _string(value):
    data = value.encode() if isinstance(value, str) else value
    return asyncssh.packet.String(data.replace(b"Code:", b"C\xf6de:"))


async def test_keyboard_interactive_is_tried_once(tmp_path):
    asked = []

    async def prompt(*question):
        asked.append(question)
        return "wrong"

    async with sshd(secret="123456") as host:
        cluster = cluster_at(
            f"me@{LOOPBACK}:{host.port}", tmp_path / "absent", host.known(tmp_path / "known"), "vm"
        )
        error = await refusal(replace(cluster, explicit=cluster.explicit - {"ssh_key"}), prompt=prompt)
    assert (error.code, len(asked)) == ("ssh_refused", 1)
    assert "Permission denied" in error.message
    assert "Too many" not in error.message


async def test_a_host_that_takes_its_time_for_the_login_is_waited_for(tmp_path):
    """A push to a phone, or a PAM step without a prompt: that is not the network."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").write_bytes(key.export_private_key("openssh"))
    (tmp_path / "id").chmod(0o600)
    waited = []

    @contextmanager
    def waiting(reason):
        waited.append(reason)
        yield

    async with sshd(key) as host:
        host.hung = True
        cluster = cluster_at(
            f"me@{LOOPBACK}:{host.port}", tmp_path / "id", host.known(tmp_path / "known"), "vm"
        )
        asyncio.get_running_loop().call_later(1.0, setattr, host, "hung", False)
        async with logged_in(cluster, replace(LIMITS, ssh_connect=0.3), waiting=waiting):
            assert host.logins == ["me"]
        assert "the management host" in waited[0]
        host.hung = True
        error = await refusal(cluster, replace(LIMITS, ssh_login=0.3))
        host.hung = False
    assert error.code == "ssh_unconfirmed"
    assert (
        f"me@{LOOPBACK}:{host.port} let nobody in within 0.3 s, waiting for the management host"
        in error.message
    )


@pytest.mark.parametrize("options", ["no-pty", "restrict"])
async def test_a_key_without_terminals_is_said_at_once(server, options):
    server.authorize(server.folder / "id", options)
    host = Host(cluster_of(server), LIMITS)
    async with host.running():
        with pytest.raises(HopFailed) as failed:
            async with host.process("true", TerminalSize(80, 24)):
                pass
        assert failed.value.code == "ssh_restricted"
        assert "no terminal" in failed.value.message
        async with host.process("echo hi") as process:
            assert await output_of(process) == b"hi\n"


async def test_a_forced_command_is_said_and_the_runner_is_not_blamed(server):
    server.authorize(server.folder / "id", 'command="echo This account is for backups"')
    chain = PlainBackend(cluster_of(server), LIMITS)
    async with chain.running():
        with pytest.raises(HopFailed) as failed:
            async with chain.exec(POD, Command(("true",), stdout=True)):
                pass
    assert failed.value.code == "ssh_restricted"
    assert "This account is for backups" in failed.value.message


async def test_a_host_that_runs_commands_is_not_called_restricted(server):
    """Here there is no incus."""
    server.authorize(server.folder / "id")
    chain = PlainBackend(cluster_of(server), LIMITS)
    async with chain.running():
        with pytest.raises(HopFailed) as failed:
            async with chain.exec(POD, Command(("true",), stdout=True)):
                pass
    assert failed.value.code not in ("ssh_restricted", "ssh_busy")


@pytest.mark.parametrize("strict", [True, False])
async def test_chacha20_is_taken_with_the_strict_key_exchange_only(tmp_path, monkeypatch, strict):
    """CVE-2023-48795. Not even the user's name is sent without."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").write_bytes(key.export_private_key("openssh"))
    (tmp_path / "id").chmod(0o600)
    if not strict:
        monkeypatch.setattr(asyncssh.connection.SSHServerConnection, "_get_extra_kex_algs", lambda _: [])
    async with sshd(key, encryption_algs="chacha20-poly1305@openssh.com") as host:
        cluster = cluster_at(
            f"me@{LOOPBACK}:{host.port}", tmp_path / "id", host.known(tmp_path / "known"), "vm"
        )
        if strict:
            async with logged_in(cluster):
                assert host.logins == ["me"]
            return
        error = await refusal(cluster)
    assert error.code == "ssh_config"
    assert "strict key exchange" in error.message
    assert host.logins == host.tries == []


async def test_an_agent_that_nobody_confirms_is_named(tmp_path, keys):
    """`ssh-add -c`, and the person is away."""
    silent = tmp_path / "askpass"
    silent.write_text("#!/bin/sh\nexec sleep 5\n")
    silent.chmod(0o700)
    config = tmp_path / "config"
    with ssh_agent(tmp_path, SSH_ASKPASS=str(silent), SSH_ASKPASS_REQUIRE="force") as agent:
        agent.add(keys / "a", options=("-c",))
        async with sshd(asyncssh.read_private_key(keys / "a")) as host:
            known = host.known(tmp_path / "known")
            config.write_text(f"IdentityAgent {agent.socket}\nUserKnownHostsFile {known}\n")
            cluster = cluster_at(f"me@{LOOPBACK}:{host.port}", keys / "a", known, "vm")
            cluster = replace(cluster, ssh_config=str(config), explicit=frozenset({"ssh_config"}))
            error = await refusal(cluster, replace(LIMITS, ssh_login=2.0))
    assert error.code == "ssh_unconfirmed"
    assert error.message.endswith("let nobody in within 2 s, waiting for the SSH agent")


@pytest.mark.parametrize(
    ("line", "lacking"),
    [
        ("HostKeyAlgorithms rsa-sha2-512", "no type of host key in common with your ssh settings: the host has ssh-ed25519"),
        ("Ciphers aes128-ctr", "no cipher in common with your ssh settings: the host has aes256-gcm@openssh.com"),
        ("MACs hmac-sha2-512\nCiphers aes256-ctr", "no cipher in common"),
        ("KexAlgorithms ecdh-sha2-nistp521", "no key exchange method in common"),
    ],
)  # fmt: skip
async def test_a_host_with_nothing_in_common_is_told_by_what_it_has(narrow, line, lacking):
    error = await refusal(by_ssh(narrow, *line.splitlines()))

    assert error.code == "ssh_config"
    assert lacking in error.message


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """An sshd that closes a connection in the key exchange, unless the client is as modern as it is."""
    folder = tmp_path_factory.mktemp("narrow")
    with openssh.sshd(folder, "Ciphers aes256-gcm@openssh.com", "KexAlgorithms curve25519-sha256") as made:
        made.authorize(openssh.key(folder / "id"))
        yield made


def by_ssh(server, *lines):
    """A cluster whose settings are all ssh's."""
    config = server.client_config(f"IdentityFile {server.folder}/id", *lines)
    cluster = cluster_at("mgmt", server.folder / "id", server.known_hosts, "vm")
    return replace(cluster, explicit=frozenset({"ssh_host"}), ssh_config=str(config))


@pytest.mark.parametrize(
    ("command", "words"),
    [("false", "the ProxyCommand ended with code 1"), ("/absent", "127"), ("echo no way >&2", "no way")],
)
async def test_a_proxy_command_that_ends_is_no_host_with_too_many_logins(server, command, words):
    error = await refusal(by_ssh(server, f"ProxyCommand {command}"))

    assert error.code == "ssh_unreachable"
    assert words in error.message


async def test_settings_that_allow_no_way_to_log_in_are_followed(server):
    error = await refusal(by_ssh(server, "PreferredAuthentications gssapi-with-mic"))

    assert error.code == "ssh_refused"
    assert "PreferredAuthentications" in error.message


async def test_an_interface_that_is_not_there_makes_the_host_unreachable(server):
    error = await refusal(by_ssh(server, "BindInterface nowhere0"))

    assert error.code == "ssh_unreachable"
    assert "BindInterface nowhere0" in error.message


async def test_ssh_rsa_is_offered_to_a_host_where_the_file_names_it(tmp_path, keys):
    with openssh.sshd(tmp_path, "HostKeyAlgorithms ssh-rsa", host_keys=[keys / "rsa"]) as old:
        old.authorize(openssh.key(tmp_path / "id"))
        async with logged_in(by_ssh(old, "HostKeyAlgorithms +ssh-rsa")) as connection:
            assert await output(connection, "echo hi") == b"hi\n"
        assert (await refusal(by_ssh(old))).code == "ssh_config"


@pytest.mark.parametrize(("mode", "questions"), [("no", 1), ("yes", 0)])
async def test_in_batch_mode_nobody_is_asked(tmp_path, mode, questions):
    asked = []

    async def prompt(*question):
        asked.append(question)
        return "wrong"

    with openssh.sshd(tmp_path) as host:
        host.authorize(openssh.key(tmp_path / "id", passphrase="secret"))
        error = await refusal(by_ssh(host, f"BatchMode {mode}"), prompt=prompt)
    assert (error.code, len(asked)) == ("ssh_refused", questions)
