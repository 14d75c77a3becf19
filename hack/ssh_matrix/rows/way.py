"""The way to the host: proxy commands, jumps, addresses."""

from ssh_matrix.row import BASE, HANGS, HOST_KEY, KNOWN, LOGIN, NO_KNOWN, SETTINGS, UNREACHABLE, Row

_TCP = "<tcp> 127.0.0.1 <port>"
_JUMP = """
Host j
  HostName 127.0.0.1
  Port <port.jump>
  IdentityFile <home>/jumpkey
  IdentitiesOnly yes
  UserKnownHostsFile <home>/jumpknown
Host k
  HostName 127.0.0.1
  Port <port.two>
  IdentityFile <home>/twokey
  IdentitiesOnly yes
  UserKnownHostsFile <home>/twoknown
  {}
Host gone
  HostName absent.invalid
Host mgmt
  ProxyJump {}
Host *
"""
_BY_COMMAND = _JUMP.replace(
    "  {}\nHost gone\n  HostName absent.invalid\nHost mgmt\n  ProxyJump {}", "Host mgmt\n  {}"
)
_KEYS = {"key": "good", "jumpkey": "jump", "twokey": "jumptwo"}
_HOSTS = {
    "jumpknown": "[127.0.0.1]:<port.jump> <key.hostjump>\n",
    "twoknown": "[127.0.0.1]:<port.two> <key.hosttwo>\n",
}
_NAME = BASE.replace("127.0.0.1", "many")
_MANY = "[many]:<port> <key.host>\n"


def _proxy(name: str, command: str, ssh: str = "in", **more: str) -> Row:
    return Row(f"ProxyCommand {name}", f"ProxyCommand {command}\n", ssh=ssh, env=more)


def _jump(name: str, jumps: str, ssh: str = "in", of_second: str = "", **changed: str) -> Row:
    return Row(
        f"ProxyJump {name}", _JUMP.format(of_second, jumps), keys=_KEYS, files=_HOSTS | changed, ssh=ssh
    )


