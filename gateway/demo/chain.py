"""Runs a chain to play with: everything the real one has, on this machine, for as long as a block runs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from gateway.demo.cleanup import MARK
from gateway.demo.install import INSTANCE, install
from gateway.demo.session import Account
from gateway.demo.sshd import USER, Sshd
from gateway.private_directory import private_directory

WARNING = """\
********************************* DEMO MODE *********************************
There is no cluster behind this gateway. Every command, in every "pod", runs
ON THIS MACHINE, AS THE USER WHO STARTED IT, with all of that user's rights:
what it deletes is deleted. Whoever has the link or the token has a shell here.
*****************************************************************************"""

_ALGORITHM = "ssh-ed25519"
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")


@dataclass(frozen=True)
class DemoSettings:
    """Holds what the gateway's settings must be to reach the demo; valid inside the block only."""

    ssh_host: str
    ssh_key: Path
    known_hosts: Path
    instance: str
    directory: Path


@asynccontextmanager
async def demo_chain(max_sessions: int = 10, shell: str = "/bin/sh") -> AsyncIterator[DemoSettings]:
    """Starts the chain and yields the settings that reach it. Leaving the block ends every process that the
    demo started, and removes its directory.

    That takes 0.1 s as a rule, and five seconds at most. `max_sessions` is sshd's MaxSessions, `shell` the
    login shell of its user.
    """
    with private_directory("demo-") as directory:
        host_key, client_key = (asyncssh.generate_private_key(_ALGORITHM) for _ in range(2))
        for name, key in (("host_key", host_key), ("client_key", client_key)):
            _write_private(directory / name, key.export_private_key())
        bin_directory, home = install(directory)
        account = Account(home, _environment(directory, bin_directory, home) | {"SHELL": shell}, shell)
        sshd = Sshd(account, client_key, max_sessions)
        try:
            port = await sshd.listen(host_key)
            known = f"[127.0.0.1]:{port} ".encode() + host_key.export_public_key()
            _write_private(directory / "known_hosts", known)
            yield DemoSettings(
                ssh_host=f"{USER}@127.0.0.1:{port}",
                ssh_key=directory / "client_key",
                known_hosts=directory / "known_hosts",
                instance=INSTANCE,
                directory=directory,
            )
        finally:
            await sshd.close()


def _environment(directory: Path, bin_directory: Path, home: Path) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {
        "PATH": f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        MARK: str(directory),
    }


def _write_private(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
