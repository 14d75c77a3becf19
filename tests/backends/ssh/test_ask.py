"""The settings of a host are those of the user's own ssh: what it accepts we accept, with the same meaning."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support import leaks
from support.served import cluster_at

from gateway.backends.ssh import answer, ask
from gateway.backends.ssh.algorithms import algorithms
from gateway.backends.ssh.settings import Destination
from gateway.backends.ssh.tokens import expand
from gateway.backends.ssh.trust import trust
from gateway.errors import HopFailed
from gateway.settings.config import Limits

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def asked(tmp_path):
    """The settings of `host`, asked with a config file of this text."""
    file = tmp_path / "config"

    async def settings(text: str | bytes, host="x", limits=Limits(), **change):  # noqa: B008  # frozen
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(0o600)
        cluster = replace(
            cluster_at(host, tmp_path / "k", tmp_path / "h", "vm"), explicit=frozenset(), **change
        )
        return await ask.ask(replace(cluster, ssh_config=str(file)), ask.parse_host(host), limits)

    return settings


LINES = [
    ("Port 2200 # behind a value", "port", 2200),
    ("Port=2201", "port", 2201),
    ('IdentityFile "/a b/id"', "identity_files", (Path("/a b/id"),)),
    ("Port 2202 # it's", "port", 2202),
    ("ServerAliveInterval 1m", "keepalive_interval", 60),
    ("ServerAliveInterval 0", "keepalive_interval", 0),
    ("", "keepalive_interval", Limits.ssh_keepalive),
    ("ServerAliveCountMax 7", "keepalive_count", 7),
    ("ConnectTimeout 10s", "connect_timeout", 10),
    ("RekeyLimit 1M 1h", "rekey_bytes", 1 << 20),
    ("RekeyLimit 1M 1h", "rekey_seconds", 3600),
    ("RekeyLimit default none", "rekey_bytes", 0),
    ("ConnectTimeout 7", "connect_timeout", 7),
    ("ConnectTimeout none", "connect_timeout", Limits.ssh_connect),
    ("", "connect_timeout", Limits.ssh_connect),
    (b"# gr\xfc\xdfe\nPort 2203\n", "port", 2203),
    ("IdentityFile /absent", "identity_files", (Path("/absent"),)),
    ("IdentityFile ~/.ssh/%r-%h", "identity_files", (HOME / f".ssh/{ME}-x",)),
    ("IdentityFile none", "identity_files", ()),
    ("", "identities_named", False),
    ("IdentityFile /a", "identities_named", True),
    ("CertificateFile ~/c-%n", "certificate_files", (HOME / "c-x",)),
    ("IdentitiesOnly yes", "identities_only", True),
    ("Match localnetwork 127.0.0.0/8\n Port 2204", "port", 2204),
    ('Match exec "test %h = x"\n Port 2205', "port", 2205),
    ('Match exec "test %h = y"\n Port 2206', "port", 22),
    ("Match version OpenSSH_*\n Port 2207", "port", 2207),
    ("Match host x\n Port 2208", "port", 2208),
    ("Match final host x\n Port 2209", "port", 2209),
    ("Include /absent/*\nPort 2210", "port", 2210),
    ("Host !x *\n Port 2211", "port", 22),
    ("Host x\r\n Port 2212\r\n", "port", 2212),
    ("IgnoreUnknown Foo*\nFooBar yes\nPort 2213", "port", 2213),
    ("HostName %h.example.com", "host", "x.example.com"),
    ("HostName %h.example.com", "name", "x"),
    ("User jo", "user", "jo"),
    ("", "user", ME),
    ("HostKeyAlias Alias", "host_key_alias", "alias"),
    ("RevokedHostKeys ~/revoked", "revoked_host_keys", str(HOME / "revoked")),
    ("UserKnownHostsFile ~/a ~/b-%k", "user_known_hosts", (HOME / "a", HOME / "b-x")),
    ("UserKnownHostsFile none", "user_known_hosts", ()),
    ("GlobalKnownHostsFile none", "global_known_hosts", ()),
    ("KnownHostsCommand /bin/lookup %h %H %%", "known_hosts_command", "/bin/lookup x %H %%"),
    ("ProxyCommand nc %h %p %r %%", "proxy_command", f"nc x 22 {ME} %"),
    ("ProxyCommand none", "proxy_command", ""),
    ("ProxyJump a,ssh://b:33", "proxy_jump", ("a", "b:33")),
    ("ProxyJump none", "proxy_jump", ()),
    ("AddressFamily inet6", "address_family", socket.AF_INET6),
    ("BindAddress 127.0.0.9", "bind_address", "127.0.0.9"),
    ("BindInterface lo", "bind_interface", "lo"),
    ("IdentityAgent none", "agent", ""),
    ("IdentityAgent SSH_AUTH_SOCK", "agent", "/agent"),
    ("IdentityAgent $MY_AGENT", "agent", "/mine"),
    ("IdentityAgent ~/%h.sock", "agent", str(HOME / "x.sock")),
    ("", "agent", "/agent"),
    ("PreferredAuthentications password,publickey", "authentications", ("password", "publickey")),
    ("PubkeyAuthentication no", "authentications", ("keyboard-interactive", "password")),
    ("BatchMode yes", "batch_mode", True),
    ("BatchMode no", "batch_mode", False),
    ("NumberOfPasswordPrompts 1", "password_prompts", 1),
    ("RequiredRSASize 3072", "required_rsa_bits", 3072),
    ("Ciphers aes256-ctr", "ciphers", ("aes256-ctr",)),
    ("Ciphers aes256-ctr", "algorithms_named", frozenset({"ciphers"})),
    ("", "algorithms_named", frozenset()),
    ("HostKeyAlgorithms ssh-ed25519", "host_key_algorithms_named", True),
    ("HostKeyAlgorithms ^rsa-sha2-512", "host_key_algorithms_named", True),
    ("HostKeyAlgorithms +ssh-rsa", "host_key_algorithms_named", False),
    ("HostKeyAlgorithms +ssh-rsa", "algorithms_named", frozenset({"hostkeyalgorithms"})),
]


async def test_a_line_means_what_it_means_to_ssh(asked, monkeypatch, subtests):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    monkeypatch.setenv("MY_AGENT", "/mine")
    for line, field, expected in LINES:
        with subtests.test(repr(line), field=field):
            assert getattr(await asked(line), field) == expected


async def test_what_the_setting_names_wins(asked):
    settings = await asked("User jo\nPort 2200", host="me@x:2300")
    assert (settings.user, settings.port) == ("me", 2300)


async def test_blanks_in_the_names_of_known_hosts_files(asked, tmp_path):
    """The answer has blanks between the names: those of files that exist are told apart."""
    file = tmp_path / "known hosts"
    file.touch()
    settings = await asked(f'UserKnownHostsFile "{file}" /absent')
    assert settings.user_known_hosts == (file, Path("/absent"))


async def test_names_of_known_hosts_files_that_nobody_can_look_at(asked):
    """As of one below another user's directory."""
    name = f"/{'n' * 300}"
    settings = await asked(f"UserKnownHostsFile {name} /absent")
    assert settings.user_known_hosts == (Path(name), Path("/absent"))


