"""Holds what the server asks about each request: whose token it carries, and whether its Host and Origin are
allowed.
"""

from dataclasses import dataclass, field

from gateway.access.hosts import AllowedHosts
from gateway.access.tokens import Tokens
from gateway.access.wrong_tokens import WrongTokens


@dataclass
class Access:
    """Holds the tokens and the allow-lists of one gateway, and who tried wrong tokens lately."""

    tokens: Tokens
    hosts: AllowedHosts
    wrong: WrongTokens = field(default_factory=WrongTokens)
