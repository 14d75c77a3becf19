"""sshd processes, one for each kind of server that rows need, and what they accept."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ssh_matrix.keys import ACCEPTED, Keys

_BASE = """
ListenAddress 127.0.0.1:{port}
{ipv6}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile {authorized}
MaxStartups 100
LogLevel VERBOSE
"""
SERVERS: Mapping[str, str] = {
    "plain": "HostKey {keys}/host",
    "three": "HostKey {keys}/host\nHostKey {keys}/hostrsa\nHostKey {keys}/hostecdsa",
    "certified": "HostKey {keys}/host\nHostCertificate {keys}/hostcert.pub",
    "wrongname": "HostKey {keys}/host\nHostCertificate {keys}/hostcertother.pub",
    "users": "HostKey {keys}/host\nTrustedUserCAKeys {keys}/ca.pub",
    "jump": "HostKey {keys}/hostjump",
    "two": "HostKey {keys}/hosttwo",
    "sha1": "HostKey {keys}/hostrsa\nHostKeyAlgorithms ssh-rsa",
    "rsa": "HostKey {keys}/hostrsa",
    "sntrup": "HostKey {keys}/host\nKexAlgorithms sntrup761x25519-sha512@openssh.com",
    "sha1kex": "HostKey {keys}/host\nKexAlgorithms diffie-hellman-group14-sha1",
    "chacha": "HostKey {keys}/host\nCiphers chacha20-poly1305@openssh.com",
    "cbc": "HostKey {keys}/host\nCiphers aes256-cbc",
    "etm": "HostKey {keys}/host\nCiphers aes256-ctr\nMACs hmac-sha2-256-etm@openssh.com",
    "sha1mac": "HostKey {keys}/host\nCiphers aes256-ctr\nMACs hmac-sha1",
    "umac": "HostKey {keys}/host\nCiphers aes256-ctr\nMACs umac-128-etm@openssh.com",
    "banner": "HostKey {keys}/host\nBanner {keys}/banner",
    "addendum": "HostKey {keys}/host\nVersionAddendum caf\xe9",
    "noforward": "HostKey {keys}/hostjump\nAllowTcpForwarding no",
}
_AUTHORIZED = {"jump": ("jump",), "noforward": ("jump",), "two": ("jumptwo",)}
_STARTED = 10.0  # seconds for all to listen


@contextmanager
def servers(directory: Path, keys: Keys) -> Iterator[dict[str, int]]:
    """Runs all of SERVERS; gives name -> port. Raises OSError with what sshd wrote where a server does not start."""
    (keys.directory / "banner").write_bytes(b"Acc\xe8s r\xe9serv\xe9\n")
    programs: dict[str, subprocess.Popen[bytes]] = {}
    ports = dict(zip(SERVERS, _free(len(SERVERS)), strict=True))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd's unprivileged half lives
    try:
        for name, lines in SERVERS.items():
            file, log = directory / f"{name}.conf", directory / f"{name}.log"
            authorized = directory / f"{name}.authorized"
            authorized.write_text(_authorized(keys, *_AUTHORIZED.get(name, ())))
            ipv6 = f"ListenAddress [::1]:{ports[name]}" if ipv6_works() else ""
            text = _BASE.format(port=ports[name], ipv6=ipv6, authorized=authorized)
            file.write_text(text + _penalties() + lines.format(keys=keys.directory) + "\n", "latin-1")
            with log.open("wb") as output:
                programs[name] = subprocess.Popen(
                    [_sshd(), "-D", "-e", "-f", str(file)], stdin=subprocess.DEVNULL, stderr=output
                )
        for name, port in ports.items():
            _wait(name, programs[name], port, directory / f"{name}.log")
        yield ports
    finally:
        for program in programs.values():
            program.terminate()
        for program in programs.values():
            program.wait()


def ipv6_works() -> bool:
    """There is a loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _authorized(keys: Keys, *names: str) -> str:
    if names:
        return keys.authorized(*names)
    return keys.authorized(*ACCEPTED) + "".join(
        f"{option} {keys.public(name)}\n"
        for option, name in (
            ('command="echo other"', "forced"),
            ("no-pty", "nopty"),
            ("restrict", "restrict"),
        )
    )


def _sshd() -> str:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") or "sshd"


def _penalties() -> str:
    """From OpenSSH 9.8 on sshd punishes an address for failed logins, of which there are many here."""
    known = subprocess.run(
        [_sshd(), "-t", "-o", "PerSourcePenalties=no"], capture_output=True, text=True, check=False
    )
    return "" if "Bad configuration option" in known.stderr else "PerSourcePenalties no\n"


def _free(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _wait(name: str, program: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _STARTED
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if program.poll() is not None or time.monotonic() > end:
                raise OSError(f"sshd {name} does not start: {log.read_text(errors='replace')}") from None
        time.sleep(0.02)
