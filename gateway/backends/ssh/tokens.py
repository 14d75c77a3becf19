"""Replaces the tokens (%h), variables (${NAME}) and `~` in values that `ssh -G` prints as they stand in the user's
files.

The rules are those of ssh_config(5), TOKENS and ENVIRONMENT VARIABLES, and of OpenSSH's misc.c.
"""

import hashlib
import os
import pwd
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import HopFailed

KEY_TOKENS = "fHIKt"  # tokens of KnownHostsCommand that are known once the host has shown its key
_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def tokens(name: str, host: str, port: int, user: str, alias: str, jump: str) -> dict[str, str]:
    """Returns the value of each token that is known before a connection. `name`: as the user wrote the host; `host`:
    after HostName; `jump`: the text of ProxyJump.
    """
    local = socket.gethostname()
    who = pwd.getpwuid(os.getuid())
    digest = hashlib.sha1(f"{local}{host}{port}{user}{jump}".encode(), usedforsecurity=False).hexdigest()
    return {
        "%": "%", "C": digest, "d": who.pw_dir, "h": host, "i": str(os.getuid()), "j": jump, "k": alias or host,
        "L": local.partition(".")[0], "l": local, "n": name, "p": str(port), "r": user, "u": who.pw_name,
    }  # fmt: skip


def expand(text: str, known: Mapping[str, str], *, keep: str = "") -> str:
    """Returns the text with all tokens but those in `keep` replaced. Raises HopFailed(ssh_config) for an unknown
    token.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] and match[1] in keep:
            return match[0]
        if match[1] not in known:
            raise HopFailed("ssh_config", f"unknown token {match[0]} in {text!r} of your ssh settings")
        return known[match[1]]

    return _TOKEN.sub(value, text)


def expand_variables(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Returns the text with each ${NAME} replaced. Raises HopFailed(ssh_config) for a variable that is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise HopFailed("ssh_config", f"your ssh settings name ${{{match[1]}}}, which is not set")
        return environment[match[1]]

    return _VARIABLE.sub(value, text)


def expand_path(text: str, known: Mapping[str, str]) -> Path:
    """Returns the absolute path that ssh means: `~` is the home of the user in passwd, not $HOME; a relative path is
    taken from the working directory. Raises HopFailed(ssh_config).
    """
    return Path(_expand_tilde(expand(expand_variables(text), known))).absolute()


def _expand_tilde(text: str) -> str:
    if not text.startswith("~"):
        return text
    name, slash, rest = text[1:].partition("/")
    try:
        home = pwd.getpwnam(name).pw_dir if name else pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise HopFailed("ssh_config", f"your ssh settings name ~{name}, and there is no such user") from None
    return f"{home}{slash}{rest}"
