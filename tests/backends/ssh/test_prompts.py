"""A question at a login: who asks it, whatever the host that asks would like to seem."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from support.served import cluster_at
from support.sshd import LOOPBACK, sshd

from gateway.backends.ssh import Passphrase, connect
from gateway.backends.ssh.foreign_text import shown
from gateway.settings.config import Limits

LIMITS = Limits(ssh_connect=5.0, ssh_login=10.0)
OF_MGMT, OF_BASTION = "(ops@mgmt.example) ", "(hop@bastion.example) "
SECRETS = {OF_MGMT: "secret of mgmt", OF_BASTION: "secret of bastion"}


@asynccontextmanager
async def asking(folder, *challenges):
    """A management host behind a jump host. Each asks for its secret; yields both, and the file of ssh's settings."""
    async with sshd(secret=SECRETS[OF_BASTION]) as bastion, sshd(secret=SECRETS[OF_MGMT]) as mgmt:
        for server, challenge in zip((bastion, mgmt), challenges, strict=False):
            server.challenge = challenge
        lines = []
        for server, name, user in ((bastion, "bastion", "hop"), (mgmt, "mgmt", "ops")):
            public = server.host_key.export_public_key().decode().strip()
            (folder / f"known_{name}").write_text(f"{name}.example {public}\n")
            lines += [
                f"Host {name}", f"  HostName {LOOPBACK}", f"  Port {server.port}", f"  User {user}",
                f"  HostKeyAlias {name}.example", f"  UserKnownHostsFile {folder}/known_{name}",
                "  IdentityFile none", "  IdentityAgent none", "  PasswordAuthentication no",
            ]  # fmt: skip
        config = folder / "config"
        config.write_text("\n".join([*lines, "  ProxyJump bastion", ""]))
        yield bastion, mgmt, config


async def asked_by_ours(config):
    """Logs in and answers as an attentive person does, who looks at who asks. Returns the questions."""
    asked = []

    async def prompt(question, echo):
        asked.append((question, echo))
        return next(secret for who, secret in SECRETS.items() if question.startswith(who))

    cluster = cluster_at("mgmt", config.parent / "no key", config.parent / "none", "vm")
    cluster = replace(cluster, explicit=frozenset({"ssh_host", "ssh_config"}), ssh_config=str(config))
    connection = await connect(cluster, LIMITS, Passphrase(prompt), prompt)
    connection.close()
    await connection.wait_closed()
    return asked


async def asked_by_ssh(config):
    """The same with ssh, which asks through a program."""
    folder = config.parent
    program = folder / "askpass"
    cases = "".join(f"'{who}'*) echo '{secret}' ;; " for who, secret in SECRETS.items())
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >>{folder}/asked\ncase $1 in {cases} esac\n')
    program.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        "ssh", "-F", str(config), "-T", "mgmt", "true", stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors
    return (folder / "asked").read_text().splitlines()


async def test_each_question_names_the_host_that_asks_as_ssh_does(tmp_path):
    async with asking(tmp_path, ("", "", "Code:"), ("", "", "Code:")) as (bastion, mgmt, config):
        theirs = await asked_by_ssh(config)
        ours = await asked_by_ours(config)
        assert (bastion.logins, mgmt.logins) == (["hop"] * 2, ["ops"] * 2)

    assert [question.strip() for question, _ in ours] == theirs == [f"{OF_BASTION}Code:", f"{OF_MGMT}Code:"]
    assert [echo for _, echo in ours] == [False, False]


POSES = [
    f"{OF_MGMT}Code:",
    f"\r{OF_MGMT}Code:",
    f"\n{OF_MGMT}Code:",
    f"\x1b[2K\x1b[1G{OF_MGMT}Code:",
    "\b" * 60 + f"{OF_MGMT}Code:",
    f"\x9b1G{OF_MGMT}Code:",
    "\u202e" + f"{OF_MGMT}Code:"[::-1],
    f"\x00{OF_MGMT}Code:",
    "\n" * 500 + f"{OF_MGMT}Code:",
    " " * 5000 + f"{OF_MGMT}Code:",
    "x" * 50_000 + f"\n{OF_MGMT}Code:",
    f"\x1b]0;{OF_MGMT}\x07Code:",
]


# Each place in the words of a host takes the same way: two poses, one of them long, in each, and all of them in one
PLACES = [
    pytest.param(place, pose, id=f"{place}-{pose[:12]!a}",
                 marks=[pytest.mark.repetition] if place != "question" and pose not in (POSES[2], POSES[9]) else [])
    for place in ("name", "instructions", "question") for pose in POSES
]  # fmt: skip


@pytest.mark.parametrize(("place", "pose"), PLACES)
async def test_a_jump_host_cannot_pose_as_another(tmp_path, pose, place):
    """What it says stands behind its own name, in one line of printable characters that one screen can hold."""
    words = {"name": "", "instructions": "", "question": "Code:", place: pose}
    async with asking(tmp_path, tuple(words.values())) as (_, mgmt, config):
        asked = await asked_by_ours(config)
        assert mgmt.logins == ["ops"]

    question = asked[0][0]
    assert question.startswith(OF_BASTION)
    assert question.isprintable()
    assert len(question) < 700
    assert [who for who, _ in asked if who.startswith(OF_MGMT)] == [asked[1][0]]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Passcode or option (1-3): ", "Passcode or option (1-3):"),
        ("Duo login for bob\n\n 1. Push\n 2. Phone\n", "Duo login for bob 1. Push 2. Phone"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\ufffdb", "a\ufffdb"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
        ("", ""),
    ],
)
def test_words_of_a_host_are_one_bounded_line(text, line):
    assert shown(text, 20 if "x" * 20 in text else 300) == line
