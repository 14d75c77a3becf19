"""`dap doctor`: this machine's settings first, then each hop in order: what is wrong, and what to do."""

import asyncio
import json as json_format
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.cli import rest, signals
from gateway.cli.connect import Endpoint, gateway
from gateway.cli.ending import HOP_FAILED, GatewayFailed
from gateway.cli.words import safe
from gateway.config import Cluster, Config, config_path
from gateway.errors import ConfigError
from gateway.layers import load

CHECK_FAILED = 1
_SLACK = 10.0  # seconds on top of the gateway's own limit for a check
_ADVICE = {
    "ssh_host_key": "compare the fingerprint with the host's, then put its key into known_hosts (ssh-keyscan)",
    "ssh_refused": "check user and key: ssh -v to the management host shows what it accepts",
    "ssh_unreachable": "check ssh_host (dap config show), your network or VPN, and that sshd runs there",
    "ssh_config": "mend the file that the message names",
    "ssh": "try ssh to the management host by hand",
    "incus_not_found": "check vm (dap config show) against: incus list, on the management host",
    "incus_stopped": "on the management host: incus start the instance",
    "incus_frozen": "on the management host: incus resume the instance",
    "incus": "on the management host, try: incus list",
    "kubectl_missing": "install kubectl in the runner",
    "kubeconfig_missing": "write ~/.kube/config in the runner, or set KUBECONFIG in its login shell's profile",
    "runner": "look into the runner: its disk, its memory, its login shell's profile",
    "kubectl": "in the runner, try: kubectl get --raw /readyz",
    "cluster": "check the cluster's API server and the runner's kubeconfig: dap run -- kubectl cluster-info",
    "gateway": "see the log of dap serve",
}


@dataclass(frozen=True)
class Check:
    """One line. `ok` None: not checked, since something before it failed. `local`: of this machine."""

    name: str
    ok: bool | None
    message: str = ""
    advice: str = ""
    ms: float | None = None
    code: str = ""
    local: bool = False

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "SKIP"}[self.ok]
        time = f"{self.ms:7.0f} ms" if self.ms is not None else " " * 10
        line = f"{word} {safe(self.name):<12}{time}  {safe(self.message)}".rstrip()
        return f"{line}\n     do: {safe(self.advice)}" if self.advice and not self.ok else line


Report = Callable[[Check], None]


def run(cluster: str, *, json: bool, quiet: bool) -> int:
    """Prints the checks. 0, 1 or 125."""
    return signals.run(_run(cluster, as_json=json, quiet=quiet))


async def _run(cluster: str, *, as_json: bool, quiet: bool) -> int:
    checks: list[Check] = []

    def report(check: Check) -> None:
        checks.append(check)
        if not as_json:
            print(check, flush=True)

    config = _settings(cluster, report)
    if config:
        if not config.url:  # a gateway elsewhere has settings of its own
            for check in local(config.clusters[cluster]):
                report(check)
        await _hops(config, cluster, report, quiet=quiet or as_json)
    status = _status(checks)
    if as_json:
        print(
            json_format.dumps({"ok": not status, "exitCode": status, "checks": [asdict(c) for c in checks]})
        )
    return status


def _settings(cluster: str, report: Report) -> Config | None:
    path = config_path()
    try:
        config = load()
    except ConfigError as error:
        report(
            Check(
                "config",
                False,
                str(error),
                "mend it, or write a new one: dap config init --force",
                local=True,
            )
        )
        return None
    if cluster not in config.clusters:
        report(
            Check(
                "config", False, f"no cluster {cluster!r}", f"add [clusters.{cluster}] to {path}", local=True
            )
        )
        return None
    report(
        Check("config", True, str(path) if path.exists() else f"{path} is not there: defaults", local=True)
    )
    return config


def local(cluster: Cluster) -> Iterator[Check]:
    """What can be seen without leaving this machine. A default may be absent: ssh has its own ways then."""
    if "ssh_host" not in cluster.explicit:
        yield Check(
            "ssh_host", False, f"still the example {cluster.ssh_host}",
            "name your management host: dap config init --ssh-host USER@HOST", local=True,
        )  # fmt: skip
    yield _key(cluster)
    problem = _unreadable(cluster.ssh_known_hosts)
    yield Check(
        "known_hosts", not problem, problem or str(cluster.ssh_known_hosts),
        "put the management host's key there, after comparing its fingerprint: ssh-keyscan" if problem else "",
        local=True,
    )  # fmt: skip


def _key(cluster: Cluster) -> Check:
    path = cluster.ssh_key
    problem = _unreadable(path)
    if problem and os.environ.get("SSH_AUTH_SOCK") and "ssh_key" not in cluster.explicit:
        return Check("ssh_key", True, f"{problem}; the SSH agent is used", local=True)
    if problem:
        return Check("ssh_key", False, problem, "name your key: dap config init --ssh-key FILE", local=True)
    if path.stat().st_mode & 0o077:
        return Check("ssh_key", False, f"others can read {path}", f"chmod 600 {path}", local=True)
    return Check("ssh_key", True, str(path), local=True)


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


async def _hops(config: Config, cluster: str, report: Report, *, quiet: bool) -> None:
    try:
        async with gateway(config, quiet=quiet) as endpoint:
            hops = await asyncio.to_thread(hop_checks, endpoint, cluster, config.limits.check + _SLACK)
            report(Check("gateway", True, str(endpoint)))
    except GatewayFailed as error:
        report(Check("gateway", False, error.end.message, "start it: dap serve; or unset DAP_GATEWAY_URL"))
        return
    for check in hops:
        report(check)


def hop_checks(endpoint: Endpoint, cluster: str, timeout: float) -> list[Check]:
    """What the gateway says about each hop. Blocks up to `timeout` seconds. Raises GatewayFailed."""
    status, answer = rest.request(endpoint, "GET", "/readyz", timeout=timeout)
    if status not in (200, 503) or not isinstance(answer, dict) or "clusters" not in answer:
        raise rest.refusal(status, json_format.dumps(answer).encode())
    known = answer["clusters"].get(cluster)
    if known is None:
        return [
            Check("gateway", False, f"it has no cluster {cluster!r}", "restart dap serve after a new config")
        ]
    checks: list[Check] = []
    for hop in known.get("hops", []):
        before_failed = any(check.ok is False for check in checks)
        checks.append(_hop(hop, skip=before_failed))
    return checks


def _hop(hop: dict[str, Any], *, skip: bool) -> Check:
    name, message, ok = str(hop.get("hop")), str(hop.get("message") or ""), bool(hop.get("ok"))
    if skip and not ok:
        return Check(name, None, message or "a hop before it failed")
    code = str(hop.get("code") or message.rpartition("(")[2].rstrip(")"))
    advice = "" if ok else _ADVICE.get(code) or _ADVICE.get(name, "")
    ms = hop.get("ms")
    return Check(name, ok, message, advice, float(ms) if isinstance(ms, int | float) else None, code)


def _status(checks: list[Check]) -> int:
    failed = [check for check in checks if check.ok is False]
    if any(not check.local for check in failed):
        return HOP_FAILED
    return CHECK_FAILED if failed else 0
