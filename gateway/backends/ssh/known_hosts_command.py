"""KnownHostsCommand: a program that prints lines of known_hosts for a host (sshconnect.c, load_hostkeys_command)."""

import os
import re

from gateway.backends.ssh.host_key import HostKey
from gateway.backends.ssh.known_hosts import KnownHosts, read
from gateway.backends.ssh.program import run
from gateway.backends.ssh.tokens import expand
from gateway.errors import HopFailed

_PIECE = re.compile(r"""\\(['"\\ ])|(.)""", re.DOTALL)
_NO_KEY = {"t": "NONE", "f": "NONE", "K": "NONE"}  # what ssh puts for a key that it has not seen


def needs_key(command: str) -> bool:
    """Returns True where the command line has a token of the host's key: %f, %K or %t."""
    return bool({"%f", "%K", "%t"} & set(re.findall("%.", command)))


async def ask_command(
    command: str, invocation: str, name: str, offered: HostKey | None, *, seconds: float
) -> KnownHosts:
    """Runs KnownHostsCommand and returns the lines that the command prints for the host `name`. `invocation`: "ORDER"
    to order the algorithms, "HOSTNAME" to judge a key. `offered`: the key that the host has shown, if any.

    Raises HopFailed(ssh_host_key) where the command cannot start, fails or exceeds `seconds`: ssh refuses the host
    then. A command line that ssh would not accept gives no lines.
    """
    source = f"KnownHostsCommand-{invocation}"
    argv = _argv(command, invocation, name, offered)
    if not argv:
        return KnownHosts(source, (), ((0, f"{command} is no absolute path of a program, or lacks a quote"),))
    try:
        ended = await run(argv, seconds=seconds)
    except TimeoutError:
        words = f"did not end within {seconds:g} s"
    except OSError as error:
        words = f"does not start: {error.strerror}"
    else:
        if not ended.status:
            return read(source, ended.output)
        words = f"ended with status {ended.status}" + (f": {ended.words}" if ended.words else "")
    raise HopFailed("ssh_host_key", f"KnownHostsCommand {argv[0]}, which says whom to trust, {words}")


def _argv(command: str, invocation: str, name: str, offered: HostKey | None) -> list[str]:
    """Returns the program and its arguments, with tokens replaced; empty where ssh would not start the program."""
    words = split(command)
    if not words or not words[0].startswith("/") or not os.access(words[0], os.F_OK):
        return []
    known = {"%": "%", "H": name, "I": invocation, **(offered.tokens if offered else _NO_KEY)}
    return [words[0], *(expand(word, known) for word in words[1:])]


def split(line: str) -> list[str]:
    """Splits a line into words as OpenSSH's argv_split (misc.c) does; returns no words where a quote does not end."""
    words: list[str] = []
    inside, quote = False, ""
    for escaped, char in _PIECE.findall(line):
        if not quote and char and char in " \t":
            inside = False
            continue
        if not inside:
            words.append("")
            inside = True
        if escaped:
            words[-1] += "\\ " if quote and escaped == " " else escaped
        elif quote:
            quote = "" if char == quote else quote
            words[-1] += char if quote else ""
        elif char in "'\"":
            quote = char
        else:
            words[-1] += char
    return [] if quote else words
