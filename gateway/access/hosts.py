"""Decides under which names the gateway may be asked, and by which pages."""

import re
from collections.abc import Iterable

from gateway.access.peer import Peer
from gateway.protocol.loopback import is_loopback

_LOCAL = frozenset({"localhost"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@,\[\]]+)(?::([1-9][0-9]{0,4}))?")
_PORTS = {"http": 80, "https": 443}


class AllowedHosts:
    """Holds the Host and Origin allow-lists: names with their ports, since comparing Origin with Host alone would let a
    rebound DNS name through, which is in both. A loopback name cannot be rebound: it is good with any port, as behind
    `ssh -L`, for the page that it names. On the Unix socket, where no browser and no proxy has business, the name is
    `localhost` and there are no Origins. `secure`: the names of the listener with TLS.
    """

    def __init__(
        self,
        listening: Iterable[str],
        public_url: str,
        hosts: Iterable[str],
        origins: Iterable[str],
        secure: Iterable[str] = (),
    ) -> None:
        named, secure = (*listening, *hosts), tuple(secure)
        # as most clients write them: to read a name and its address takes a request's time otherwise
        self._written = {name.lower() for name in (*named, *secure) if _places(name)}
        self._hosts = {place for name in named for place in _places(name)}
        self._hosts |= {place for name in secure for place in _places(name, "https")}
        self._origins = {_origin(text) for text in (*origins, *(f"http://{name}" for name in named))}
        self._origins |= {_origin(f"https://{name}") for name in secure}
        if public_url:
            scheme, _, rest = public_url.partition("://")
            self._hosts |= _places(rest.partition("/")[0], scheme.lower())
            self._origins.add(_origin(f"{scheme}://{rest.partition('/')[0]}"))

    def refuse(self, peer: Peer, *, any_host: bool = False) -> str | None:
        """Returns why a request may not come from where it says it comes; None when it may. `any_host`: the answer is
        the same for everybody, whatever they call the gateway.
        """
        hosts = [host.lower() for host in peer.all("Host")]
        if not any_host and (len(hosts) != 1 or not self._named(hosts[0], peer)):
            return "the Host header is not one of this gateway's names: set DAP_GATEWAY_ALLOWED_HOSTS"
        origins = peer.all("Origin")
        if not all(self._from(origin, hosts, peer) for origin in origins):
            return "the Origin is not allowed: set DAP_GATEWAY_ALLOWED_ORIGINS"
        site = peer.first("Sec-Fetch-Site", "none")
        mode = peer.first("Sec-Fetch-Mode")
        if site not in ("none", "same-origin") and mode != "navigate" and not origins:
            return "a request from another site"
        return None

    def _named(self, host: str, peer: Peer) -> bool:
        if peer.uid is not None:
            return host in _LOCAL
        return host in self._written or _is_loopback(host) or not self._hosts.isdisjoint(_places(host))

    def _from(self, origin: str, hosts: list[str], peer: Peer) -> bool:
        if peer.uid is not None:
            return False
        page = _origin(origin)
        scheme = "https" if peer.tls else "http"
        own = len(hosts) == 1 and _is_loopback(hosts[0]) and page == _origin(f"{scheme}://{hosts[0]}")
        return own or page in self._origins


def _is_loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found[1].strip("[]"))


def _places(name: str, scheme: str = "") -> set[tuple[str, int]]:
    """Returns host and port of a Host header; without a port those that a scheme may mean, or the one that `scheme`
    means. Nothing for what is no Host header.
    """
    found = _HOST.fullmatch(name.lower())
    if found is None:
        return set()
    ports = [int(found[2])] if found[2] else [_PORTS[scheme]] if scheme in _PORTS else _PORTS.values()
    return {(found[1].removesuffix("."), port) for port in ports}


def _origin(text: str) -> str:
    """Returns an Origin in one form: lower case, with its port, without the dot of a full name. An Origin of another
    scheme stays as it is.
    """
    text = text.lower().rstrip("/")
    scheme, _, host = text.partition("://")
    if scheme not in _PORTS or not (place := next(iter(_places(host, scheme)), None)):
        return text
    return f"{scheme}://{place[0]}:{place[1]}"
