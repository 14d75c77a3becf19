"""Finds the address of a client behind proxies. What X-Forwarded-For and Forwarded say counts where a trusted proxy has
sent it, and only as far as trusted proxies wrote it: clients send such headers, too.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gateway.access.peer import Peer

_HOPS = 20  # entries that are looked at; a longer way through trusted proxies is none
# an address, perhaps with a port, as proxies write it; which digits are an address is ipaddress' to say
_NODE = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+))(?::\d{1,5})?|(?P<bare>[0-9a-fA-F:.]+)")
_VALUE = r"""(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*")"""
_PAIR = re.compile(rf"(\w+)=({_VALUE})", re.ASCII)
_ELEMENT = re.compile(rf"\w+={_VALUE}(?:\s*;\s*\w+={_VALUE})*", re.ASCII)
Address = IPv4Address | IPv6Address


class TrustedProxies:
    """Holds the networks of the proxies that are trusted; by default none. On the Unix socket no proxy is: whoever sends a
    request there is the user of that process.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(one) for one in networks]

    def trusts(self, address: str) -> bool:
        """Returns True for the address of a trusted proxy."""
        found = _address(address) if self._networks else None
        return found is not None and self._within(found)

    def client(self, peer: Peer) -> str:
        """Returns the address of the client: the rightmost that is no trusted proxy's, or the leftmost where each is one.

        That is the socket's own where this one is not trusted, where an entry that counts is no address, and where the
        two headers do not agree: a proxy passes on what a client wrote in the header that the proxy does not write.
        """
        lines = {_node: peer.all("X-Forwarded-For"), _for: peer.all("Forwarded")}
        if not any(lines.values()) or not self.trusts(peer.address):
            return peer.address
        found = {self._client(said, read) for read, said in lines.items() if said}
        client = found.pop()
        return peer.address if found or client is None else str(client)

    def _client(self, lines: list[str], read: Callable[[str], Address | None]) -> Address | None:
        client = None
        for entry in reversed(",".join(lines).rsplit(",", _HOPS)):  # what a client wrote is on the left
            client = read(entry.strip())
            if client is None or not self._within(client):
                break
        return client

    def _within(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _node(text: str) -> Address | None:
    """Returns the address in an entry of X-Forwarded-For; None for anything else."""
    found = _NODE.fullmatch(text)
    return _address(found["six"] or found["four"] or found["bare"]) if found else None


def _for(element: str) -> Address | None:
    """Returns the address in an element of Forwarded (RFC 7239, 4); None for anything else, such as a hidden name."""
    pairs = _PAIR.findall(element) if _ELEMENT.fullmatch(element) else []
    nodes = [value.strip('"') for name, value in pairs if name.lower() == "for"]
    return _node(nodes[0]) if len(nodes) == 1 else None
