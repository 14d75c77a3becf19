"""One login of the gateway, in a process of its own with the row's home and environment."""

import asyncio
import ctypes
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from gateway.backends.ssh import Passphrase, connect
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize
from gateway.settings.config import Cluster, Limits
from ssh_matrix.verdict import MARK, last

_LIMITS = Limits(ssh_connect=8.0)
_NEW_NAMESPACE, _BIND, _PRIVATE = 0x20000, 0x1000, 0x4000 | 0x40000  # <sched.h>, <sys/mount.h>


@dataclass(frozen=True)
class Login:
    """What to log in to, and from where. `mounts`: path -> what stands there instead."""

    host: str
    config: str  # "" for ssh's own files
    answer: str | None
    terminal: bool
    home: Path
    env: Mapping[str, str]
    mounts: Mapping[str, str]


def run(login: Login, told: Pipe) -> None:
    """Logs in and runs a command; tells its output, the error's code and message, and, of a crash, the last line."""
    os.setsid()
    try:
        _mount(login.mounts)
        os.chdir(login.home)
        os.environ.clear()
        os.environ.update(login.env)
        told.send((asyncio.run(_output(login)), "", ""))
    except HopFailed as error:
        told.send(("", error.code, str(error)))
    except BaseException:  # noqa: BLE001  # what it is, is the row's finding
        told.send(("", "crash", last(traceback.format_exc())))


async def _output(login: Login) -> str:
    async def ask(_question: str, _echo: bool) -> str | None:
        return login.answer

    ssh = login.home / ".ssh"
    cluster = Cluster(
        "default", login.host, ssh / "id_ed25519", ssh / "known_hosts", "runner", "", "plain",
        explicit=frozenset({"ssh_host", *(["ssh_config"] if login.config else [])}), ssh_config=login.config,
    )  # fmt: skip
    prompt = ask if login.answer else None
    connection = await connect(cluster, _LIMITS, Passphrase(prompt), prompt)
    try:
        process = await connection.open(f"echo {MARK}", TerminalSize(80, 24) if login.terminal else None)
        output = b""
        while chunks := await process.read():
            output += b"".join(data for stream, data in chunks if stream == 1)
    finally:
        connection.close()
        await connection.wait_closed()
    return output.decode(errors="replace")


def _mount(mounts: Mapping[str, str]) -> None:
    """Binds the row's files in a mount namespace of this process. Raises OSError."""
    if not mounts:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    done = [libc.unshare(_NEW_NAMESPACE), libc.mount(None, b"/", None, _PRIVATE, None)]
    done += [libc.mount(file.encode(), path.encode(), None, _BIND, None) for path, file in mounts.items()]
    if any(done):
        raise OSError(ctypes.get_errno(), "no mount namespace")
