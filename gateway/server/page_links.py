"""Links that open the page in a browser."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass
class PageLinks:
    """Makes links to the page. `base`: what each link begins with; known once the gateway listens."""

    base: str = "http://localhost"

    def url(self, ticket: str, path: str = "") -> str:
        """Returns a URL for a browser. The ticket is in the fragment, which no server, proxy or Referer gets to see."""
        return f"{self.base}/#ticket={ticket}" + (f"&path=/{quote(path.strip('/'))}" if path else "")
