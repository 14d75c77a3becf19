"""What one row is made of: a home with its files, a server, an agent, and what ssh says of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

IN, HOST_KEY, LOGIN, SETTINGS, UNREACHABLE = "in", "host key", "login", "settings", "unreachable"
NO_TERMINAL, HANGS = "no terminal", "hangs"
"""The verdicts: logged in and the command's own output; refused, and for which kind of reason; no terminal given."""

BASE = """
Host *
  HostName 127.0.0.1
  Port <port>
  User <user>
  IdentityFile <home>/key
  UserKnownHostsFile <home>/known
"""
"""What the rows' own lines stand before. ssh takes the first value of a setting, so a row's line wins."""
NO_KEY = BASE.replace("  IdentityFile <home>/key\n", "")
NO_KNOWN = BASE.replace("  UserKnownHostsFile <home>/known\n", "")
KNOWN = "[127.0.0.1]:<port> <key.host>\n"
_VARIABLE = re.compile(r"<([a-z]+(?:[.][a-z0-9]+)?)>")


@dataclass(frozen=True)
class Row:
    """One configuration. Texts are Latin-1 and may hold <home>, <port>, <port.SERVER>, <user>, <key.NAME> (a
    public key), <hashed> (the name of known_hosts, hashed) and the programs <tcp>, <passfd>, <deaf>. Paths of files are below the row's home.
    """

    name: str
    config: str = ""
    ssh: str = IN  # what ssh says: the row would be another one if it said something else
    base: str = BASE
    files: Mapping[str, str] = field(default_factory=dict)
    known: str | None = KNOWN  # the content of <home>/known; None: the file is absent
    keys: Mapping[str, str] = field(default_factory=lambda: {"key": "good"})  # path -> file of keys.py
    modes: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # user and group; as root only
    agent: tuple[str, ...] = ()  # keys, in the order in which they are added
    env: Mapping[str, str] = field(default_factory=dict)  # an empty value removes a variable
    server: str = "plain"
    host: str = "mgmt"  # [user@]host[:port]
    answer: str | None = None  # to every question; None: nobody can be asked
    terminal: bool = False
    own_files: bool = False  # the settings are ~/.ssh/config's, not those of a file after -F
    etc: Mapping[str, str] = field(default_factory=dict)  # files of /etc/ssh
    hosts: str = ""  # lines of /etc/hosts
    start: str = ""  # a shell line that runs beside both; ready once <home>/ready is there
    seconds: float = 40.0  # then a side is said to hang
    needs: str = ""  # "ipv6", or the name of a program

    @property
    def needs_namespace(self) -> bool:
        """True for a home of the row's own: ssh takes the home from passwd, not from HOME."""
        return bool(self.own_files or self.etc or self.hosts or self.owners or "~" in self.config)


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with each <variable> replaced. Raises KeyError for an unknown variable."""
    return _VARIABLE.sub(lambda match: variables[match[1]], text)


def twice(rows: Iterable[Row]) -> set[str]:
    """Names that more than one row has."""
    names = [row.name for row in rows]
    return {name for name in names if names.count(name) > 1}
