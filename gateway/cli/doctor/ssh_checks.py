"""Checks ssh's settings for `dap doctor`: what they are, which lines are not followed, and the files they
name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.doctor.check import Check, failed, noted, passed
from gateway.cli.doctor.ssh_lines import setting_lines
from gateway.errors import HopFailed
from gateway.settings.config import Cluster, Limits

if TYPE_CHECKING:
    from gateway.backends.ssh.settings import SshSettings

_SCAN = "put the management host's key into {}, after comparing its fingerprint: ssh-keyscan"
_ASK = "StrictHostKeyChecking ask is not followed: a host key that is not pinned is always refused"
_WEAK = ("sha1", "cbc", "md5", "arcfour", "ssh-rsa", "ssh-dss")
_LISTS = {
    "ciphers": "Ciphers",
    "macs": "MACs",
    "kexalgorithms": "KexAlgorithms",
    "hostkeyalgorithms": "HostKeyAlgorithms",
    "pubkeyacceptedalgorithms": "PubkeyAcceptedAlgorithms",
}


async def ssh_checks(cluster: Cluster, limits: Limits, places: Mapping[str, str]) -> list[Check]:
    """Asks ssh for the settings of the management host, looks at the files that they name, and returns the
    checks. `places`: where each key of the cluster's own stands.
    """
    from gateway.backends.ssh import ask  # noqa: PLC0415  # loads asyncssh, which no other command needs

    try:
        files = ask.config_files(cluster)
        settings = await ask.ask(cluster, ask.parse_host(cluster.ssh_host), limits)
    except HopFailed as error:
        return [
            failed("ssh_settings", error.message, f"mend what it names; by hand: ssh -G {cluster.ssh_host}")
        ]
    reader = "ssh -G" if ask.available() else "asyncssh's parser"
    named = {key: places.get(key) or "dap config show tells where it is" for key in cluster.explicit}
    return list(checks(settings, files, reader, named))


def checks(
    settings: "SshSettings", files: Sequence[Path], reader: str, named: Mapping[str, str]
) -> Iterator[Check]:
    """Yields the checks of one host's settings. `files`: those that ssh has read; `named`: where the cluster's own keys
    stand.
    """
    yield passed("ssh_settings", f"{reader}: {settings.user}@{settings.where}{_way(settings)}")
    for remark in settings.remarks:
        yield noted("ssh_settings", remark + _behind(setting_lines(files, remark.partition(" ")[0])))
    if asks := setting_lines(
        files, "StrictHostKeyChecking", "ask"
    ):  # ssh's default: its answer does not tell
        yield noted("ssh_settings", f"{_ASK} ({asks})")
    yield from _lists(settings, files)
    yield from _keys(settings, _mend(files, "IdentityFile", named.get("ssh_key")))
    yield from _known_hosts(settings, _mend(files, "UserKnownHostsFile", named.get("ssh_known_hosts")))
    if settings.revoked_host_keys and (problem := unreadable(Path(settings.revoked_host_keys))):
        yield failed(
            "known_hosts", f"{problem}: every host key is refused",
            f"write that file, or mend {setting_lines(files, 'RevokedHostKeys')}",
        )  # fmt: skip


def unreadable(path: Path) -> str:
    """Returns why a file cannot be read; empty where it can be."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _way(settings: "SshSettings") -> str:
    if settings.proxy_jump:
        return f" through {', '.join(settings.proxy_jump)}"
    return " through a ProxyCommand" if settings.proxy_command else ""


def _lists(settings: "SshSettings", files: Sequence[Path]) -> Iterator[Check]:
    """Yields a note for each list of algorithms that is offered because a file names it, and which of its
    algorithms are weak.
    """
    offered = {
        "ciphers": settings.ciphers,
        "macs": settings.macs,
        "kexalgorithms": settings.kex_algorithms,
        "hostkeyalgorithms": settings.host_key_algorithms,
        "pubkeyacceptedalgorithms": settings.public_key_algorithms,
    }
    for keyword in sorted(settings.algorithms_named):
        weak = [name for name in offered[keyword] if any(part in name for part in _WEAK)]
        among = f", {', '.join(weak)} among them, which is weak" if weak else ""
        message = f"{_LISTS[keyword]} are offered as your file names them{among}"
        yield noted("ssh_settings", message + _behind(setting_lines(files, keyword)))


def _keys(settings: "SshSettings", mend: str) -> Iterator[Check]:
    usable, absent, open_ = [], [], []
    for path in settings.identity_files:
        if problem := unreadable(path):
            absent.append(problem)
        elif path.suffix != ".pub" and path.stat().st_mode & 0o077:
            open_.append(path)
        else:
            usable.append(str(path))
    for path in open_:
        message = f"others can read {path}: it is not offered"
        others = usable or settings.agent
        yield noted("ssh_key", message) if others else failed("ssh_key", message, f"chmod 600 {path}")
    if settings.identities_named and absent and not usable and not settings.agent:
        yield failed("ssh_key", "; ".join(absent), f"write that file, or mend {mend}")
    elif settings.identities_named:
        yield from (noted("ssh_key", f"{problem}; passed over") for problem in absent)
    agent = [f"the SSH agent at {settings.agent}"] if settings.agent else []
    if usable or agent:
        yield passed("ssh_key", ", ".join([*usable, *agent]))
    elif not settings.identities_named:
        yield noted("ssh_key", "no key in ~/.ssh, and no SSH agent: the host has to ask for something else")


def _known_hosts(settings: "SshSettings", mend: str) -> Iterator[Check]:
    paths = [*settings.user_known_hosts, *settings.global_known_hosts]
    there = [path for path in paths if path.exists()]
    closed = {path: problem for path in there if (problem := unreadable(path))}
    for problem in closed.values():
        if len(closed) < len(there) or settings.known_hosts_command:
            yield noted("known_hosts", f"{problem}; passed over")
        else:
            yield failed("known_hosts", problem, f"let this user read it, or mend {mend}")
    there = [path for path in there if path not in closed]
    first = settings.user_known_hosts[0] if settings.user_known_hosts else None
    if there or settings.known_hosts_command:
        command = ["KnownHostsCommand"] if settings.known_hosts_command else []
        yield passed("known_hosts", ", ".join([*map(str, there), *command]))
    elif first and not closed:
        yield failed("known_hosts", unreadable(first), _SCAN.format(first))
    elif not closed:
        yield failed("known_hosts", "no file of known hosts is named", f"name a file: mend {mend}")


def _mend(files: Iterable[Path], keyword: str, named: str | None) -> str:
    if named:
        return f"the setting: {named}"
    return setting_lines(files, keyword) or f"{keyword} in ~/.ssh/config"


def _behind(lines: str) -> str:
    return f" ({lines})" if lines else ""
