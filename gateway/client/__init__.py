"""Provides the Python library for programs that use a gateway; `dap` stands on its modules. A program begins with

    async with connect() as gateway:                # with connect_sync() as gateway: the same, and it blocks
        pod = gateway.pod("deploy/api", namespace="shop")
        done = await pod.run(["cat", "/etc/os-release"], check=True, text=True)

`connect` finds the gateway as `dap` does: the one that runs here, the one that DAP_GATEWAY_URL names, or one of its own.
A `Pod` is a description; `run` gives a `Completed`, `exec` a `Running`, `logs` yields `LogLine`s, `upload` and `download` a
`CopyResult`; a `Gateway` has `curl`, `request`, `port_forward`, `kubectl`, `get` and the `runner`. What fails is a `DapError`
with the outcome's `code` and `hop`; settings of no use are a `ConfigError`. hack/examples has programs to start from.

The names are loaded when they are first used, since each command of `dap` starts with this module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.client.curl.failure import CurlFailed
    from gateway.client.exit_status import GatewayFailed
    from gateway.client.library.blocking import BlockingGateway, BlockingPod, connect_sync
    from gateway.client.library.connect import Gateway, HttpReply, connect
    from gateway.client.library.forwarded import Forwarded
    from gateway.client.library.pod import Pod
    from gateway.client.library.running import CommandFailed, Completed, Running
    from gateway.client.logs.lines import LogLine
    from gateway.copying.entries import CopyFailed, CopyResult
    from gateway.errors import ConfigError, DapError, HopFailed, Refused

__all__ = [
    "BlockingGateway", "BlockingPod", "CommandFailed", "Completed", "ConfigError", "CopyFailed", "CopyResult", "CurlFailed",
    "DapError", "Forwarded", "Gateway", "GatewayFailed", "HopFailed", "HttpReply", "LogLine", "Pod", "Refused", "Running",
    "connect", "connect_sync",
]  # fmt: skip
_MODULES = {
    "gateway.copying.entries": ("CopyFailed", "CopyResult"),
    "gateway.client.curl.failure": ("CurlFailed",),
    "gateway.client.exit_status": ("GatewayFailed",),
    "gateway.client.library.blocking": ("BlockingGateway", "BlockingPod", "connect_sync"),
    "gateway.client.library.connect": ("Gateway", "HttpReply", "connect"),
    "gateway.client.library.forwarded": ("Forwarded",),
    "gateway.client.library.pod": ("Pod",),
    "gateway.client.library.running": ("CommandFailed", "Completed", "Running"),
    "gateway.client.logs.lines": ("LogLine",),
    "gateway.errors": ("ConfigError", "DapError", "HopFailed", "Refused"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
