"""Makes the certificates of a gateway that was given none: an authority of its own, kept in the state directory, and short
leaves that the authority signs.
"""

import datetime as dt
import ipaddress
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import ConfigError

LEAF_LIFE = dt.timedelta(days=30)
BEFORE = dt.timedelta(hours=1)  # that a leaf is good before it was made: clocks differ
_CA_LIFE = dt.timedelta(days=3650)
_CA_BEFORE = dt.timedelta(days=1)
_CA_LEFT = dt.timedelta(days=365)  # an authority that is good for less is made anew at a start
_NAME = "dap gateway"


@dataclass(frozen=True)
class OwnCa:
    """Signs leaves for one user's gateways."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Returns the authority's certificate, which clients trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def leaf(self, names: Iterable[str], now: dt.datetime) -> tuple[bytes, dt.datetime]:
        """Returns key and certificate of a new leaf for these names and addresses, in PEM, and when the leaf ends."""
        key, ends = ec.generate_private_key(ec.SECP256R1()), now + LEAF_LIFE
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = (
            _builder(_NAME, self.certificate.subject, key, now - BEFORE, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
            .add_extension(authority, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _pem(key) + made.public_bytes(serialization.Encoding.PEM), ends

    def lasts(self, now: dt.datetime) -> bool:
        """Returns True if the authority is good now, and for long enough."""
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return begins <= now <= ends - _CA_LEFT


def load_or_make(directory: Path, now: dt.datetime) -> OwnCa:
    """Returns the authority that is kept in `directory`, made at the first start, its key 0600. Raises ConfigError for a
    file that others can read or that has no authority, and OSError where none can be kept.
    """
    path = directory / "ca.pem"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if (found := _load(path)).lasts(now):
            return found
        path.unlink(missing_ok=True)  # another process may have done so
    _store(path, make(now))
    return _load(path)  # another process may have been faster


def make(now: dt.datetime) -> OwnCa:
    """Returns a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"{_NAME}'s own authority"
    made = (
        _builder(name, None, key, now - _CA_BEFORE, now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )
    return OwnCa(made, key)


def _load(path: Path) -> OwnCa:
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others: run 'chmod 600 {path}'")
    text = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(text, None)
        certificate = x509.load_pem_x509_certificate(text)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return OwnCa(certificate, key)
    except (ValueError, TypeError):
        pass
    raise ConfigError(f"{path} holds no authority: remove it, and the next start makes one")


def _store(path: Path, authority: OwnCa) -> None:
    """Stores the authority whole, unless there is one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_pem(authority.key) + authority.pem.encode("ascii"))
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def _builder(
    name: str,
    issuer: x509.Name | None,
    key: ec.EllipticCurvePrivateKey,
    begins: dt.datetime,
    ends: dt.datetime,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*allowed: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


def _general(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            with suppress(ValueError):  # what no certificate can hold, no client asks for either
                found.append(x509.DNSName(name))
    return found


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
