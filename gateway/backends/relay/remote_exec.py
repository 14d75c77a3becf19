"""Asks the cluster's API for a command in a pod, in the API server's own terms, and interprets how the command ended
(kubernetes pkg/registry/core/pod/rest/subresources.go, apimachinery pkg/util/remotecommand).
"""

import errno
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from gateway import __version__
from gateway.backends.kube import answers, kubectl
from gateway.backends.relay import proxy_command
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.status import Status
from gateway.protocol.target import Command, Target

_V5, _V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_UNAUTHORIZED = 401
_NOBODY = "dap-asks-for-no-pod"  # a name that no pod has: the API server answers before anything begins


def possible(target: Target) -> bool:
    """True if the API can be asked for the target: it knows pods alone, not what kubectl finds them by."""
    return bool(target.namespace and target.pod) and "/" not in target.pod


def request(target: Target, command: Command) -> dict[str, Any]:
    """Returns what a relay's request says of the command. Only v5 can say that the input has ended."""
    flags = {
        "stdin": command.stdin or command.tty,
        "stdout": True,
        "stderr": not command.tty,
        "tty": command.tty,
    }
    query = [("container", target.container)] if target.container else []
    query += [(name, "true") for name, wanted in flags.items() if wanted]
    if command.verb == "exec":
        query += [("command", word) for word in kubectl.inside(command)]
    words = urlencode(query, quote_via=quote, safe="")
    return {
        "path": f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}/{command.verb}?{words}",
        "protocols": [_V5] if needs_v5(command) else [_V5, _V4],
        "headers": [
            ["User-Agent", f"dap-gateway/{__version__}"],
            *map(list, command.actor.headers if command.actor else ()),
        ],
        "stdin": command.stdin,
    }


def probe() -> dict[str, Any]:
    """Returns what a relay's request says of a handshake that no API server grants, and answers at once."""
    return request(Target("", "default", _NOBODY), Command(("true",), stdout=True))


def needs_v5(command: Command) -> bool:
    """True if the command's input has an end that is to be sent."""
    return command.stdin and not command.tty


def is_remote(exit_: Mapping[str, Any]) -> bool:
    """True if EXIT is that of a command which the API ran, or was to run."""
    return "generation" in exit_


def answered(exit_: Mapping[str, Any]) -> bool:
    """True if EXIT has the API server's own answer to the handshake: a Status."""
    return "refused" in exit_ and Status.parse(str(exit_.get("body", "")).encode()) is not None


def not_begun(exit_: Mapping[str, Any]) -> bool:
    """True if the command has surely not begun, and nothing but the way to the API server was the reason."""
    return (
        any(key in exit_ for key in ("refused", "other", "proxy"))
        and not answered(exit_)
        and not exit_.get("lost")
    )


def explain(exit_: Mapping[str, Any], target: Target, command: Command) -> Outcome:
    """Returns the outcome of a command whose EXIT is `exit_`, with the API server's own Status where there is one."""
    text = str(exit_.get("status", "")).encode()
    status = Status.parse(text)
    if "code" in exit_:
        outcome = ended(int(exit_["code"]))
        return replace(outcome, status=status) if status else outcome
    if status:
        return _meaning(f"error: {status.message}", status, target, command)
    if "status" in exit_ and not exit_.get("lost"):  # too long for EXIT: `error` has the message's beginning
        return kubectl.explain(1, f"error: {exit_.get('error')}".encode(), target, command)
    if "refused" in exit_:
        return _refused(int(exit_["refused"]), str(exit_.get("body", "")).encode(), exit_, target, command)
    if "proxy" in exit_:
        return _proxy(exit_)
    if exit_.get("errno") == errno.ETIMEDOUT:
        return Outcome("cluster_unreachable", f"the API server: {exit_.get('error')}")
    if exit_.get("lost"):
        age = f", {float(exit_['age']):.0f} s after the command began" if "age" in exit_ else ""
        return Outcome("cluster_lost", f"{exit_.get('error')}{age}")
    return Outcome("relay_failed", str(exit_.get("error")))


def _refused(code: int, body: bytes, exit_: Mapping[str, Any], target: Target, command: Command) -> Outcome:
    status = Status.parse(body)
    if status and code != _UNAUTHORIZED:  # of which kubectl says nothing but its own words
        return _meaning(f"Error from server ({status.reason}): {status.message}", status, target, command)
    if code >= 300:
        return answers.refusal(code, body).outcome()
    return Outcome("cluster_failed", f"the API server opened no WebSocket: {exit_.get('error')}")


def _meaning(text: str, status: Status, target: Target, command: Command) -> Outcome:
    """Returns the outcome that kubectl's text for the Status has."""
    return replace(kubectl.explain(1, text.encode(), target, command), status=status)


def _proxy(exit_: Mapping[str, Any]) -> Outcome:
    """Returns the outcome of a command whose proxy did not start, or ended under the command."""
    ended_: Mapping[str, Any] = exit_["proxy"] if isinstance(exit_["proxy"], Mapping) else {}
    if exit_.get("lost"):
        how = f"signal {ended_['signal']}" if "signal" in ended_ else f"code {ended_.get('code')}"
        return Outcome("kubectl_killed", f"kubectl proxy in the runner ended before the command ({how})")
    return proxy_command.explain(ended_, str(ended_.get("words", "")).encode()).outcome()
