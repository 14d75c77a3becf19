"""What each side's words come to: a verdict of row.py, or the last line where none fits. Pure."""

import re

from ssh_matrix.row import HOST_KEY, IN, LOGIN, NO_TERMINAL, SETTINGS, UNREACHABLE

MARK = "this-is-the-command"

_SSH = (  # the first that fits; a jump's refusal comes before the refusal of what waits for it
    (NO_TERMINAL, "PTY allocation request failed"),
    (
        HOST_KEY,
        "Host key verification failed|KnownHostsCommand failed|Bad server host key|REMOTE HOST IDENTIFICATION HAS CHANGED|revoked host key",
    ),
    (LOGIN, "Permission denied \\(|Too many authentication failures|No more authentication methods"),
    (
        SETTINGS,
        "Unable to negotiate|Bad (owner|configuration)|terminating|Can't open user config|jumphost loop",
    ),
    (SETTINGS, r"(config|more):? line \d+: |percent_expand|Too many recursive"),
    (
        UNREACHABLE,
        "Could not resolve|Connection (refused|closed|reset|timed out)|timed out|[Kk]ex_exchange|banner exchange|connect to host",
    ),
)
_OURS = {
    "ssh_host_key": HOST_KEY,
    "ssh_refused": LOGIN,
    "ssh_config": SETTINGS,
    "ssh_unreachable": UNREACHABLE,
    "ssh_lost": UNREACHABLE,
}


def of_ssh(output: str, words: str) -> str:
    """The verdict of ssh, by its stdout and stderr."""
    for verdict, pattern in _SSH[:1]:
        if re.search(pattern, words):
            return verdict
    if MARK in output:
        return IN
    for verdict, pattern in _SSH:
        if re.search(pattern, words):
            return verdict
    return f"other: {last(output) or last(words) or 'nothing'}"


def of_ours(output: str, code: str, message: str) -> str:
    """The verdict of the gateway's login, by the command's output or the error's code and message."""
    if not code:
        return IN if MARK in output else f"other: {last(output) or 'nothing'}"
    if code != "ssh_busy" and re.search("no terminal|no-pty", message):
        return NO_TERMINAL
    return _OURS.get(code, f"other: {code}")


def last(text: str) -> str:
    """The last line that is not empty."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
