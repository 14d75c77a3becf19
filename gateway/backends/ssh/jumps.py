"""ProxyJump of ssh_config(5): which hosts to log in to, and in which order, before the host that somebody named."""

import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from urllib.parse import unquote

from gateway.backends.ssh.settings import Destination, SshSettings
from gateway.errors import HopFailed

Ask = Callable[[Destination], Awaitable[SshSettings]]

_LONGEST = 16  # hosts of a route
_SSH_PORT = 22
_JUMP = re.compile(  # readconf.c, parse_ssh_uri and parse_user_host_port: an IPv6 address has brackets
    r"(?P<uri>ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<address>[^\[\]]+)\]|(?P<host>[^:\[\]@/]+))(?::(?P<port>[^:]*))?",
    re.DOTALL,
)
_NO_HOST = re.compile(r"""^-|['`"$\\;&<>|(){}\s\x00-\x1f\x7f]""")  # ssh.c, valid_hostname
_NO_USER = re.compile(r"""^-|['`";&<>|(){}\x00-\x1f\x7f]|\s-|\\$""")  # ssh.c, valid_ruser


async def route(settings: SshSettings, ask: Ask) -> list[SshSettings]:
    """Returns the hosts to log in to, in order; the last is that of `settings`.

    The first host is reached by TCP or, where it has a `proxy_command`, through that; each other host through the
    host before it. So `proxy_command` is set in the first at most, and `proxy_jump` in none. As ssh: for `ProxyJump
    a,b` it runs `ssh -J a -W HOST b`, where -J wins over what b's own settings say of the way, and a, which has no
    -J, is reached as its own ProxyJump or ProxyCommand says (ssh.c, main).

    `ask` returns the settings of a jump host; its errors are passed on. Raises HopFailed(ssh_config) for a loop, for
    more than 16 hosts and for a ProxyJump that cannot be read.
    """
    hosts = [settings]
    firsts: list[Destination] = []
    while jumps := parse_jumps(hosts[0].proxy_jump):
        if jumps[0] in firsts:
            names = [one.host for one in (*firsts, jumps[0])]
            raise HopFailed("ssh_config", f"ProxyJump goes round in a circle: {' -> '.join(names)}")
        firsts.append(jumps[0])
        if len(jumps) + len(hosts) > _LONGEST:
            raise HopFailed("ssh_config", f"ProxyJump of {settings.name}: more than {_LONGEST} hosts")
        asked = [await ask(jump) for jump in jumps]
        for jump, beyond in zip(jumps, (*asked[1:], hosts[0]), strict=True):
            _refuse_itself(jump, beyond)
        hosts = asked + hosts
    return [replace(hosts[0], proxy_jump=())] + [
        replace(one, proxy_jump=(), proxy_command="") for one in hosts[1:]
    ]


def parse_jumps(values: Iterable[str]) -> tuple[Destination, ...]:
    """Returns the hosts that ProxyJump names, the nearest first, of values such as "ann@a:2200,[::1]:22" and
    "ssh://ann@b:2200"; empty for "none". Raises HopFailed(ssh_config).
    """
    jumps = [jump.strip() for value in values for jump in value.split(",")]
    if [jump.lower() for jump in jumps] == ["none"]:
        return ()
    return tuple(_parse(jump) for jump in jumps)


def _parse(text: str) -> Destination:
    match = _JUMP.fullmatch(text.removesuffix("/") if text.startswith("ssh://") else text)
    if not match or text.lower() == "none":
        raise _unreadable(text)
    user, host = match["user"] or "", match["address"] or match["host"]
    if match["uri"]:
        user = unquote(user.partition(";")[0])
    if _NO_HOST.search(host) or _NO_USER.search(user):
        raise _unreadable(text)
    return Destination(host, user, _port(match["port"], text))


def _port(port: str | None, text: str) -> int:
    """Returns the number of a port or of the service of that name (misc.c, a2port); 0 where `port` is empty. Raises
    HopFailed.
    """
    if not port:
        return 0
    try:
        number = int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")
    except OSError:
        number = 0
    if not 0 < number < 1 << 16:
        raise _unreadable(text)
    return number


def _unreadable(text: str) -> HopFailed:
    return HopFailed(
        "ssh_config", f"ProxyJump {text!r} is no [user@]host[:port] and no ssh://[user@]host[:port]"
    )


def _refuse_itself(jump: Destination, beyond: SshSettings) -> None:
    """Raises HopFailed for a host that is the jump host before itself, as ssh does: ssh.c, "jumphost loop via"."""
    way = (jump.host, jump.port or _SSH_PORT, jump.user or beyond.user)
    if way == (beyond.host, beyond.port, beyond.user):
        raise HopFailed("ssh_config", f"ProxyJump goes to {beyond.where} through {jump.host} itself")
