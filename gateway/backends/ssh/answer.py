"""Reads the text that `ssh -G` prints: lines of a lower-case keyword and its value (ssh.c, dump_client_config)."""

import os
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.backends.ssh.settings import SshSettings
from gateway.backends.ssh.tokens import KEY_TOKENS, expand, expand_path, expand_variables, tokens

Answer = Mapping[str, Sequence[str]]
"""Keyword -> its values, in the order of the lines."""

UNSET = (
    86399  # seconds: stands behind the user's files, so that this value means "the user's files name none"
)
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_METHODS = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
_ALGORITHMS = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms")
_NOT_FOLLOWED = (
    ("stricthostkeychecking", "StrictHostKeyChecking", "a host key that is not pinned is always refused"),
    ("verifyhostkeydns", "VerifyHostKeyDNS", "host keys are not looked up in DNS"),
    (
        "nohostauthenticationforlocalhost",
        "NoHostAuthenticationForLocalhost",
        "the host key of localhost is verified like all others",
    ),
    ("controlpath", "ControlPath", "connections of ssh are not shared: the gateway shares its own"),
    ("pkcs11provider", "PKCS11Provider", "load the token into ssh-agent: ssh-add -s LIBRARY"),
    ("gssapiauthentication", "GSSAPIAuthentication", "Kerberos logins are not made"),
    ("hostbasedauthentication", "HostbasedAuthentication", "host-based logins are not made"),
    ("proxyusefdpass", "ProxyUseFdpass", "the proxy command has to carry the bytes itself"),
)


