"""Key files, read as OpenSSH's client reads them: public keys, certificates, private keys (authfile.c, sshkey.c)."""

import os
import stat
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

_PRIVATE = b"-----BEGIN"
_GARBAGE = (ValueError, OverflowError)  # what asyncssh's parsers raise
_USER = 1  # SSH_CERT_TYPE_USER (PROTOCOL.certkeys)
_HOSTS = "Invalid certificate type"  # asyncssh's words for the certificate of a host


class KeyUnusable(ValueError):  # noqa: N818  # asyncssh goes on with the next key after a ValueError
    """A private key cannot be used; the text says why and, where there is something to do, what."""


@dataclass(frozen=True)
class PublicKey:
    """What a host is shown: a public key, or a certificate of one."""

    algorithm: str  # "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"
    blob: bytes  # as it goes over the wire
    key: asyncssh.SSHKey  # the public key; of a certificate the key that it certifies
    invalid: str = ""  # why a certificate does not hold: "Certificate expired"

    @property
    def certificate(self) -> bool:
        """True if it is a certificate."""
        return self.blob != self.key.public_data

    @property
    def hardware(self) -> bool:
        """True if the private key is in a FIDO token."""
        return self.algorithm.startswith("sk-")

    @property
    def rsa_bits(self) -> int:
        """The length of an RSA key; 0 for other keys."""
        return int(getattr(self.key.pyca_key, "key_size", 0)) if self.key.get_algorithm() == "ssh-rsa" else 0


def from_wire(algorithm: bytes, blob: bytes) -> PublicKey | None:
    """Returns the public key or certificate in a blob of the SSH protocol; None if the blob cannot be parsed."""
    return _parse(algorithm + b" " + b64encode(blob))


def read_public(file: Path) -> PublicKey | None:
    """Returns the public key that belongs to a key file: from the file itself, from FILE.pub, or the public half of a
    private key in OpenSSH's format, which needs no passphrase. None where all three lack a key (authfile.c,
    sshkey_load_public).
    """
    data = _read(file)
    for text in (data, _read(Path(f"{file}.pub"))):
        if _PRIVATE not in text and (found := _parse(text)):
            return found
    return _parse(data) if b"-----BEGIN OPENSSH PRIVATE KEY" in data else None


def read_certificate(file: Path) -> PublicKey | None:
    """Returns the user certificate in FILE or FILE.pub; None if neither has a user certificate."""
    key = read_public(file)
    return key if key and key.certificate and key.invalid != _HOSTS else None


def read_private(file: Path) -> bytes:
    """Returns the text of a private key file. Raises KeyUnusable where the file cannot be read, holds no private key,
    or is readable for others too (sshkey_perm_ok).
    """
    try:
        status = file.stat()
        data = file.read_bytes() if stat.S_ISREG(status.st_mode) else b""  # a pipe may never say anything
    except FileNotFoundError:
        raise KeyUnusable("there is no such file") from None
    except OSError as error:
        raise KeyUnusable(f"it cannot be read: {error.strerror}") from None
    if b"PRIVATE KEY-----" not in data:
        raise KeyUnusable("there is no private key in it, nor in an SSH agent")
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        raise KeyUnusable(f"others can read it: chmod 600 {file}")
    return data


def open_private(data: bytes, passphrase: str | None = None) -> asyncssh.SSHKey | None:
    """Returns the private key in the text of its file; None if the key needs a passphrase and `passphrase` is None.
    Raises KeyUnusable for a wrong passphrase or a bad key. Blocks for 0.1 s and more (bcrypt, the checks of a long
    RSA key).
    """
    try:
        return asyncssh.import_private_key(data, passphrase)
    except _GARBAGE as error:
        if passphrase is not None:
            raise KeyUnusable("the passphrase does not open it") from None
        if str(error).startswith("Passphrase"):
            return None
        raise KeyUnusable(f"it is no private key that can be used: {error}") from None


def problem(file: Path) -> str:
    """Returns why a private key file cannot be used; empty where the key can be used, with or without a passphrase."""
    try:
        open_private(read_private(file))
    except KeyUnusable as error:
        return str(error)
    return ""


def _read(file: Path) -> bytes:
    with suppress(OSError):
        if file.is_file():  # and no pipe, which may never say anything
            return file.read_bytes()
    return b""


def _parse(text: bytes) -> PublicKey | None:
    with suppress(*_GARBAGE):
        key = asyncssh.import_public_key(text)
        return PublicKey(key.get_algorithm(), key.public_data, key)
    with suppress(*_GARBAGE):
        certificate = asyncssh.import_certificate(text)
        if not isinstance(certificate, SSHOpenSSHCertificate):
            return None
        shown = certificate.get_algorithm(), certificate.public_data, certificate.key
        try:
            certificate.validate(_USER, None)
        except ValueError as error:
            return PublicKey(*shown, str(error))
        return PublicKey(*shown)
    return None
