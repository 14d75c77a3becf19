"""Parses what a host shows in the key exchange: a key, or a certificate for its key (OpenSSH's PROTOCOL.certkeys).

asyncssh's certificates hide what has to be judged: which algorithm the authority signed with. It also refuses a
certificate with a critical option as a whole, where ssh goes on with the key that is in it.
"""

import os
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.public_key import decode_ssh_public_key

CERTIFICATE = "-cert-v01@openssh.com"
_HOST = 2  # SSH_CERT_TYPE_HOST
KINDS = {
    "ssh-rsa": 2,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
"""The types of host keys, and of how many strings the public key of each consists."""


@dataclass(frozen=True)
class Certificate:
    """An authority's statement about a host's key. Times are seconds since 1970."""

    authority: asyncssh.SSHKey
    signed_with: str  # a signature algorithm
    key_id: str
    kind: int
    principals: tuple[bytes, ...]
    after: int
    before: int
    critical: bool  # it has a critical option; none is defined for hosts

    def fault(self, name: str, algorithms: Sequence[str]) -> str:
        """Returns why the certificate is invalid for the host `name` now; empty where it is valid (sshkey.c,
        sshkey_cert_check_host).
        """
        faults = (
            (self.kind != _HOST, "is not for hosts"),
            (time.time() < self.after, "is not valid yet"),
            (time.time() >= self.before, "has expired"),
            (
                bool(self.principals) and os.fsencode(name) not in self.principals,
                f"is not for the name {name}",
            ),
            (self.critical, "has a critical option, and none is known"),
            (self.signed_with not in algorithms, f"is signed with {self.signed_with}, which is not allowed"),
        )
        return next((words for wrong, words in faults if wrong), "")


@dataclass(frozen=True)
class HostKey:
    """A host's key, with the certificate that contained the key, if any. `blob` is what the host sent."""

    blob: bytes
    key: asyncssh.SSHKey
    certificate: Certificate | None = None

    @property
    def kind(self) -> str:
        """The type of the certificate; without a certificate, of the key."""
        return SSHPacket(self.blob).get_string().decode("ascii")

    @property
    def line(self) -> bytes:
        """Type and base64, as a file of public keys has them."""
        return f"{self.kind} {self.tokens['K']}\n".encode("ascii")

    @property
    def tokens(self) -> dict[str, str]:
        """The tokens of KnownHostsCommand that tell the key: ssh_config(5), TOKENS."""
        return {"t": self.kind, "f": self.key.get_fingerprint(), "K": b64encode(self.blob).decode("ascii")}

    @property
    def bits(self) -> int:
        """The size of an RSA key's modulus; 0 for keys of another type."""
        if self.key.algorithm != b"ssh-rsa":
            return 0
        packet = SSHPacket(self.key.public_data)
        packet.get_string()
        packet.get_mpint()
        return int(packet.get_mpint().bit_length())


def shown(key: asyncssh.SSHKey) -> str:
    """Returns the type and fingerprint, as messages show a key."""
    return f"{key.algorithm.decode('ascii')} {key.get_fingerprint()}"


def read_host_key(blob: bytes) -> HostKey:
    """Returns the key that a host sent. Raises ValueError where the key cannot be read, or its authority did not sign
    it.
    """
    try:
        packet = SSHPacket(blob)
        kind = packet.get_string().decode("ascii")
        if kind in KINDS:
            return HostKey(blob, decode_ssh_public_key(blob))
        return _read_certificate(blob, packet, _certified(kind))
    except (PacketDecodeError, asyncssh.KeyImportError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _certified(kind: str) -> str:
    """Returns the type of the key in a certificate of type `kind`. Raises ValueError for any other type."""
    for plain in KINDS:
        if kind == plain.partition("@")[0] + CERTIFICATE:
            return plain
    raise ValueError(f"{kind} is no type of host key")


def _read_certificate(blob: bytes, packet: SSHPacket, kind: str) -> HostKey:
    packet.get_string()  # nonce
    key = decode_ssh_public_key(b"".join(map(_packed, [kind.encode(), *_strings(packet, KINDS[kind])])))
    packet.get_uint64()  # serial number
    what, key_id, names = packet.get_uint32(), packet.get_string(), packet.get_string()
    after, before = packet.get_uint64(), packet.get_uint64()
    critical = packet.get_string()
    _strings(packet, 2)  # extensions, which are advice, and a reserved field
    authority = decode_ssh_public_key(packet.get_string())
    signed = packet.get_consumed_payload()
    signature = packet.get_string()
    packet.check_end()
    if not authority.verify(signed, signature):
        raise ValueError("a certificate with a false signature")
    signed_with = SSHPacket(signature).get_string().decode("ascii")
    principals = tuple(_until_end(SSHPacket(names)))
    return HostKey(blob, key, Certificate(authority, signed_with, key_id.decode("utf-8", "backslashreplace"),
                                          what, principals, after, before, bool(critical)))  # fmt: skip


def _packed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def _strings(packet: SSHPacket, count: int) -> list[bytes]:
    get: Callable[[], bytes] = packet.get_string
    return [get() for _ in range(count)]


def _until_end(packet: SSHPacket) -> list[bytes]:
    texts = []
    while packet:
        texts.append(packet.get_string())
    return texts
