"""Holds what the server asks about each request: whose token it carries, whether its Host and Origin are allowed, and
from where it comes.
"""

from dataclasses import dataclass, field

from gateway.access.forwarded import TrustedProxies
from gateway.access.hosts import AllowedHosts
from gateway.access.tokens import Tokens
from gateway.access.wrong_tokens import WrongTokens


@dataclass
class Access:
    """Holds the tokens, the allow-lists and the proxies of one gateway, and who tried wrong tokens lately."""

    tokens: Tokens
    hosts: AllowedHosts
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    wrong: WrongTokens = field(default_factory=WrongTokens)
