"""RevokedHostKeys: a list of public keys or a key revocation list (KRL), as OpenSSH's sshkey_check_revoked reads it."""

from dataclasses import dataclass
from pathlib import Path

import asyncssh

from gateway.backends.ssh.files import read_file
from gateway.backends.ssh.host_key import HostKey, read_host_key
from gateway.backends.ssh.known_hosts import key_blob
from gateway.backends.ssh.program import run
from gateway.backends.ssh.verdict import REVOKED, Refusal

_KRL = b"SSHKRL\n\0"  # PROTOCOL.krl
_EXIT_REVOKED = 1  # of ssh-keygen -Q


@dataclass(frozen=True)
class RevokedKeys:
    """The file that RevokedHostKeys names; no path where it names none. What cannot be read revokes every key."""

    path: str = ""
    data: bytes = b""
    unreadable: str = ""  # why

    @property
    def is_krl(self) -> bool:
        """True where the file is a KRL, which only `judge_by_krl` can read."""
        return self.data.startswith(_KRL)

    def judge(self, offered: HostKey) -> Refusal | None:
        """Returns why the list of keys refuses the key, or that the list cannot be read; None where the key passes,
        and for a KRL.
        """
        if self.unreadable:
            return self._unchecked(f"{self.path} cannot be read: {self.unreadable}")
        if self.is_krl:
            return None
        authority = offered.certificate.authority if offered.certificate else None
        for number, line in enumerate(self.data.split(b"\n"), 1):
            try:
                revoked = _key(line)
            except ValueError as error:
                return self._unchecked(f"{self.path}:{number} is no public key: {error}")
            if revoked and revoked in (offered.key, authority):
                return Refusal(f"is revoked by {self.path}:{number}", REVOKED)
        return None

    async def judge_by_krl(self, offered: HostKey, *, seconds: float) -> Refusal | None:
        """Runs ssh-keygen within `seconds` and returns why the KRL refuses the key, or that the KRL cannot be read;
        None where the key passes.
        """
        argv = ["ssh-keygen", "-Q", "-f", self.path, "/dev/stdin"]
        try:
            ended = await run(argv, given=offered.line, seconds=seconds)
        except TimeoutError:
            return self._unchecked(f"ssh-keygen did not read {self.path} within {seconds:g} s")
        except OSError as error:
            return self._unchecked(f"ssh-keygen, which reads {self.path}, does not start: {error.strerror}")
        if ended.status == _EXIT_REVOKED:
            return Refusal(f"is revoked by {self.path}", REVOKED)
        if ended.status:
            return self._unchecked(f"ssh-keygen cannot read {self.path}: {ended.words}")
        return None

    @staticmethod
    def _unchecked(why: str) -> Refusal:
        return Refusal(f"may be revoked ({why})", "mend the file that RevokedHostKeys names")


def read_revoked(path: str) -> RevokedKeys:
    """Reads the file that RevokedHostKeys names; an unreadable file is recorded in the result. Blocks: call it in a
    thread.
    """
    try:
        return RevokedKeys(path, read_file(Path(path))) if path else RevokedKeys()
    except OSError as error:
        return RevokedKeys(path, unreadable=error.strerror or str(error))


def _key(line: bytes) -> asyncssh.SSHKey | None:
    """Returns the key of a line; None for a comment and an empty line. Raises ValueError for any other line."""
    line = line.partition(b"\0")[0].lstrip(b" \t")
    if not line or line.startswith(b"#"):
        return None
    kind, text, *_ = [*line.split(None, 2), b"", b""]
    return read_host_key(key_blob(kind, text)).key
