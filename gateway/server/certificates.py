"""Keeps the certificate of the TLS listener: a leaf of our own authority, renewed before it ends, or files, read again when
they change. New connections get the new certificate; those that are open keep theirs.
"""

import asyncio
import datetime as dt
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.access import own_ca
from gateway.errors import ConfigError, why

log = structlog.get_logger()
LOOK = 2.0  # seconds between looks whether the certificate has to be another
RENEW = dt.timedelta(days=10)  # before a leaf ends
_MOST = 1 << 20  # bytes of a file


class Source(Protocol):
    """Makes contexts for TLS connections. `ca`: the certificate that clients trust, in PEM; empty where it is the
    system's business.
    """

    ca: str

    def due(self) -> bool:
        """Returns True if the context that was made last has to be another."""
        ...

    def context(self) -> ssl.SSLContext:
        """Returns a new context. Raises OSError, ConfigError."""
        ...


class OwnLeaves:
    """Makes leaves of our own authority for `names`. `directory`: where the authority is kept, or None for one of this
    process. Raises ConfigError, OSError.
    """

    def __init__(
        self, directory: Path | None, names: Sequence[str], clock: Callable[[], float] = time.time
    ) -> None:
        self._names = names
        self._clock = clock
        self._authority = (
            own_ca.load_or_make(directory, self._now()) if directory else own_ca.make(self._now())
        )
        self._made = self._ends = self._now()
        self.ca = self._authority.pem

    def due(self) -> bool:
        """See Source. A clock that was set back makes a leaf one of the future."""
        now = self._now()
        return now < self._made - own_ca.BEFORE or now > self._ends - RENEW

    def context(self) -> ssl.SSLContext:
        """See Source."""
        now = self._now()
        pem, ends = self._authority.leaf(self._names, now)
        # the ssl module reads files only; this one is 0600 and gone at once
        with tempfile.NamedTemporaryFile(prefix="dap-tls-") as file:
            file.write(pem)
            file.flush()
            context = _context(file.name, None)
        self._made, self._ends = now, ends
        return context

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)


class CertificateFiles:
    """Reads a certificate with its chain, and its key, from files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._read: object = None
        self.ca = ""

    def due(self) -> bool:
        """See Source. Files that could not be used are read again once they have changed."""
        return self._stamp() != self._read

    def context(self) -> ssl.SSLContext:
        """See Source."""
        self._read = self._stamp()
        certificate, key = self._paths
        for path in self._paths:
            with path.open("rb") as file:  # so that the error names the file
                file.read(1)
        try:
            context = _context(str(certificate), str(key))
        except ssl.SSLError as error:
            raise ConfigError(
                f"{certificate} and {key} are no certificate and its key: {why(error)}"
            ) from None
        self.ca = _root(certificate)
        return context

    def _stamp(self) -> object:
        found: list[object] = []
        for path in self._paths:
            try:
                at = path.stat()
            except OSError as error:
                found.append(error.errno)
            else:
                found.append((at.st_dev, at.st_ino, at.st_mtime_ns, at.st_size))
        return found


class Certificates:
    """Holds the context with which a new connection begins. Raises ConfigError, OSError where there is none yet."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.context = source.context()
        self._failed = False

    @property
    def ca(self) -> str:
        """Returns the certificate that clients trust, in PEM; empty where it is the system's business."""
        return self.source.ca

    def look(self) -> None:
        """Replaces the context where it is due. Keeps the old one, and logs it once, where the new one cannot be used."""
        if not self.source.due():
            return
        try:
            self.context = self.source.context()
        except (OSError, ConfigError) as error:
            if not self._failed or isinstance(self.source, CertificateFiles):
                log.warning(
                    "tls_certificate_kept", why=str(error) if isinstance(error, ConfigError) else _said(error)
                )
            self._failed = True
        else:
            self._failed = False
            log.info("tls_certificate_replaced")

    async def keep(self) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(LOOK)
            self.look()


def _said(error: OSError) -> str:
    return f"{error.filename}: {why(error)}" if error.filename else why(error)


def _context(certificate: str, key: str | None) -> ssl.SSLContext:
    def no_password() -> str:
        raise ConfigError(f"{key or certificate} is locked with a passphrase: give the key without one")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key, no_password)
    return context


def _root(path: Path) -> str:
    """Returns the last certificate of a file where nothing else signed it, so that clients have to be told to trust it."""
    try:
        with path.open("rb") as file:
            last = x509.load_pem_x509_certificates(file.read(_MOST))[-1]
    except (OSError, ValueError):
        return ""
    own = last.issuer == last.subject
    return last.public_bytes(Encoding.PEM).decode("ascii") if own else ""
