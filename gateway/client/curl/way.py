"""Finds the way to a URL: from the cluster's runner, or through the cluster's API to a service or a pod (the API's `proxy`
subresource, k8s.io/api/core/v1).
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from gateway.client.curl.failure import CERTIFICATE, CONNECT, NAME, TLS, UNSUPPORTED, URL, CurlFailed
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import Connection
from gateway.client.exit_status import GatewayFailed
from gateway.client.runner_dial import from_runner
from gateway.client.stream import dialled
from gateway.client.tls import trusting
from gateway.dial import host_port
from gateway.errors import why

_KINDS = {
    "svc": "services",
    "service": "services",
    "services": "services",
    "po": "pods",
    "pod": "pods",
    "pods": "pods",
}
_OBJECT = re.compile(rf"({'|'.join(_KINDS)})/([^/?#]+)(/[^?#]*)?(\?[^#]*)?(#.*)?", re.DOTALL)
_PORTS = {"http": 80, "https": 443}
_HANDSHAKE = 30.0  # seconds for TLS
_CODES = {"address_unknown": NAME, "address_unreachable": CONNECT}
_KEPT = "/!$&'()*+,;=:@%~"  # of a path, as it was written


@dataclass(frozen=True)
class Trust:
    """Says whom to believe. `insecure`: anybody; `ca`: a file with the authorities to trust in place of the system's;
    `resolve`: addresses by (host, port), in place of those that the runner finds.
    """

    insecure: bool = False
    ca: str = ""
    resolve: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def context(self) -> ssl.SSLContext:
        """Returns what TLS begins with. Raises OSError for a file that cannot be used."""
        context = trusting(cafile=self.ca or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        return context


@dataclass(frozen=True)
class Place:
    """Holds where a URL leads. `target`: path and query; `user`: the credential in the URL, if there is one; `api`: True for
    an object behind the cluster's API, whose `host` is its name.
    """

    scheme: str
    host: str
    port: int
    target: str
    user: str = ""
    api: bool = False

    @property
    def authority(self) -> str:
        """Returns the Host header's value."""
        return (
            self.host
            if self.port == _PORTS[self.scheme] and ":" not in self.host
            else host_port(self.host, self.port)
        )


def parse(url: str, namespace: str) -> Place:
    """Returns where a URL leads; `svc/NAME[:PORT]/PATH` and `pod/NAME[:PORT]/PATH` lead to the API's proxy. Raises CurlFailed."""
    if any(char.isspace() or not char.isprintable() for char in url):
        raise CurlFailed(URL, f"{url!a} is no URL: write a space as %20")
    if found := _OBJECT.fullmatch(url):
        kind, name, path, query, _ = found.groups()
        words = ("api", "v1", "namespaces", namespace, _KINDS[kind], name, "proxy")
        prefix = "/".join(quote(word, safe=":") for word in words)
        return Place("http", f"{kind}/{name}", 80, f"/{prefix}{_target(path or '/', query or '')}", api=True)
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CurlFailed(URL, f"{url!a} is no URL: {error}") from None
    if parts.scheme not in _PORTS:
        raise CurlFailed(UNSUPPORTED, f"the protocol {parts.scheme!a} is not supported: use http or https")
    if not host:
        raise CurlFailed(URL, f"{url!a} names no host")
    given = parts.netloc.rpartition("@")[0]
    user = unquote(given if not given or ":" in given else f"{given}:")  # as curl has it: an empty password
    target = _target(parts.path or "/", f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port or _PORTS[parts.scheme], target, user)


def _target(path: str, query: str) -> str:
    """Returns path and query as they are sent: without `..`, and ASCII."""
    if "/." in path and not path.startswith("//"):
        path = urlsplit(urljoin("http://x/", path)).path
    return quote(path, safe=_KEPT) + quote(query, safe=_KEPT + "?")


@asynccontextmanager
async def connected_to(
    endpoint: Endpoint, cluster: str, place: Place, trust: Trust
) -> AsyncIterator[Connection]:
    """Opens a connection to the place, TLS included. Raises CurlFailed, GatewayFailed where a hop of ours is the reason."""
    if place.api:
        async with dialled(endpoint) as (reader, writer):
            yield Connection(reader, writer)
        return
    host = trust.resolve.get((place.host, place.port), place.host)
    try:
        async with from_runner(endpoint, cluster, host, place.port) as made:
            yield await _with_tls(Connection(made.reader, made.writer, made.early), place, trust)
    except GatewayFailed as error:
        if error.code not in _CODES:
            raise
        reason = error.message.partition("cannot be reached: ")[2] or error.message
        raise CurlFailed(_CODES[error.code], f"{host_port(host, place.port)}: {reason}") from None


async def _with_tls(made: Connection, place: Place, trust: Trust) -> Connection:
    if place.scheme != "https":
        return made
    try:
        await made.writer.start_tls(
            trust.context(), server_hostname=place.host, ssl_handshake_timeout=_HANDSHAKE
        )
    except ssl.SSLCertVerificationError as error:
        message = f"the server's certificate is not trusted: {error.verify_message} (--cacert FILE names an authority, -k trusts any)"
        raise CurlFailed(CERTIFICATE, message) from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise CurlFailed(TLS, f"TLS could not be begun: {why(error)}") from None
    return Connection(made.reader, made.writer)
