"""Does `dap doctor`: checks this machine's settings first, then each hop in order: what is wrong, and what to
do.
"""

import asyncio
import json as json_format
from dataclasses import asdict, replace
from typing import Any

from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.doctor.check import Check, Report, failed, noted, passed
from gateway.cli.doctor.machine_checks import directory_checks, proxy_checks
from gateway.cli.doctor.origins import behind, origin
from gateway.cli.doctor.ssh_checks import ssh_checks, unreadable
from gateway.client import http
from gateway.client.endpoint import Endpoint, running
from gateway.client.exit_status import HOP_FAILED, GatewayFailed
from gateway.errors import ConfigError
from gateway.settings.config import Cluster, Config, Limits, cluster_called
from gateway.settings.loader import load
from gateway.settings.paths import config_path

CHECK_FAILED = 1
_SLACK = 10.0  # seconds on top of the gateway's own limit for a check
_ADVICE = {
    "ssh_host_key": "compare the fingerprint with the host's, then put its key into known_hosts (ssh-keyscan)",
    "ssh_refused": "check user and key: ssh -v to the management host shows what it accepts",
    "ssh_unreachable": "check ssh_host (dap config show), your network or VPN, and that sshd runs there",
    "ssh_config": "mend the file that the message names",
    "ssh": "try ssh to the management host by hand",
    "incus_not_found": "check vm and incus_project (dap config show) against: incus list --all-projects, on the management host",
    "incus_stopped": "on the management host: incus start the instance",
    "incus_frozen": "on the management host: incus resume the instance",
    "incus": "on the management host, try: incus list",
    "kubectl_missing": "install kubectl in the runner, or name its command in the setting kubectl, as in 'k3s kubectl'",
    "kubeconfig_missing": "write ~/.kube/config in the runner, or set KUBECONFIG in its login shell's profile",
    "runner_credentials": "log in as the message says, in the runner: dap run -it -- bash -l",
    "runner": "look into the runner: its disk, its memory, its login shell's profile",
    "kubectl": "in the runner, try: kubectl get --raw /readyz",
    "cluster": "check the cluster's API server and the runner's kubeconfig: dap run -- kubectl cluster-info",
    "gateway": "see the log of dap serve",
}


def run(cluster: str, *, json: bool, quiet: bool) -> int:
    """Prints the checks and returns 0, 1 or 125."""
    return signals.run(_run(cluster, as_json=json, quiet=quiet))


async def _run(cluster: str, *, as_json: bool, quiet: bool) -> int:
    checks: list[Check] = []

    def report(check: Check) -> None:
        checks.append(check)
        if not as_json:
            print(check, flush=True)

    config = _settings(cluster, report)
    if config:
        ours = config.clusters.get(cluster_called(cluster, config.clusters))
        found: list[Check] = []
        if ours and not config.url:  # a gateway elsewhere has settings of its own
            found = [*directory_checks(), *await local(ours, config.limits)]
        # a gateway of our own logs in with these very settings: what works there is no failure here
        held = [check for check in found if check.ok is False] if found and not _runs(config) else []
        for check in found:
            if check not in held:
                report(check)
        await _hops(config, cluster, report, held, quiet=quiet or as_json)
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
            failed("config", behind(str(error), path), "mend it, or write a new one: dap config init --force")
        )
        return None
    if not (config.clusters or config.url) and _runs(config):
        report(
            passed("config", "no cluster is configured here: the gateway that runs has settings of its own")
        )
        return config
    if not (config.clusters or config.url):
        advice = "name your management host: dap config init --ssh-host USER@HOST"
        report(failed("config", "no cluster is configured", advice))
        return None
    if not config.url and cluster_called(cluster, config.clusters) not in config.clusters:
        report(failed("config", f"no cluster {cluster!r}", f"add [clusters.{cluster}] to {path}"))
        return None
    report(passed("config", str(path) if path.exists() else f"{path} is missing: defaults are used"))
    return config


def _runs(config: Config) -> bool:
    """Returns True if a gateway runs that this command will ask, or one that is not this user's answers in its place."""
    try:
        return running(config) is not None
    except ConfigError:
        return True


async def local(cluster: Cluster, limits: Limits) -> list[Check]:
    """Returns the checks that need nothing but this machine."""
    if "ssh_host" not in cluster.explicit:
        advice = "name your management host: dap config init --ssh-host USER@HOST"
        return [failed("ssh_host", f"ssh_host is still the example {cluster.ssh_host}", advice)]
    path = config_path()
    places = {key: origin(f"clusters.{cluster.name}.{key}", path) for key in cluster.explicit}
    problem = unreadable(cluster.ssh_known_hosts) if "ssh_known_hosts" in cluster.explicit else ""
    if not problem:
        return await ssh_checks(cluster, limits, places)
    without = replace(cluster, explicit=cluster.explicit - {"ssh_known_hosts"})
    others = [check for check in await ssh_checks(without, limits, places) if check.name != "known_hosts"]
    advice = "put the management host's key there, after comparing its fingerprint: ssh-keyscan"
    if place := places.get("ssh_known_hosts"):
        advice += f"; or mend the setting: {place}"
    return [*others, failed("known_hosts", problem, advice)]


async def _hops(config: Config, cluster: str, report: Report, held: list[Check], *, quiet: bool) -> None:
    """Reports what the gateway says of its hops. `held`: failures of this machine, which are none where the login works."""
    hops: list[Check] = []
    try:
        async with gateway(config, quiet=quiet) as endpoint:
            for check in proxy_checks(endpoint):
                report(check)
            hops = await asyncio.to_thread(hop_checks, endpoint, cluster, config.limits.check + _SLACK)
            proved = "; no socket of it answers, and it has proved that it knows the token"
            told = Check("gateway", True, f"{endpoint}{proved if endpoint.proves else ''}")
    except GatewayFailed as error:
        told = Check("gateway", False, error.end.message, "start it: dap serve; or unset DAP_GATEWAY_URL")
    except ConfigError as error:
        told = failed("gateway", behind(str(error), config_path()), "mend what the message names")
    works = any(check.name == "ssh" and check.ok for check in hops)
    for check in held:
        report(noted(check.name, f"{check.message}; the login works all the same") if works else check)
    for check in (told, *hops):
        report(check)


def hop_checks(endpoint: Endpoint, cluster: str, timeout: float) -> list[Check]:
    """Asks the gateway about each hop and returns the checks. Blocks up to `timeout` seconds. Raises
    GatewayFailed.
    """
    status, answer = http.request(endpoint, "GET", "/readyz", timeout=timeout)
    if status not in (200, 503) or not isinstance(answer, dict) or "ready" not in answer:
        raise http.refused(status, answer)
    if "clusters" not in answer:  # what a gateway may say to nobody in particular
        raise http.refusal(401, b"")
    known = answer["clusters"].get(cluster_called(cluster, answer["clusters"]))
    if known is None:
        return [
            Check(
                "gateway",
                False,
                f"the gateway has no cluster {cluster!r}",
                "restart dap serve after a new config",
            )
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
