"""Chooses the algorithms to offer to a host: those of the ssh settings that asyncssh has.

What the user's files name is offered as it stands. ssh's defaults lose what rests on SHA-1, and chacha20-poly1305
comes last: AES-GCM is twice as fast here and has no Terrapin (CVE-2023-48795).
"""

from collections.abc import Iterable
from typing import Any

from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs

from gateway.backends.ssh.settings import SshSettings
from gateway.errors import HopFailed

CHACHA = "chacha20-poly1305@openssh.com"
# Offered where the user's files name no ciphers
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    CHACHA,
)


def algorithms(settings: SshSettings) -> dict[str, Any]:
    """Returns the options of asyncssh that name the algorithms to offer. Raises HopFailed(ssh_config) where asyncssh
    has no algorithm of a list.
    """
    ciphers = settings.ciphers
    if "ciphers" not in settings.algorithms_named:
        ciphers = CIPHERS
    return {
        "encryption_algs": _offered(settings, "Ciphers", ciphers, get_encryption_algs()),
        "mac_algs": _offered(settings, "MACs", settings.macs, get_mac_algs()),
        "kex_algs": _offered(settings, "KexAlgorithms", settings.kex_algorithms, get_kex_algs()),
        "compression_algs": None,
    }


def _offered(settings: SshSettings, keyword: str, listed: tuple[str, ...], known: Iterable[bytes]) -> Any:
    """Returns the names of `listed` that are in `known`; () where `listed` is empty, for asyncssh's own list."""
    if not listed:
        return ()
    names = {name.decode("ascii") for name in known}
    named = keyword.lower() in settings.algorithms_named
    found = [name for name in listed if name in names and (named or not _sha1(name))]
    if not found:
        raise HopFailed(
            "ssh_config",
            f"of {keyword} {','.join(listed)} in your ssh settings nothing is known here: name one more",
        )
    return found


def _sha1(name: str) -> bool:
    return "sha1" in name or name == "ssh-rsa"
