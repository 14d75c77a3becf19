"""Reads the settings of a host where no `ssh` is installed, with asyncssh's parser.

That parser knows less than ssh (`dap doctor` says so): an unknown line is an error, defaults are those below.
"""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from gateway.backends.ssh.settings import Destination, SshSettings
from gateway.errors import HopFailed

REMARK = "no ssh is installed here, so asyncssh reads ~/.ssh/config: it knows fewer lines than ssh does"
_IDENTITIES = (
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
)  # ssh's defaults, in its order


def settings(
    files: Sequence[Path], destination: Destination, *, connect: float, keepalive: float
) -> SshSettings:
    """Returns the settings of one host. Raises HopFailed(ssh_config) where the files cannot be parsed. `connect` and
    `keepalive`: seconds for where the files name none.
    """
    given: dict[str, Any] = {"host": destination.host}
    given |= {"username": destination.user} if destination.user else {}
    given |= {"port": destination.port} if destination.port else {}
    readable = [str(file) for file in files if os.access(file, os.R_OK)]
    try:
        made = asyncssh.SSHClientConnectionOptions(
            client_keys=None, known_hosts=b"", config=readable, **given
        )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise HopFailed("ssh_config", f"ssh settings cannot be used: {error}") from None
    read: Any = made.config.get
    folder = Path("~/.ssh").expanduser()
    identities = [Path(name).expanduser() for name in read("IdentityFile") or ()]
    agent = str(read("IdentityAgent") or os.environ.get("SSH_AUTH_SOCK", ""))
    return SshSettings(
        name=destination.host,
        host=made.host,
        port=made.port,
        user=made.username,
        proxy_command=" ".join(read("ProxyCommand") or ()),
        proxy_jump=_list(read("ProxyJump")),
        address_family=socket.AddressFamily(made.family),
        connect_timeout=float(read("ConnectTimeout") or connect),
        keepalive_interval=float(read("ServerAliveInterval", keepalive)),
        keepalive_count=int(read("ServerAliveCountMax", 3)),
        host_key_alias=str(read("HostKeyAlias") or ""),
        user_known_hosts=_files(
            read("UserKnownHostsFile", [folder / "known_hosts", folder / "known_hosts2"])
        ),
        global_known_hosts=_files(read("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts"])),
        identity_files=tuple(identities or [folder / name for name in _IDENTITIES]),
        identities_named=bool(identities),
        certificate_files=_files(read("CertificateFile") or ()),
        identities_only=bool(read("IdentitiesOnly")),
        agent="" if agent.lower() == "none" else agent,
        remarks=(REMARK,),
    )


def _list(value: object) -> tuple[str, ...]:
    text = str(value or "")
    return () if text.lower() in ("", "none") else tuple(text.split(","))


def _files(names: Sequence[object]) -> tuple[Path, ...]:
    return tuple(Path(str(name)).expanduser() for name in names if str(name).lower() != "none")
