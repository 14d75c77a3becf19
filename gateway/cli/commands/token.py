"""Does `dap token` where settings say which gateway to ask, or its Unix socket is nowhere usual."""

import hashlib
from typing import Any

from gateway.cli import token
from gateway.client import http
from gateway.client.endpoint import Endpoint, needed
from gateway.settings.loader import load
from gateway.settings.paths import state_dir

_PATH, _CREATED = "/gateway/v1/short-token", 201


def show() -> None:
    """Prints an ExecCredential with a short-lived token. Raises GatewayFailed, ConfigError, OSError."""
    endpoint = needed(load())
    directory = state_dir()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    print(
        token.credential(token.get(str(directory), _asked(endpoint), lambda: _ask(endpoint), endpoint.login))
    )


def _asked(endpoint: Endpoint) -> str:
    """Returns what tells this gateway and credential from others."""
    if endpoint.socket:
        return token.source(str(endpoint.socket))
    secret = hashlib.sha256(endpoint.token.encode()).hexdigest()
    return endpoint.url if endpoint.login else f"{endpoint.url} {secret}"


def _ask(endpoint: Endpoint) -> dict[str, Any]:
    answer = http.answered(endpoint, "POST", _PATH, _CREATED)
    if not {"token", "expires", "expiresIn"} <= answer.keys():
        raise http.unreadable(_PATH)
    return answer