ROWS = (
    _proxy("with tokens", "<tcp> %h %p"),
    _proxy("of socat", "socat - TCP:%h:%p"),
    _proxy("in place of the port", _TCP),
    _proxy("with a line on stderr", f'sh -c "echo hello >&2; exec {_TCP}"'),
    _proxy("with much on stderr", f'sh -c "seq 20000 >&2; exec {_TCP}"'),
    _proxy("of two commands, of which the first is exec'ed", f"echo hello >&2; exec {_TCP}", ssh=UNREACHABLE),
    _proxy("2>/dev/null", f"{_TCP} 2>/dev/null"),
    Row("ProxyCommand with ~", "ProxyCommand ~/tcp %h %p\n", files={"tcp": '#!/bin/sh\nexec <tcp> "$@"\n'}, modes={"tcp": 0o755}),
    _proxy("with $(…)", "<tcp> $(echo %h) %p"),
    _proxy("with a variable", "<tcp> $PLACE %p", PLACE="127.0.0.1"),
    _proxy("with a pipe", f"cat | {_TCP} | cat"),
    _proxy("with a leading =", f"= {_TCP}"),
    _proxy("with quotes", '<tcp> "%h" \'%p\''),
    _proxy("with %%", """sh -c "test %% = '%%' && exec <tcp> %h %p\""""),
    _proxy("none", "none"),
    _proxy("exits 1", "exit 1", ssh=UNREACHABLE),
    _proxy("says why it exits", "echo no way >&2; exit 1", ssh=UNREACHABLE),
    _proxy("is absent", "/absent %h %p", ssh=UNREACHABLE),
    _proxy("says rubbish", "echo rubbish", ssh=UNREACHABLE),
    _proxy("in another shell", "<tcp> $'127.0.0.1' %p", SHELL="/bin/bash"),
    Row("ProxyCommand, the name is the alias's", f"HostName far.invalid\nProxyCommand {_TCP}\n", known="[far.invalid]:<port> <key.host>\n"),
    Row("ProxyCommand, changed key", f"ProxyCommand {_TCP}\n", known="[127.0.0.1]:<port> <key.other>\n", ssh=HOST_KEY),
    Row("ProxyCommand, only the address is known", f"HostName far.invalid\nProxyCommand {_TCP}\n", ssh=HOST_KEY),
    Row("ProxyCommand ssh -W", _BY_COMMAND.format("ProxyCommand ssh -F <home>/config -W %h:%p j"), keys=_KEYS, files=_HOSTS),
    Row("ProxyCommand before ProxyJump", f"ProxyCommand {_TCP}\nProxyJump absent.invalid\n"),
    Row("ProxyJump before ProxyCommand", _BY_COMMAND.format("ProxyJump j\n  ProxyCommand false"), keys=_KEYS, files=_HOSTS),
    _jump("over one", "j"),
    _jump("over two", "j,k"),
    _jump("over two, each with its own settings", "k", of_second="ProxyJump j"),
    _jump("none", "none"),
    _jump("with user and port", "<user>@j:<port.jump>"),
    _jump("as a URL", "ssh://<user>@j:<port.jump>"),
    Row("ProxyJump to itself", "ProxyJump <user>@loop:<port>\n", base=BASE.replace("  HostName 127.0.0.1\n", ""), host="loop", ssh=SETTINGS),
    Row("ProxyJump in a circle", _JUMP.format("ProxyJump mgmt", "k"), keys=_KEYS, files=_HOSTS, ssh=HANGS, seconds=5.0),
    _jump("whose key changed", "j", jumpknown="[127.0.0.1]:<port.jump> <key.other>\n", ssh=HOST_KEY),
    _jump("whose key only the host's file knows", "j", jumpknown="", known=KNOWN + _HOSTS["jumpknown"], ssh=HOST_KEY),
    _jump("of a name that nobody knows", "gone", ssh=UNREACHABLE),
    Row("ProxyJump over IPv6", _JUMP.format("", "<user>@[::1]:<port.jump>").replace("Host j\n  HostName 127.0.0.1", "Host ::1\n  HostName ::1"), keys=_KEYS, files=_HOSTS | {"jumpknown": "[::1]:<port.jump> <key.hostjump>\n"}, needs="ipv6"),
    Row("ProxyJump, its key is the host's", _JUMP.format("", "j").replace("jumpkey", "key"), keys=_KEYS, files=_HOSTS, ssh=LOGIN),
    Row("ProxyJump that forbids it", _JUMP.format("", "j").replace("<port.jump>", "<port.noforward>"), keys=_KEYS, files={"jumpknown": "[127.0.0.1]:<port.noforward> <key.hostjump>\n"}, ssh=UNREACHABLE),
    Row("ProxyJump %r@j:%p", _JUMP.format("", "%r@j:<port.jump>"), keys=_KEYS, files=_HOSTS),
    Row("ProxyJump, host resolved behind it", _JUMP.format("", "j") + "HostName localhost\n", keys=_KEYS, files=_HOSTS, known="[localhost]:<port> <key.host>\n"),
    Row("AddressFamily inet", "AddressFamily inet\n", base=_NAME, hosts="::1 many\n127.0.0.1 many\n", known=_MANY),
    Row("AddressFamily inet, only IPv6", "AddressFamily inet\n", base=_NAME, hosts="::2 many\n", known=_MANY, ssh=UNREACHABLE),
    Row("AddressFamily inet6", "AddressFamily inet6\n", base=_NAME, hosts="127.0.0.1 many\n::1 many\n", known=_MANY, needs="ipv6"),
    Row("AddressFamily inet6, only IPv4", "AddressFamily inet6\n", base=_NAME, hosts="127.0.0.1 many\n", known=_MANY, ssh=UNREACHABLE),
    Row("BindAddress", "BindAddress 127.0.0.5\n"),
    Row("BindAddress that is not here", "BindAddress 203.0.113.7\n", ssh=UNREACHABLE),
    Row("BindInterface", "BindInterface lo\n"),
    Row("BindInterface that is not here", "BindInterface nowhere0\n", ssh=UNREACHABLE),
    Row("the first address refuses", base=_NAME, hosts="127.0.0.9 many\n127.0.0.1 many\n", known=_MANY),
    Row("the first address does not answer", "ConnectTimeout 2\n", base=_NAME, hosts="127.0.0.9 many\n127.0.0.1 many\n", known=_MANY, start="<deaf> 127.0.0.9 <port> <home>/ready"),
    Row("no address answers", "ConnectTimeout 1\n", base=_NAME, hosts="127.0.0.10 many\n", known=_MANY, start="<deaf> 127.0.0.10 <port> <home>/ready", ssh=UNREACHABLE),
    Row("known hosts of one of several addresses", base=_NAME, hosts="127.0.0.9 many\n127.0.0.1 many\n", ssh=HOST_KEY),
    Row("a proxy and no known hosts", f"ProxyCommand {_TCP}\nUserKnownHostsFile /dev/null\n", base=NO_KNOWN, ssh=HOST_KEY),
)  # fmt: skip
