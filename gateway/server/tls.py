"""The listener with TLS: where it listens, under which names, and the protocol of its connections."""

import asyncio
import hashlib
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import cast
from urllib.parse import urlsplit

import structlog

from gateway.errors import ConfigError, why
from gateway.protocol.loopback import LOOPBACK
from gateway.server import listen, listen_names
from gateway.server.certificates import CertificateFiles, Certificates, OwnLeaves, Source
from gateway.server.connection import Connection
from gateway.settings.config import Config
from gateway.settings.paths import expand

log = structlog.get_logger()
_SETTING = "gateway.tls_listen"


@dataclass(frozen=True)
class TlsListener:
    """Holds what listens with TLS. `hosts`: the Host headers that mean it, the nicest first; `missing`: why nothing
    listens; empty where something does. `names`: what a certificate of our own authority is for.
    """

    sockets: tuple[socket, ...] = ()
    hosts: tuple[str, ...] = ()
    certificates: Certificates | None = None
    missing: str = ""
    names: tuple[str, ...] = ()

    @property
    def ca(self) -> str:
        """Returns the certificate that clients have to trust, in PEM; empty for what the system trusts."""
        return self.certificates.ca if self.certificates else ""

    @property
    def urls(self) -> tuple[str, ...]:
        """Returns the URLs that lead here."""
        return tuple(f"https://{host}" for host in self.hosts)

    def pin(self, url: str) -> str:
        """Returns the SHA-256 of the certificate that clients at `url` have to trust; empty where they need not be told,
        or something else may stand there, with a certificate of its own.
        """
        parts = urlsplit(url)
        ours = parts.hostname in self.names and any(
            (parts.port or 443) == bound.getsockname()[1] for bound in self.sockets
        )
        if parts.scheme != "https" or not ours or not self.ca:
            return ""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.ca)).hexdigest()

    def protocol(self, connection: Connection) -> asyncio.BaseProtocol:
        """Returns the protocol of a connection that begins with a handshake."""
        assert self.certificates
        return _Tls(self.certificates.context, connection)


@contextmanager
def tls_listener(config: Config, directory: Path | None) -> Iterator[TlsListener]:
    """Yields what listens with TLS until the block ends. `directory`: where our own authority is kept. Raises ConfigError
    where the listener was asked for by name and cannot be; by default it is left out with a warning.
    """
    if config.tls_listen == listen_names.OFF:
        yield TlsListener(missing="gateway.tls_listen is none")
        return
    with ExitStack() as stack:
        try:
            sockets = stack.enter_context(listen.secure(config.tls_listen))
            found = _listener(config, sockets, directory)
        except ConfigError as error:
            if _named(config):
                raise
            log.warning("no_tls", why=str(error), lost="kubectl: it sends no credential without TLS")
            found = TlsListener(missing=str(error))
            stack.close()
        yield found


def _named(config: Config) -> bool:
    keys = (_SETTING, "gateway.tls_cert", "gateway.tls_key")
    return any(config.origins.get(key, "default") != "default" for key in keys)


def _listener(config: Config, sockets: list[socket], directory: Path | None) -> TlsListener:
    hosts = listen_names.hosts(config.tls_listen, sockets, default_port=443)
    named = [listen_names.host_of(name) for name in config.allowed_hosts]
    names = ["localhost", *LOOPBACK, listen_names.secure_names(config.tls_listen)[0], *named]
    try:
        certificates = Certificates(_source(config, directory, names))
    except OSError as error:
        at = f"{error.filename}: " if error.filename else ""
        raise ConfigError(f"no certificate for TLS: {at}{why(error)}") from None
    return TlsListener(tuple(sockets), tuple(hosts), certificates, names=tuple(names))


def _source(config: Config, directory: Path | None, names: list[str]) -> Source:
    if config.tls_cert and config.tls_key:
        return CertificateFiles(expand(config.tls_cert), expand(config.tls_key))
    if config.tls_cert or config.tls_key:
        raise ConfigError("gateway.tls_cert and gateway.tls_key belong together: set both, or neither")
    names = [name for name in names if name not in listen_names.EVERYWHERE]
    try:
        return OwnLeaves(directory, names)
    except OSError as error:
        log.warning("tls_ca_not_kept", directory=str(directory), why=why(error))
        return OwnLeaves(None, names)


class _Tls(SSLProtocol):
    """Counts a connection from its first byte on, and not only once its handshake is done, as asyncio's own would."""

    # bytes of the buffer for what arrives, which each connection has: a whole record and a half; asyncio's own has 256 KiB
    max_size = 24 * 1024

    def __init__(self, context: ssl.SSLContext, connection: Connection) -> None:
        super().__init__(
            asyncio.get_running_loop(), connection, context, None,  # type: ignore[arg-type]  # nobody waits: asyncio asks for None
            server_side=True,
            ssl_shutdown_timeout=connection.limits.unread,
        )  # fmt: skip
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol. The connection has its limits of time and number from here on."""
        self._connection.accepted(cast("asyncio.Transport", transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol. A connection whose handshake has failed is told here, and nowhere else."""
        super().connection_lost(exc)
        self._connection.closed()
