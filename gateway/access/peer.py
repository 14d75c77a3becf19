"""Describes who is at the other end of a request, as far as a server can see it: what every decision here is
made from.
"""

from dataclasses import dataclass

AGENT = 200  # characters of a user agent


@dataclass(frozen=True)
class Peer:
    """Describes the other end of one request. `uid`: of the process at the other end of the Unix socket, None
    over TCP; `lines`: the header lines as they came, (name, value); `address`: its IP address, behind a trusted proxy
    the client's, empty on the Unix socket; `tls`: the request came over the gateway's own TLS.
    """

    uid: int | None
    lines: tuple[tuple[str, str], ...]
    address: str = ""
    tls: bool = False

    @property
    def agent(self) -> str:
        """Returns the first AGENT characters of the user agent, as the client sent them; empty where it sent none."""
        return self.first("User-Agent")[:AGENT]

    def all(self, name: str) -> list[str]:
        """Returns the values of all lines of a header, in their order."""
        wanted = name.lower()
        return [value for line, value in self.lines if line.lower() == wanted]

    def first(self, name: str, default: str = "") -> str:
        """Returns the value of the header's first line, or `default` where there is none."""
        return next(iter(self.all(name)), default)
