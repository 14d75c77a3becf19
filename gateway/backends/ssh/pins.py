"""Finds the lines of all known_hosts files that match one host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import structlog

from gateway.backends.ssh.files import read_file
from gateway.backends.ssh.known_hosts import Bad, KnownHosts, Line, read
from gateway.backends.ssh.settings import SshSettings

log = structlog.get_logger()

_SSH_PORT = 22
_LOGGED = 10  # bad lines of one file
_told: dict[str, int] = {}  # file -> hash of the bad lines that were logged


@dataclass(frozen=True)
class Pins:
    """The lines that match a host. `skipped`: matching lines that cannot be read; `unreadable`: files that cannot be
    read.
    """

    lines: tuple[Line, ...]
    plain: tuple[Line, ...] | None  # of the name without the port; None where there is no such second name
    skipped: tuple[str, ...]
    unreadable: tuple[str, ...]


def names(settings: SshSettings) -> tuple[str, str | None]:
    """Returns the name under which the host's key is looked up, and the name without the port as a second choice, or
    None. The host's address is not looked up (sshconnect.c, get_hostfile_hostname_ipaddr).
    """
    if settings.host_key_alias:
        return settings.host_key_alias.lower(), None
    host = settings.host.lower()
    return (host, None) if settings.port == _SSH_PORT else (f"[{host}]:{settings.port}", host)


def find(settings: SshSettings) -> Pins:
    """Returns the host's lines of the user's and the global known_hosts files. Logs the lines that cannot be read,
    once for each content of a file. Blocks: call it in a thread.
    """
    name, plain = names(settings)
    unreadable: list[str] = []
    skipped: list[str] = []
    lines: list[Line] = []
    beside: list[Line] = []
    for file in _files(settings, unreadable):
        named, bad = file.find(name)
        lines += named
        if plain is not None:
            named, more = file.find(plain)
            beside += named
            bad += more
        skipped += [f"{file.source}:{number} has {why}" for number, why in bad]
        tell(file.source, [*file.bad, *bad])
    return Pins(tuple(lines), None if plain is None else tuple(beside), tuple(skipped), tuple(unreadable))


def elsewhere(settings: SshSettings, key: asyncssh.SSHKey) -> list[str]:
    """Returns `file:number (names)` of each line that trusts the key, under any name. Blocks: call it in a thread."""
    return [line for file in _files(settings, []) for line in file.elsewhere(key)]


def _files(settings: SshSettings, unreadable: list[str]) -> Iterator[KnownHosts]:
    for path in (*settings.user_known_hosts, *settings.global_known_hosts):
        if content := _content(path, unreadable):
            yield read(str(path), content)


def _content(path: Path, unreadable: list[str]) -> bytes:
    """Returns the content of a file; empty where the file is absent or cannot be read, which `unreadable` gets."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        unreadable.append(f"{path} cannot be read: {error.strerror}")
        return b""


def tell(source: str, bad: Sequence[Bad]) -> None:
    """Logs the lines of a file that cannot be read, unless the same lines were logged before."""
    digest = hash(tuple(bad))
    if bad and _told.get(source) != digest:
        _told[source] = digest
        for number, reason in bad[:_LOGGED]:
            log.warning("known_hosts_line_skipped", file=source, line=number, reason=reason)
        if len(bad) > _LOGGED:
            log.warning("known_hosts_lines_skipped", file=source, lines=len(bad))
