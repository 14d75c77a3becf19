"""Settings -> asyncssh options. ~/.ssh/config is honoured; a default of ours yields to it; host keys are always checked."""

import os
from pathlib import Path
from typing import Any

import asyncssh

from gateway.backend.ssh import passphrase
from gateway.backend.ssh.passphrase import Prompt
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed

__all__ = ["Passphrase", "Prompt", "known_hosts", "options", "parse_host"]

_SSH_CONFIG = ()  # asyncssh's name for ~/.ssh/config where it exists; None would be no file
# AES-GCM first: twice as fast as chacha20 here, and no Terrapin (CVE-2023-48795)
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr"


def parse_host(text: str) -> dict[str, Any]:
    """[user@]host[:port], IPv6 in brackets. What is not named is left to ~/.ssh/config."""
    user, at, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or ("]" in port) or (rest.count(":") > 1 and not rest.startswith("[")):
        host, port = rest, ""
    host = host.strip("[]")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise HopFailed("ssh_config", f"{text!r} is no [user@]host[:port]")
    return {"host": host} | ({"username": user} if at else {}) | ({"port": int(port)} if port else {})


def known_hosts(configured: Any, cluster: Cluster) -> Any:
    """The files to trust: the explicit one, else what ~/.ssh/config names, else ours. Never None, which would trust
    any key: that is what asyncssh makes of `UserKnownHostsFile none`.
    """
    if "ssh_known_hosts" in cluster.explicit:
        if not os.access(cluster.ssh_known_hosts, os.R_OK):
            raise HopFailed("ssh_config", f"cannot read the known hosts file {cluster.ssh_known_hosts}")
        return str(cluster.ssh_known_hosts)
    named = [str(Path(name).expanduser()) for name in (configured or [])]
    files = [name for name in (named or [str(cluster.ssh_known_hosts)]) if os.access(name, os.R_OK)]
    return files or b""


async def options(
    cluster: Cluster, address: dict[str, Any], limits: Limits, passphrases: "Passphrase", **more: Any
) -> asyncssh.SSHClientConnectionOptions:
    """Options for one host, the management host or a jump host before it. Raises HopFailed(ssh_config)."""
    try:
        config = asyncssh.SSHClientConnectionOptions(client_keys=None, config=_SSH_CONFIG, **address).config
        given: dict[str, Any] = {
            "known_hosts": known_hosts(config.get("UserKnownHostsFile", ()), cluster),
            "connect_timeout": None,  # the caller's: it has to wait for people
            "login_timeout": 0,
            "compression_algs": None,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "passphrase": passphrases,
        }
        ours = {
            "Ciphers": ("encryption_algs", CIPHERS),
            "ServerAliveInterval": ("keepalive_interval", limits.ssh_keepalive),
            "ServerAliveCountMax": ("keepalive_count_max", 3),
        }
        given |= dict(default for name, default in ours.items() if config.get(name) is None)
        if "tunnel" not in more:
            given["tunnel"] = None
        given |= await _keys(config, cluster, passphrases)
        made: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
            config=_SSH_CONFIG, **address, **(given | more)
        )
        return made
    except (
        asyncssh.Error,
        asyncssh.KeyImportError,
        asyncssh.KeyEncryptionError,
        OSError,
        TypeError,  # asyncssh 2.24: an encrypted PKCS#8 key of ~/.ssh/config's without its .pub
        ValueError,
    ) as error:
        raise HopFailed("ssh_config", f"ssh settings cannot be used: {error}") from None


async def _keys(config: Any, cluster: Cluster, passphrases: "Passphrase") -> dict[str, Any]:
    key = cluster.ssh_key
    readable = os.access(key, os.R_OK)
    if "ssh_key" not in cluster.explicit:
        return (
            {}
            if config.get("IdentityFile") or not readable
            else {"client_keys": [str(key)], "ignore_encrypted": True}
        )
    if not readable:
        raise HopFailed(
            "ssh_config", f"cannot read the SSH key {key}: set DAP_RUNNER_SSH_KEY or run 'dap config init'"
        )
    public = Path(f"{key}.pub")
    if await _agent_has(config, public):
        return {"client_keys": [str(key)], "ignore_encrypted": True, "agent_identities": [str(public)]}
    certificate = Path(f"{key}-cert.pub")
    unlocked = await passphrases.unlock(key)
    pair = (unlocked, str(certificate)) if os.access(certificate, os.R_OK) else unlocked
    return {"client_keys": [pair], "agent_path": None}  # no other keys: sshd counts each as a failure


async def _agent_has(config: Any, public: Path) -> bool:
    """The agent holds this very key, so that nobody need be asked for its passphrase."""
    path = config.get("IdentityAgent") or os.environ.get("SSH_AUTH_SOCK")
    if not path or not os.access(public, os.R_OK):
        return False
    try:
        async with asyncssh.connect_agent(path) as agent:
            wanted = asyncssh.read_public_key(public).public_data
            return any(pair.public_data == wanted for pair in await agent.get_keys())
    except (asyncssh.KeyImportError, OSError, ValueError):
        return False


class Passphrase(passphrase.Passphrase):
    """What asyncssh asks for a key that it loads by itself."""

    def __init__(self, prompt: Prompt | None) -> None:
        super().__init__(prompt)
        self._known: dict[str, str] = {}

    async def __call__(self, filename: str) -> str | None:
        """The passphrase of a key file; None where nobody can be asked."""
        async with self._asking:
            answer = (
                None
                if filename in self._known or not self._prompt
                else await self._prompt(f"Passphrase for {filename}: ", False)
            )
            if answer is not None:
                self._known[filename] = answer
            return self._known.get(filename)

    def forget(self) -> None:
        """What was given did not open the key."""
        self._known.clear()
