"""Links that open the page in a browser."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass
class PageLinks:
    """Makes links to the page, which dap login takes, too. `base`: what each link begins with; known once the gateway
    listens. `pin`: the SHA-256 of the certificate that clients have to trust there; empty for what the system trusts.
    """

    base: str = "http://localhost"
    pin: str = ""

    def url(self, ticket: str, path: str = "") -> str:
        """Returns a URL for a browser. The ticket is in the fragment, which no server, proxy or Referer gets to see."""
        fields = (
            f"path=/{quote(path.strip('/'))}" if path else "",
            f"ca=sha256:{self.pin}" if self.pin else "",
        )
        return "&".join([f"{self.base}/#ticket={ticket}", *filter(None, fields)])
