"""Holds what the server asks about each request: whose token it carries, and whether its Host and Origin are
allowed.
"""

from dataclasses import dataclass

from gateway.access.hosts import AllowedHosts
from gateway.access.tokens import Tokens


@dataclass
class Access:
    """Holds the tokens and the allow-lists of one gateway."""

    tokens: Tokens
    hosts: AllowedHosts
