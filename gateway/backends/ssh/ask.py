"""Asks OpenSSH's own client for its settings: `ssh -G`, so that a host is reached as the user's `ssh HOST` reaches
it.

Our defaults stand behind the user's files, in a file for `-F` that includes them: ssh takes the first value that it
reads.
"""

import glob
import os
import pwd
import shutil
from dataclasses import replace
from pathlib import Path

from gateway.backends.ssh import answer, without_ssh
from gateway.backends.ssh.program import run
from gateway.backends.ssh.settings import Destination, SshSettings
from gateway.errors import HopFailed
from gateway.private_directory import private_directory
from gateway.settings.config import Cluster, Limits

_SYSTEM = "/etc/ssh/ssh_config"
_COMMAND = "incus"
_NO_NAME = "Could not resolve host"  # ssh.c: of CanonicalizeHostname without CanonicalizeFallbackLocal
_SAID = 400  # characters of ssh's words


def parse_host(text: str) -> Destination:
    """Returns the parts of [user@]host[:port], IPv6 in brackets. Raises HopFailed(ssh_config) for any other text."""
    user, _, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or ("]" in port) or (rest.count(":") > 1 and not rest.startswith("[")):
        host, port = rest, ""
    host = host.strip("[]")
    if not host or host.startswith("-") or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise HopFailed("ssh_config", f"{text!r} is no [user@]host[:port]")
    return Destination(host, user, int(port or 0))


async def ask(cluster: Cluster, destination: Destination, limits: Limits) -> SshSettings:
    """Returns the settings with which to reach a host: ssh's, overridden by what the cluster's own settings name.

    `Match exec` of the user's files runs in this call, once; the call ends within `Limits.ssh_settings` seconds.
    Raises HopFailed(ssh_config) in ssh's words. When cancelled, ssh and what it started are killed.
    """
    files = config_files(cluster)
    if available():
        try:
            printed = await _run(files, destination, limits.ssh_settings)
        except OSError as error:  # the disk is full, or no process can be started
            raise HopFailed("ssh_config", f"ssh cannot be asked for its settings: {error}") from None
        asked = answer.settings(
            destination.host, answer.parse(printed), await _defaults(limits.ssh_settings),
            connect=limits.ssh_connect, keepalive=limits.ssh_keepalive,
        )  # fmt: skip
    else:
        asked = without_ssh.settings(
            files, destination, connect=limits.ssh_connect, keepalive=limits.ssh_keepalive
        )
    return _ours(cluster, asked)


def config_files(cluster: Cluster) -> list[Path]:
    """Returns the user's settings files: the file that the cluster names (as `ssh -F`; "none": no file), else ssh's
    own two, with the home that passwd has. Raises HopFailed(ssh_config) where the named file cannot be read.
    """
    named = cluster.ssh_config
    if named.lower() == "none":
        return []
    if not named:
        return [*([Path(home) / ".ssh/config"] if (home := _passwd_home()) else []), Path(_SYSTEM)]
    path = Path(named).absolute()
    if not os.access(path, os.R_OK):
        raise HopFailed(
            "ssh_config", f"cannot read {path}: set DAP_RUNNER_SSH_CONFIG to a file that ssh -F takes"
        )
    return [path]


def available() -> bool:
    """Returns True if `ssh -G` can run: ssh is installed, and passwd knows the user, which ssh requires."""
    return shutil.which("ssh") is not None and _passwd_home() is not None


def _ours(cluster: Cluster, asked: SshSettings) -> SshSettings:
    """Returns `asked` with the cluster's own key and known hosts in its place, where they are set. Raises HopFailed."""
    if "ssh_known_hosts" in cluster.explicit:
        if not os.access(cluster.ssh_known_hosts, os.R_OK):
            raise HopFailed("ssh_config", f"cannot read the known hosts file {cluster.ssh_known_hosts}")
        asked = replace(asked, user_known_hosts=(cluster.ssh_known_hosts,))
    if "ssh_key" in cluster.explicit:
        asked = replace(
            asked,
            identity_files=(cluster.ssh_key,),
            identities_named=True,
            certificate_files=(),
            identities_only=True,
        )
    return asked


def _passwd_home() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


async def _defaults(seconds: float) -> answer.Answer:
    """Returns ssh's answer without any file: a value that differs from this answer was named by the user."""
    global _known_defaults  # noqa: PLW0603  # the answer stays the same for the life of this process
    if _known_defaults is None:
        _known_defaults = answer.parse(await _run([], Destination("localhost"), seconds))
    return _known_defaults


_known_defaults: answer.Answer | None = None


async def _run(files: list[Path], destination: Destination, seconds: float) -> str:
    with private_directory("ssh-") as directory:
        wrapper = directory / "ssh.conf"
        wrapper.write_text(_wrapper(files), "utf-8", "surrogateescape")
        argv = ["ssh", "-G", "-T", "-F", str(wrapper)]
        argv += ["-l", destination.user] if destination.user else []
        argv += ["-p", str(destination.port)] if destination.port else []
        # a command, as every login has it: Match looks at it (sessiontype, command)
        try:
            ended = await run([*argv, "--", destination.host, _COMMAND], seconds=seconds)
        except TimeoutError:
            raise HopFailed(
                "ssh_config",
                f"ssh -G gave no settings within {seconds:g} s: look at the Match exec lines of your files",
            ) from None
    if ended.status:
        lines = [line for line in ended.errors.splitlines() if line and str(wrapper) not in line]
        said = "; ".join(lines)[:_SAID] or f"ssh -G ended with code {ended.status}"
        failed = "ssh_unreachable" if _NO_NAME in said else "ssh_config"
        raise HopFailed(failed, f"ssh cannot use its settings for {destination.host}: {said}")
    return os.fsdecode(ended.output)


def _wrapper(files: list[Path]) -> str:
    """Returns the text of the file for -F. ssh checks the owner and mode of what it includes, as of its own files."""
    includes = [f'Include "{glob.escape(str(file))}"' for file in files]
    return "\n".join(
        [*includes, "Match all", f"ServerAliveInterval {answer.UNSET}", f"ConnectTimeout {answer.UNSET}", ""]
    )
