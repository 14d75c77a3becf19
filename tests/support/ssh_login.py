"""Logins with the keys that ssh would offer, and nothing else; a real ssh-agent."""

import asyncio
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from support.sshd import LOOPBACK

from gateway.backends.ssh.identities import identities
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.settings import SshSettings


@dataclass
class Agent:
    """A running ssh-agent, and the path of its socket."""

    socket: str
    process: "subprocess.Popen[bytes]"

    def add(self, *keys: Path, options: tuple[str, ...] = ()) -> None:
        """Gives it the private keys in files, each with the certificate beside it; `options` are ssh-add's."""
        for one in keys:
            done = subprocess.run(
                ["ssh-add", "-q", *options, str(one)], env={**os.environ, "SSH_AUTH_SOCK": self.socket},
                stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr


@contextmanager
def ssh_agent(folder: Path, **environment: str) -> Iterator[Agent]:
    """Runs an agent without keys that listens in `folder` until the block is left."""
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(folder / "agent")], env={**os.environ, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        assert process.stdout.readline()  # it listens
        yield Agent(str(folder / "agent"), process)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def settings_of(port: int, user: str, **more: Any) -> SshSettings:
    """What ssh would say of a host on loopback; `more` are fields of it."""
    return SshSettings("mgmt", LOOPBACK, port, user, **{"identities_named": True, **more})


async def login(settings: SshSettings, passphrase: Passphrase | None = None, **more: Any) -> tuple[bool, str]:
    """Logs in and leaves at once. Returns whether that succeeded, and what was left out. `more` is for `identities`."""
    async with identities(settings, passphrase or Passphrase(None), **more) as offered:

        class Client(asyncssh.SSHClient):
            async def public_key_auth_requested(self) -> Any:
                return await offered.next()

        try:
            async with asyncssh.connect(
                settings.host, settings.port, username=settings.user, client_factory=Client, known_hosts=None,
                config=None, client_keys=None, agent_path=None, preferred_auth="publickey",
            ):  # fmt: skip
                return True, "\n".join(offered.remarks)
        except asyncssh.DisconnectError:
            return False, "\n".join(offered.remarks)


class Waiting:
    """What is waited for, in order, and its end as an empty text. `begun[n]` is set when n are waited for."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.begun: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self.seen.append(what)
        self.begun[len(self.seen)].set()
        try:
            yield
        finally:
            self.seen.append("")
