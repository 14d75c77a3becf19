"""TLS in front of a gateway, as a reverse proxy has it: kubectl shows no credential to anything else."""

import datetime as dt
import secrets
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.cuttable import cuttable

FOR_LOCALHOST = x509.SubjectAlternativeName([x509.DNSName("localhost")])


def listener() -> tuple[socket.socket, str]:
    """(a socket, the host:port that clients will name)."""
    one = socket.create_server(("127.0.0.1", 0))
    return one, f"localhost:{one.getsockname()[1]}"


@asynccontextmanager
async def tls_front(listening: socket.socket, url: str) -> AsyncIterator[str]:
    """Bytes to the gateway at `url`; the certificate in PEM."""
    behind = urlsplit(url)
    certificate, context = server_tls()

    async with cuttable(behind.port or 0, behind.hostname or "", listening=listening, tls=context):
        yield certificate


def server_tls() -> tuple[str, ssl.SSLContext]:
    """Returns a new certificate for localhost in PEM, and a server's context that shows it."""
    key, name = new_key(), f"front {secrets.token_hex(4)}"
    certificate = issued(name, key, name, key, FOR_LOCALHOST)
    return certificate, showing(certificate, key)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Returns a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def issued(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuers: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> str:
    """Returns a certificate in PEM, for an hour, with this one extension, that `issuers` key has signed."""
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(extension, critical=False)
        .sign(issuers, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def showing(certificate: str, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    """Returns a server's context that shows the certificate."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:  # the ssl module reads files only
        pair = Path(directory) / "pair"
        pair.write_bytes(certificate.encode() + private)
        context.load_cert_chain(pair)
    return context
