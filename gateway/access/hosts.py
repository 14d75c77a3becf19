"""Decides under which names the gateway may be asked, and by which pages."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from gateway.access.peer import Peer

_LOCAL = frozenset({"localhost"})
_NOBODY = frozenset[str]()


class AllowedHosts:
    """Holds the Host and Origin allow-lists. Exact names with their ports: comparing Origin with Host alone
    would let a rebound DNS name through, since both carry it. On the Unix socket, where no browser and no
    proxy has business, the name is `localhost` and there are no Origins.
    """

    def __init__(
        self, listening: Iterable[str], public_url: str, hosts: Iterable[str], origins: Iterable[str]
    ) -> None:
        public = urlsplit(public_url).netloc
        self._hosts = {name.lower() for name in (*listening, *hosts, public) if name}
        self._origins = {name.lower().rstrip("/") for name in origins}
        self._origins |= {f"http://{name.lower()}" for name in (*listening, *hosts)}
        if public_url:
            parts = urlsplit(public_url)
            self._origins.add(f"{parts.scheme}://{parts.netloc}".lower())

    def refuse(self, peer: Peer) -> str | None:
        """Returns why a request may not come from where it says it comes; None when it may."""
        names, pages = (self._hosts, self._origins) if peer.uid is None else (_LOCAL, _NOBODY)
        hosts = peer.all("Host")
        if len(hosts) != 1 or hosts[0].lower() not in names:
            return "the Host header is not one of this gateway's names: set DAP_GATEWAY_ALLOWED_HOSTS"
        origins = peer.all("Origin")
        if any(origin.lower() not in pages for origin in origins):
            return "the Origin is not allowed: set DAP_GATEWAY_ALLOWED_ORIGINS"
        site = peer.first("Sec-Fetch-Site", "none")
        mode = peer.first("Sec-Fetch-Mode")
        if site not in ("none", "same-origin") and mode != "navigate" and not origins:
            return "a request from another site"
        return None
