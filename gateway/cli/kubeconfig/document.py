"""Makes the kubeconfig of a gateway: where its clusters are, whom to trust there, and the credential plugin, `dap token`."""

import os
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.errors import ConfigError
from gateway.settings.config import DEFAULT, Config
from gateway.settings.paths import expand

_PATH, _OK = "/gateway/v1/kubeconfig", 200


def fetched(config: Config, endpoint: Endpoint, cluster: str) -> dict[str, Any]:
    """Asks the gateway and returns its kubeconfig. `cluster`: whose context is the current one. Raises GatewayFailed,
    and ConfigError for a cluster that is not there.
    """
    answer = http.answered(endpoint, "GET", _PATH, _OK)
    try:
        return document(endpoint, answer, _current(answer, cluster), config.ca)
    except (KeyError, TypeError):
        raise http.unreadable(_PATH) from None


def document(endpoint: Endpoint, answer: dict[str, Any], current: str, ca_file: str) -> dict[str, Any]:
    """Returns the kubeconfig, which is JSON and so YAML, too. `answer`: what the gateway said. Raises GatewayFailed where
    the gateway cannot be reached with TLS.
    """
    server, ca = _server(endpoint, answer)
    at = f"@{server.partition('://')[2]}" if endpoint.login else ""  # a file may hold several of these
    clusters, contexts = [], []
    for one in answer["clusters"]:
        name, where = f"dap-{one['name']}{at}", {"server": server + one["path"]}
        namespace = {"namespace": one["namespace"]} if one["namespace"] else {}
        clusters.append({"name": name, "cluster": where | ca})
        contexts.append({"name": name, "context": {"cluster": name, "user": f"dap{at}"} | namespace})
    return {
        "apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts,
        "users": [{"name": f"dap{at}", "user": _user(endpoint, ca_file)}], "current-context": f"dap-{current}{at}",
    }  # fmt: skip


def _current(answer: dict[str, Any], cluster: str) -> str:
    names = [str(one["name"]) for one in answer["clusters"]]
    if cluster in names:
        return cluster
    if not names or cluster != DEFAULT:
        known = ", ".join(names) or "none"
        raise ConfigError(f"the gateway has no cluster {cluster!r} for you; there are: {known}")
    return names[0]


def _server(endpoint: Endpoint, answer: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Returns the URL for kubectl and the entry with the certificate that it has to trust."""
    if endpoint.socket is None and endpoint.url.startswith("https://"):
        return endpoint.url, _trusted(endpoint.ca)
    if not answer["urls"]:
        why = answer["missing"] or "it has no listener"
        message = f"kubectl sends no credential without TLS, and the gateway has none: {why} (DAP_GATEWAY_TLS_LISTEN)"
        raise GatewayFailed(REFUSED, message)
    return answer["urls"][0], _trusted(answer["ca"])


def _trusted(ca: str) -> dict[str, str]:
    return {"certificate-authority-data": b64encode(ca.encode()).decode()} if ca else {}


def _user(endpoint: Endpoint, ca_file: str) -> dict[str, Any]:
    """Returns who one is: at a gateway of this command's own with its token, which no other process could ask for."""
    if endpoint.socket and endpoint.token:
        return {"token": endpoint.token}
    return {"exec": _plugin(endpoint, ca_file)}


def _plugin(endpoint: Endpoint, ca_file: str) -> dict[str, Any]:
    command, *words = _dap()
    found: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": [*words, "token"],
        "interactiveMode": "Never", "provideClusterInfo": False,
    }  # fmt: skip
    # whatever the shell has set for another gateway does not count for this one
    local = endpoint.socket or endpoint.proves
    env = {"DAP_GATEWAY_URL": "" if local else endpoint.url}
    if endpoint.login:
        env |= {"DAP_GATEWAY_TOKEN": "", "DAP_GATEWAY_CA": ""}
    if ca_file and not local:
        env["DAP_GATEWAY_CA"] = str(expand(ca_file).absolute())
    found["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return found


def _dap() -> list[str]:
    """Returns the absolute path of this program, or, where it was started as a module, of Python with the module."""
    for path in (Path(sys.argv[0]).absolute(), Path(sys.executable).with_name("dap")):
        if path.name != "__main__.py" and path.is_file() and os.access(path, os.X_OK):
            return [str(path)]
    return [sys.executable, "-m", "gateway"]
