"""The route through jump hosts, compared with OpenSSH's own: `ssh -v` prints each ssh that it starts for a ProxyJump."""

import re
import subprocess
from pathlib import Path

import pytest

from gateway.backends.ssh.ask import ask
from gateway.backends.ssh.jumps import parse_jumps, route
from gateway.backends.ssh.settings import Destination, SshSettings
from gateway.errors import HopFailed
from gateway.settings.config import Cluster, Limits

NAMES = ["single", "chain", "own", "far", "c", "d", "lone", "plain-command", "through-command", "behind", "command-first",
         "jump-first", "uri", "tokens", "six", "a", "b", "e"]  # fmt: skip
CONFIG = (
    """
Host single
  ProxyJump b
Host chain
  ProxyJump a,ann@b:2201,c
Host own
  ProxyJump far
Host far
  Port 2207
  ProxyJump c,d
Host d
  ProxyCommand false d
Host lone
  ProxyJump none
Host plain-command
  ProxyCommand false %h %p
Host through-command
  ProxyJump behind,b
Host behind
  ProxyCommand false %h %p
Host command-first
  ProxyCommand false first
  ProxyJump a
Host jump-first
  ProxyJump a
  ProxyCommand false second
Host uri
  ProxyJump ssh://ann@b:2201
Host tokens
  ProxyJump %r@b
Host six
  ProxyJump [::1]:2206
Host ::1
  HostName ::1
Host b
  User bob
  ProxyJump e
Host e
  Port 2205
Host round
  ProxyJump around
Host around
  ProxyJump round,a
Host wild
  ProxyJump wild
Host grows
  ProxyJump grows%n
Host growsgrows*
  ProxyJump grows%n
Host longer
  ProxyJump a,b,a,b,a,b,a,b,a,b,a,b,a,b,a,b
Host itself
  ProxyJump 127.0.0.1:1,x
"""
    + "".join(f"Host {name}\n  HostName 127.0.1.{number}\n" for number, name in enumerate(NAMES))
    + """
Host *
  HostName 127.0.0.1
  Port 1
  User me
"""
)  # nobody listens on port 1


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def asking(config: Path):
    """What ssh says about a host when it reads `config` alone."""
    none = Path("/nonexistent")
    cluster = Cluster("default", "x", none, none, "vm", "", "auto", ssh_config=str(config))
    return lambda destination: ask(cluster, destination, Limits())


async def ours(config: Path, host: str) -> list[SshSettings]:
    asked = asking(config)
    return await route(await asked(Destination(host)), asked)


def theirs(config: Path, host: str) -> list[tuple[str, str]]:
    """(user or "", host:port) of each host that ssh goes to, in order; a ProxyCommand before the first one."""
    done = subprocess.run(
        ["ssh", "-v", "-F", str(config), "-oBatchMode=yes", host, "true"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    commands = re.findall(r"Executing proxy command: exec (.*)", done.stderr)
    hosts = []
    for command in commands:
        inner = re.match(r"ssh (?:-l (\S+) )?.*-W '\[(.*)\]:(\d+)' \S+$", command)
        if not inner:
            return [command, *hosts]
        hosts.insert(0, f"{inner[2]}:{inner[3]}")
    first = re.search(r"Connecting to (\S+) .*port (\d+)", done.stderr)
    return [f"{first[1]}:{first[2]}", *hosts]


@pytest.mark.parametrize("host", NAMES)
async def test_the_route_is_the_one_that_ssh_takes(config, host):
    hosts = await ours(config, host)

    first, *others = [f"{one.host}:{one.port}" for one in hosts]
    assert [hosts[0].proxy_command or first, *others] == theirs(config, host)
    assert not any(one.proxy_jump for one in hosts)
    assert not any(one.proxy_command for one in hosts[1:])


async def test_each_jump_host_has_its_own_settings_and_the_user_that_the_jump_names(config):
    assert [one.user for one in await ours(config, "single")] == ["me", "bob", "me"]
    assert [one.user for one in await ours(config, "chain")] == ["me", "ann", "me", "me"]
    assert [one.user for one in await ours(config, "tokens")] == ["me", "me", "me"]


@pytest.mark.parametrize(
    ("host", "why"),
    [("round", "goes round in a circle: around -> round -> around"), ("wild", "goes round in a circle: wild -> wild"),
     ("grows", "of grows: more than 16 hosts"), ("longer", "of longer: more than 16 hosts"),
     ("itself", "goes to 127.0.0.1:1 through 127.0.0.1 itself")],
)  # fmt: skip
async def test_a_route_without_an_end_is_refused(config, host, why):
    with pytest.raises(HopFailed) as caught:
        await ours(config, host)

    assert (caught.value.code, caught.value.message) == ("ssh_config", f"ProxyJump {why}")


@pytest.mark.parametrize(
    ("text", "jumps"),
    [("a", [Destination("a")]),
     ("ann@a:2201,b", [Destination("a", "ann", 2201), Destination("b")]),
     ("a@b@c", [Destination("c", "a@b")]),
     ("ann:x@h", [Destination("h", "ann:x")]),
     ("[::1]:22", [Destination("::1", "", 22)]),
     ("ann@[fe80::1%eth0]", [Destination("fe80::1%eth0", "ann")]),
     ("[a]:5", [Destination("a", "", 5)]),
     ("a:", [Destination("a")]),
     ("a:022", [Destination("a", "", 22)]),
     ("a:ssh", [Destination("a", "", 22)]),
     ("ssh://h", [Destination("h")]),
     ("ssh://h/", [Destination("h")]),
     ("ssh://bo%62;fingerprint=x@h:77", [Destination("h", "bob", 77)]),
     ("a,ssh://b", [Destination("a"), Destination("b")]),
     ("none", []), ("NONE", [])],
)  # fmt: skip
def test_a_jump_that_ssh_can_read_is_read(text, jumps):
    assert parse_jumps([text]) == tuple(jumps)
    assert accepted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,",
        ",a",
        "@a",
        "ann@",
        "::1",
        "a:0",
        "a:65536",
        "a:x",
        "[::1]x",
        "SSH://a",
        "ssh://a/x",
        "ssh://",
        "a/b",
    ],
)
def test_a_jump_that_ssh_cannot_read_is_refused(text):
    with pytest.raises(HopFailed, match=r"ProxyJump .* is no "):
        parse_jumps([text])
    assert not accepted(text)


@pytest.mark.parametrize("text", ["-oX", "a;id", "${HOME}", "$(id)@a", "-l@a", "a`id`", "a'b"])
def test_what_a_shell_or_an_option_would_make_of_a_jump_is_refused(text):
    """OpenSSH hands it to a shell as a part of a line, and the ssh there refuses it: ssh.c, valid_hostname, valid_ruser."""
    with pytest.raises(HopFailed, match=r"ProxyJump .* is no "):
        parse_jumps([text])


def test_several_values_are_one_chain():
    assert parse_jumps(["a,b", "c"]) == parse_jumps(["a", "b", "c"])
    assert parse_jumps([]) == ()


def accepted(text):
    done = subprocess.run(
        ["ssh", "-F", "none", "-o", f"ProxyJump={text}", "-G", "host"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0