def parse(text: str) -> Answer:
    """Returns the values of each lower-case keyword in the text that `ssh -G` printed; a keyword may have several."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        found[keyword.lower()].append(value)
    return found


def settings(name: str, answer: Answer, defaults: Answer, *, connect: float, keepalive: float) -> SshSettings:
    """Returns the typed settings of the host that the user calls `name`. `defaults`: ssh's answer without the user's
    files; `connect` and `keepalive`: seconds for where the user's files name none. Raises HopFailed(ssh_config).
    """
    host, port, user = (_one(answer, key) for key in ("hostname", "port", "user"))
    alias, jump = _one(answer, "hostkeyalias"), _one(answer, "proxyjump")
    known = tokens(name, host, int(port), user, alias, jump)
    rekey = [int(word) for word in (*_one(answer, "rekeylimit").split(), "0", "0")]
    timeout, interval = _seconds(answer, "connecttimeout"), _seconds(answer, "serveraliveinterval")
    return SshSettings(
        name=name,
        host=host,
        port=int(port),
        user=user,
        proxy_command=expand(_one(answer, "proxycommand"), known),
        proxy_jump=tuple(expand(jump, known).split(",")) if jump else (),
        address_family=_FAMILIES.get(_one(answer, "addressfamily"), socket.AF_UNSPEC),
        bind_address=_one(answer, "bindaddress"),
        bind_interface=_one(answer, "bindinterface"),
        connect_timeout=connect if timeout in (0, UNSET) else timeout,
        keepalive_interval=keepalive if interval == UNSET else interval,
        keepalive_count=int(_one(answer, "serveralivecountmax") or 3),
        rekey_bytes=rekey[0],
        rekey_seconds=rekey[1],
        host_key_alias=alias,
        user_known_hosts=tuple(_files(_one(answer, "userknownhostsfile"))),
        global_known_hosts=tuple(_files(_one(answer, "globalknownhostsfile"))),
        known_hosts_command=_known_hosts_command(_one(answer, "knownhostscommand"), known),
        revoked_host_keys=_one(answer, "revokedhostkeys"),
        host_key_algorithms=_list(answer, "hostkeyalgorithms"),
        host_key_algorithms_named=not _edited(answer, defaults, "hostkeyalgorithms"),
        ca_signature_algorithms=_list(answer, "casignaturealgorithms"),
        required_rsa_bits=int(_one(answer, "requiredrsasize") or 1024),
        identity_files=tuple(expand_path(one, known) for one in _all(answer, "identityfile")),
        identities_named=_named(answer, defaults, "identityfile"),
        certificate_files=tuple(expand_path(one, known) for one in _all(answer, "certificatefile")),
        identities_only=_one(answer, "identitiesonly") == "yes",
        agent=_agent(answer.get("identityagent", ["SSH_AUTH_SOCK"])[0]),
        public_key_algorithms=_list(answer, "pubkeyacceptedalgorithms"),
        authentications=_authentications(answer),
        password_prompts=int(_one(answer, "numberofpasswordprompts") or 3),
        batch_mode=_one(answer, "batchmode") == "yes",
        kex_algorithms=_list(answer, "kexalgorithms"),
        ciphers=_list(answer, "ciphers"),
        macs=_list(answer, "macs"),
        algorithms_named=frozenset(key for key in _ALGORITHMS if _named(answer, defaults, key)),
        remarks=tuple(_remarks(answer, defaults)),
    )


def _all(answer: Answer, keyword: str) -> list[str]:
    return [value for value in answer.get(keyword, ()) if value.lower() != "none"]


def _one(answer: Answer, keyword: str) -> str:
    """Returns the first value of a keyword; empty where the keyword is absent or "none"."""
    return next(iter(_all(answer, keyword)), "")


def _list(answer: Answer, keyword: str) -> tuple[str, ...]:
    return tuple(filter(None, _one(answer, keyword).split(",")))


def _seconds(answer: Answer, keyword: str) -> int:
    return int(_one(answer, keyword) or 0)


def _edited(answer: Answer, defaults: Answer, keyword: str) -> bool:
    """Returns True for ssh's own list, and for a list that a user's `+` or `-` made of ssh's. `ssh -G` shows only the
    result: ssh's list and more, or most of ssh's list in its order.
    """
    listed, usual = _list(answer, keyword), _list(defaults, keyword)
    left = tuple(name for name in usual if name in listed)
    return listed[: len(usual)] == usual or (left == listed and len(left) > len(usual) / 2)


def _named(answer: Answer, defaults: Answer, keyword: str) -> bool:
    return list(answer.get(keyword, ())) != list(defaults.get(keyword, ()))


def _files(joined: str) -> Iterator[Path]:
    """Yields the paths of a list that ssh prints with blanks between them. Which blanks are inside a path is decided
    by which files exist, the longest name first.
    """
    words = joined.split(" ")
    while words:
        names = (" ".join(words[:count]) for count in range(len(words), 0, -1))
        name = next((one for one in names if os.access(one, os.F_OK)), words[0])
        words = words[name.count(" ") + 1 :]
        if name and name.lower() != "none":
            yield Path(name).absolute()


def _known_hosts_command(line: str, known: Mapping[str, str]) -> str:
    """Returns the line with all tokens replaced but those of a key; each other "%" is escaped for the later
    replacement.
    """
    escaped = {token: value.replace("%", "%%") for token, value in known.items()}
    return expand(expand_variables(line), escaped, keep=KEY_TOKENS)


def _agent(value: str) -> str:
    """Returns the path of the agent's socket; empty for no agent (ssh_config(5), IdentityAgent)."""
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK":
        value = "$SSH_AUTH_SOCK"
    return os.environ.get(value[1:], "") if value.startswith("$") else value


def _authentications(answer: Answer) -> tuple[str, ...]:
    order = (
        answer["preferredauthentications"][0].split(",") if "preferredauthentications" in answer else _METHODS
    )
    on = {method for method, keyword in _METHODS.items() if _one(answer, keyword) not in ("no", "false")}
    return tuple(method for method in order if method in on)


def _remarks(answer: Answer, defaults: Answer) -> Iterator[str]:
    for keyword, name, reason in _NOT_FOLLOWED:
        value = _one(answer, keyword)
        strict = keyword == "stricthostkeychecking" and value in ("true", "yes")
        if value not in ("", "no") and not strict and _named(answer, defaults, keyword):
            yield f"{name} {value} is not followed: {reason}"
