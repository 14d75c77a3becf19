"""Reads which gateway a URL names, and what opens it: a token that was given, or a login."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.client import logins
from gateway.errors import ConfigError, why
from gateway.masking import mask_url
from gateway.protocol.loopback import is_loopback
from gateway.settings.config import Config
from gateway.settings.paths import expand

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class Credential:
    """Holds the token for a gateway, the authority to trust there, in PEM, and the login's public name, if it is one's."""

    token: str = field(repr=False)
    ca: str = field(default="", repr=False)
    login: str = ""


def gateway_url(text: str, what: str) -> str:
    """Returns the URL of a gateway in one spelling: with http or https, in lower case but for the path, without the usual
    port and a slash at its end. `what`: names the text in the ConfigError for a URL of no use.
    """
    shown = mask_url(text)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    scheme = _SCHEMES.get(parts.scheme)
    if not scheme or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"{what} is {shown!r}: use a URL such as https://dap.example.com")
    if scheme == "http" and not is_loopback(host):
        raise ConfigError(f"{what} is {shown!r}: beyond this machine use https, for the token's sake")
    where = parts.netloc.lower().removesuffix(_PORTS[scheme])
    return f"{scheme}://{where}{parts.path.rstrip('/')}"


def credential(config: Config, url: str) -> Credential | None:
    """Returns what opens the gateway at `url`: the token of the settings, else a login's. Raises ConfigError."""
    login = logins.find(url)
    if config.token:
        return Credential(config.token, authority(config) or (login.ca if login else ""))
    return of_login(config, login) if login else None


def of_login(config: Config, login: logins.Login) -> Credential:
    """Returns what opens the gateway that one is signed in to. Raises ConfigError."""
    return Credential(login.token, authority(config) or login.ca, login.name)


def authority(config: Config) -> str:
    """Returns the certificates that the settings say are to be trusted alone, in PEM; empty where they name none. Raises
    ConfigError.
    """
    if not config.ca:
        return ""
    path = expand(config.ca)
    try:
        found = _CERTIFICATE.findall(path.read_text("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"gateway.ca ({config.origins.get('gateway.ca')}): {path}: {why(error)}") from None
    if not found:
        raise ConfigError(f"gateway.ca ({config.origins.get('gateway.ca')}): {path} holds no certificate")
    return "\n".join([*found, ""])


def only_login(config: Config) -> logins.Login | None:
    """Returns the one login there is, for whoever has named no gateway and configured no cluster. Raises ConfigError
    where there are several.
    """
    found = [] if config.clusters or config.token else logins.every()
    if len(found) > 1:
        known = ", ".join(one.url for one in found)
        raise ConfigError(f"you are signed in to several gateways: set DAP_GATEWAY_URL to one of {known}")
    return found[0] if found else None