REFUSED = [
    ("Port many", "config line 1: Bad "),
    ("Prt 22", "Bad configuration option: prt"),
    ("IdentityFile %z", "%z"),
    ("CertificateFile ${NO_SUCH_VARIABLE}", "${NO_SUCH_VARIABLE}, which is not set"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
async def test_what_ssh_refuses_is_refused_in_its_words(asked, line, said):
    with pytest.raises(HopFailed) as failed:
        await asked(line)
    assert failed.value.code == "ssh_config"
    assert said in failed.value.message
    assert "\n" not in failed.value.message
    assert "dap-ssh-" not in failed.value.message  # the file of ours


async def test_a_file_that_others_may_write_is_refused(asked, monkeypatch):
    chmod = Path.chmod
    monkeypatch.setattr(Path, "chmod", lambda self, _: chmod(self, 0o666))
    with pytest.raises(HopFailed, match="Bad owner or permissions"):
        await asked("Port 2200")


async def test_a_name_without_an_address_is_no_mistake_in_a_file(asked):
    with pytest.raises(HopFailed, match="Could not resolve") as failed:
        await asked("CanonicalizeHostname yes\nCanonicalDomains no.invalid\nCanonicalizeFallbackLocal no")
    assert failed.value.code == "ssh_unreachable"


async def test_a_named_file_that_is_absent_is_refused(tmp_path):
    cluster = replace(cluster_at("x", tmp_path, tmp_path, "vm"), ssh_config=str(tmp_path / "absent"))
    with pytest.raises(HopFailed, match="DAP_RUNNER_SSH_CONFIG"):
        await ask.ask(cluster, Destination("x"), Limits())


async def test_match_exec_runs_once(asked, tmp_path):
    count = tmp_path / "count"
    await asked("")  # the defaults are known from here on
    assert (await asked(f'Match exec "echo >>{count}"\n Port 2200')).port == 2200
    assert count.read_text() == "\n"


async def test_match_exec_that_never_ends_is_killed_with_what_it_started(asked, tmp_path):
    pid = tmp_path / "pid"
    with pytest.raises(HopFailed, match=r"within 0\.5 s: look at the Match exec lines"):
        await asked(f'Match exec "echo $$ >{pid}; sleep 1000"', limits=replace(Limits(), ssh_settings=0.5))
    async with asyncio.timeout(10):
        while leaks.alive(int(pid.read_text())):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "line",
    ["StrictHostKeyChecking no", "StrictHostKeyChecking accept-new", "VerifyHostKeyDNS yes", "ControlPath /c", "PKCS11Provider /p",
     "NoHostAuthenticationForLocalhost yes", "GSSAPIAuthentication yes", "HostbasedAuthentication yes", "ProxyUseFdpass yes"],
)  # fmt: skip
async def test_what_is_not_followed_is_said(asked, line):
    [remark] = (await asked(line)).remarks
    assert remark.startswith(line.split()[0])
    assert "is not followed" in remark


@pytest.mark.parametrize(
    "line", ["", "StrictHostKeyChecking yes", "ControlMaster no", "VerifyHostKeyDNS no", "ProxyCommand nc"]
)
async def test_what_is_followed_needs_no_remark(asked, line):
    assert (await asked(line)).remarks == ()


def test_the_answer_is_what_ssh_prints(tmp_path):
    """Each keyword that is read is one that this ssh prints, or would print if it were set."""
    (tmp_path / "c").write_text("ProxyJump a\nIdentityAgent /a\nHostKeyAlias b\nPreferredAuthentications password\n"
                                "BindAddress ::1\nBindInterface lo\nRevokedHostKeys /r\nKnownHostsCommand /k\n"
                                "CertificateFile /c\nPKCS11Provider /p\nControlPath /s\n")  # fmt: skip
    said = subprocess.run(
        ["ssh", "-G", "-F", tmp_path / "c", "x"], capture_output=True, text=True, check=True
    ).stdout
    printed = set(answer.parse(said)) | {"proxycommand"}
    source = Path(answer.__file__).read_text("utf-8")
    read = {word for word in source.replace('"', " ").replace(",", " ").split() if word in printed}
    assert {"hostname", "userknownhostsfile", "identityagent", "requiredrsasize"} <= read


def test_a_token_that_nobody_knows_is_refused():
    with pytest.raises(HopFailed, match="unknown token %x"):
        expand("a%x", {"h": "host"})


async def test_no_place_for_a_file_is_one_line(asked, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/absent")
    with pytest.raises(HopFailed, match=r"ssh cannot be asked for its settings: .*/absent") as failed:
        await asked("Port 2200")
    assert failed.value.code == "ssh_config"


async def test_without_ssh_certificates_of_hosts_and_of_users_are_taken_as_with_it(asked, monkeypatch):
    """An empty list is all that is known here."""
    monkeypatch.setattr("gateway.backends.ssh.ask.available", lambda: False)
    settings = await asked("Port 2200")
    assert settings.port == 2200
    assert "ssh-ed25519-cert-v01@openssh.com" in (await trust(settings, seconds=10)).host_key_algorithms
    assert settings.public_key_algorithms == settings.ca_signature_algorithms == ()


async def test_an_accepted_list_of_certificates_alone_is_no_mistake(asked):
    """The keys know it by themselves."""
    settings = await asked("PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com")
    assert algorithms(settings)["encryption_algs"]
