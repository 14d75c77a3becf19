"""Builds the command line of kubectl proxy, and interprets the end of a proxy that did not start."""

import errno
from collections.abc import Mapping
from typing import Any

from gateway.backends.kube import kubectl
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target

# kubectl proxy refuses exec and attach by itself where nobody says which paths it is to refuse
_PATHS = ("--accept-paths=^/(api|apis|version|openapi)(/.*)?$", "--reject-paths=^$")


def request(begin: tuple[str, ...], *more: str) -> dict[str, Any]:
    """Returns the part of a relay's request that names the proxy. `begin`: see `Cluster.kubectl_argv`; `more`: options."""
    return {"argv": [*begin, "proxy", *more, *_PATHS], "kubeconfig": len(begin)}


def explain(exit_: Mapping[str, Any], output: bytes) -> HopFailed:
    """Returns the error that says why the proxy does not listen. `exit_`: what EXIT said; `output`: what kubectl wrote."""
    if exit_.get("errno") == errno.ENOENT:
        return HopFailed("kubectl_missing", kubectl.MISSING)
    if exit_.get("errno") == errno.ETIMEDOUT:
        return HopFailed("kubectl_failed", str(exit_.get("error")))
    if "code" not in exit_ and "signal" not in exit_:
        return HopFailed("relay_failed", f"kubectl proxy could not be started: {exit_.get('error')}")
    ended = kubectl.explain(int(exit_.get("code") or 1), output, Target(""), Command(stdout=True))
    return HopFailed(ended.code, ended.message, ended.status)
