"""OpenSSH itself: a private sshd on loopback, its client, and the keys and certificates of both.

    with sshd(tmp_path, "MaxAuthTries 2", host_keys=[key(tmp_path / "host_key")]) as server:
        server.authorize(key(tmp_path / "id"), 'command="echo hi"')
        config = server.client_config(f"IdentityFile {tmp_path}/id")
        done = ssh(config, "mgmt", "true")

sshd runs as the current user, who alone may log in; PAM is off. Start it once a module (`scope="module"`, with
tmp_path_factory): what changes from test to test is the text of `server.authorized`.
"""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import asyncssh
import pytest

LOOPBACK = "127.0.0.1"
NO_SSHD = "no sshd: apt-get install openssh-server"
SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
_PRIVILEGE_SEPARATION = Path("/run/sshd")  # root's sshd wants this directory

_DEFAULTS = """
UsePAM no
PidFile none
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel DEBUG1
MaxStartups 100
UseDNS no
"""


@cache
def version() -> tuple[int, int]:
    """The version of the OpenSSH that is installed, like (10, 0)."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, timeout=10, check=False).stderr
    major, minor = re.findall(r"OpenSSH_(\d+)\.(\d+)", said)[0]
    return int(major), int(minor)


def key(path: Path, kind: str = "ed25519", *, passphrase: str = "", comment: str = "") -> Path:
    """Makes a private key at `path` with its public key beside it in `path`.pub. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounds = ["-a", "1"] if passphrase else []  # of bcrypt: 24 take half a second
    _keygen("-t", kind, *rounds, "-N", passphrase, "-C", comment, "-f", str(path))
    return path


def rsa_key(path: Path, comment: str = "") -> Path:
    """Makes an RSA key of 2048 bits, as `key` does, but by asyncssh: ssh-keygen takes three times as long."""
    made = asyncssh.generate_private_key("ssh-rsa", comment, key_size=2048)
    path.touch(0o600)
    made.write_private_key(path)
    made.write_public_key(f"{path}.pub")
    return path


def lock(path: Path, passphrase: str) -> None:
    """Puts a passphrase on a key file, with one round of bcrypt: asyncssh itself writes no fewer than 50, of 20 ms."""
    _keygen("-p", "-a", "1", "-N", passphrase, "-f", str(path))


def public(path: Path) -> str:
    """The public key of the private key at `path`, as a line of known_hosts has it: its type and base64."""
    return " ".join(Path(f"{path}.pub").read_text("ascii").split()[:2])


def certificate(path: Path, authority: Path, *options: str, host: bool = False, name: str = "") -> Path:
    """Signs the public key of `path` with the private key `authority`. `options` are ssh-keygen's: -n principals,
    -V validity, -z serial, -O option. Returns the path of the certificate, `path`-cert.pub.
    """
    kind = ["-h"] if host else []
    _keygen("-s", str(authority), "-I", name or path.name, *kind, *options, f"{path}.pub")
    return Path(f"{path}-cert.pub")


def _keygen(*words: str) -> None:
    done = subprocess.run(
        ["ssh-keygen", "-q", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def ssh(config: Path, *words: str, seconds: float = 20.0) -> "subprocess.CompletedProcess[bytes]":
    """Runs OpenSSH's client with `config` alone and nobody to ask; `words` are options, host and command."""
    command = ["ssh", "-F", str(config), "-oBatchMode=yes", "-T", *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
    )


@dataclass
class Sshd:
    """A running sshd. Its files are in `folder`; `lines` is its log so far."""

    address: str
    port: int
    user: str
    host_keys: tuple[Path, ...]
    folder: Path
    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def authorized(self) -> Path:
        """The public keys that may log in, each with its options; read by sshd at each login."""
        return self.folder / "authorized_keys"

    @property
    def known_hosts(self) -> Path:
        """A file that trusts each of the host keys, under the name [address]:port."""
        return self.folder / "known_hosts"

    @property
    def log(self) -> str:
        """Everything that sshd has logged so far."""
        with self._grown:
            return "\n".join(self.lines)

    def authorize(self, identity: Path, options: str = "") -> None:
        """Lets the key of `identity` in and no other key; `options` as sshd(8) has them: 'no-pty', 'command="id"'."""
        self.authorized.write_text(f"{options} {public(identity)}\n".lstrip())

    def client_config(self, *lines: str, name: str = "mgmt") -> Path:
        """Writes a config of the client that knows this server as `name`; `lines` are more of it and win. Returns its
        path.
        """
        path = self.folder / "ssh_config"
        ours = [f"HostName {self.address}", f"Port {self.port}", f"User {self.user}", "IdentitiesOnly yes",
                f"UserKnownHostsFile {self.known_hosts}", "GlobalKnownHostsFile none", "IdentityAgent none"]  # fmt: skip
        path.write_text("\n  ".join([f"Host {name}", *lines, *ours]) + "\n")
        return path

    def wait_for(self, *texts: str, after: int = 0, seconds: float = 10.0) -> str:
        """Waits in this thread for a line of the log, from number `after` on, that contains one of `texts`. Returns
        the line.
        """

        def found() -> str:
            return next((one for one in self.lines[after:] if any(text in one for text in texts)), "")

        with self._grown:
            line = self._grown.wait_for(found, seconds)
            said = "\n".join(self.lines[after:])
        assert line, f"none of {texts} in sshd's log:\n{said}"
        return line

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as log:
            for line in log:
                self._write(line.rstrip("\r\n"))
        self._write(_END)

    def _write(self, line: str) -> None:
        with self._grown:
            self.lines.append(line)
            self._grown.notify_all()

    def end(self) -> None:
        """Kills sshd and the sessions that it still has; each of them is a process group of its own."""
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)


_END = "end of the log"


@contextmanager
def sshd(
    folder: Path,
    *options: str,
    host_keys: Sequence[Path] = (),
    certificates: Sequence[Path] = (),
    address: str = LOOPBACK,
    port: int = 0,
) -> Iterator[Sshd]:
    """Runs an sshd that listens on `address` until the block is left; port 0 takes a free port. `options` are lines of
    sshd_config and win over ours. Without `host_keys` it gets an ed25519 key. Skips the test where sshd is missing.
    """
    if not SSHD:
        pytest.skip(NO_SSHD)
    folder.mkdir(parents=True, exist_ok=True)
    keys = tuple(host_keys) or (key(folder / "host_key"),)
    if os.getuid() == 0:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    files = [f"AuthorizedKeysFile {folder}/authorized_keys", *(f"HostKey {one}" for one in keys)]
    files += [f"HostCertificate {one}" for one in certificates]
    text = "\n".join([*options, *files]) + _DEFAULTS + "PerSourcePenalties no\n" * (version() >= (9, 8))
    server = _start(folder, text, keys, address, port)
    try:
        name = f"[{address}]:{server.port}"
        server.known_hosts.write_text("".join(f"{name} {public(one)}\n" for one in keys))
        yield server
    finally:
        server.end()


def _start(folder: Path, text: str, keys: tuple[Path, ...], address: str, port: int) -> Sshd:
    config = folder / "sshd_config"
    for _ in range(5):  # somebody may take the free port before sshd does
        chosen = port or _free_port(address)
        config.write_text(f"ListenAddress [{address}]:{chosen}\n{text}", "utf-8", "surrogateescape")
        process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")  # fmt: skip
        server = Sshd(address, chosen, getpass.getuser(), keys, folder, process)
        if server.wait_for("Server listening on", _END) != _END:
            return server
        server.end()
        assert "already in use" in server.log, server.log
    raise AssertionError(f"no free port on {address}")


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text("ascii").split())
    return found[1:]
