"""The settings that OpenSSH's client would use for one host, as types; `ask.py` gets them from ssh itself."""

import socket
from dataclasses import dataclass
from pathlib import Path

from gateway.dial import host_port


@dataclass(frozen=True)
class Destination:
    """What a person writes to name a host: [user@]host[:port]. An empty user and port 0 leave the choice to ssh."""

    host: str
    user: str = ""
    port: int = 0


@dataclass(frozen=True)
class SshSettings:
    """The settings of one host, the management host or a jump host before it.

    Paths are absolute; `~`, tokens (%h) and variables are expanded. An empty text or tuple means "not set". A field
    that ends in `_named` is True where the user's own files name the setting, and False where it is ssh's default.
    """

    name: str  # as it was asked for: %n
    host: str  # the name or address to connect to: %h
    port: int
    user: str

    # the way there
    proxy_command: str = ""  # a shell line with its tokens expanded
    proxy_jump: tuple[str, ...] = ()  # each [user@]host[:port] or an ssh:// URL, the nearest first
    address_family: socket.AddressFamily = socket.AF_UNSPEC
    bind_address: str = ""
    bind_interface: str = ""
    connect_timeout: float = 10.0  # seconds for TCP and the key exchange
    keepalive_interval: float = 4.5  # seconds; 0 is off
    keepalive_count: int = 3
    rekey_bytes: int = 0  # after which new keys are exchanged; 0: asyncssh's own limit
    rekey_seconds: int = 0

    # whom we trust
    host_key_alias: str = ""
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    known_hosts_command: str = ""  # the tokens of a key (%f %H %I %K %t) are left in it, all others expanded
    revoked_host_keys: str = ""  # a path; empty where the setting is absent or "none"
    host_key_algorithms: tuple[str, ...] = ()
    host_key_algorithms_named: bool = False  # a list of their own, not ssh's and more
    ca_signature_algorithms: tuple[str, ...] = ()
    required_rsa_bits: int = 1024

    # who we are
    identity_files: tuple[Path, ...] = ()
    identities_named: bool = False
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: str = ""  # the socket's path; empty: no agent
    public_key_algorithms: tuple[str, ...] = ()
    authentications: tuple[str, ...] = (
        "publickey",
        "keyboard-interactive",
        "password",
    )  # allowed, in ssh's order
    password_prompts: int = 3
    batch_mode: bool = False  # nobody is asked for a passphrase or at a prompt

    # the connection
    kex_algorithms: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    algorithms_named: frozenset[str] = (
        frozenset()
    )  # keywords of ssh, as in "ciphers", whose list the user's files name

    remarks: tuple[str, ...] = ()  # lines of the user's files that are not followed, each with its reason

    @property
    def where(self) -> str:
        """The host and port, as messages show them."""
        return host_port(self.host, self.port)
