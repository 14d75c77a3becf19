"""Takes credentials out of text that people and logs get to see, where other programs put them in."""

import re

MASK = "****"
_USERINFO = re.compile(r"//\S*@")  # up to the last @: a password may hold what it should have escaped
_CREDENTIAL = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic) +|base64url\.bearer\.authorization\.k8s\.io\.|[#?&]ticket=)[^\s'\",;]+"
)


def mask(text: str) -> str:
    """The text without the user information of URLs, without bearer tokens, Basic credentials and tickets."""
    return _CREDENTIAL.sub(rf"\g<scheme>{MASK}", _USERINFO.sub(f"//{MASK}@", text))


def mask_url(url: str) -> str:
    """One URL, or what was meant to be one, without its user information: `user:password@host` has some, too."""
    before, at, host = url.rpartition("@")
    scheme, slashes, _ = before.rpartition("//")
    return f"{scheme}{slashes}{MASK}@{host}" if at else url
