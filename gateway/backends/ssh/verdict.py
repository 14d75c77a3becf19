"""Decides whether the key that a host shows is trusted: OpenSSH's check_host_key (sshconnect.c), with strict checking
always.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from gateway.backends.ssh.host_key import HostKey, shown
from gateway.backends.ssh.known_hosts import Line


@dataclass(frozen=True)
class Known:
    """The known_hosts lines of a host: `lines` of its name, `[host]:port` or the alias; `plain` of its name without
    the port, which count only where `lines` do not decide; None where the host has no second name.
    """

    name: str
    lines: Sequence[Line]
    plain: Sequence[Line] | None
    principal: str  # the name that a certificate has to have
    signature_algorithms: Sequence[str]  # with which an authority may sign


@dataclass(frozen=True)
class Refusal:
    """Why a key is not trusted, as the end of a sentence that begins with the key, and what to do."""

    why: str
    advice: str


UNKNOWN = "compare the fingerprint with its owner, and only then add the key under that name"
CHANGED = (
    "somebody may stand between you and the host; if the host was really given a new key, compare the fingerprint "
    "with its owner and replace that line"
)
REVOKED = "do not log in there: its owner has to give the host another key"


class _Status(Enum):
    """OpenSSH's HOST_OK, HOST_NEW, HOST_CHANGED and HOST_REVOKED."""

    OK = auto()
    NEW = auto()
    CHANGED = auto()
    REVOKED = auto()


def judge(offered: HostKey, known: Known) -> Refusal | None:
    """Returns why the key is not trusted; None where the key is trusted. The key in an invalid certificate is judged
    like any other key.
    """
    status, line = _look_up(offered, known.lines)
    if status is _Status.REVOKED and line:
        return Refusal(f"is revoked by {line.where}", REVOKED)
    certificate = offered.certificate
    fault = certificate.fault(known.principal, known.signature_algorithms) if certificate else ""
    if status is _Status.OK and not fault:
        return None
    beside = None
    if status is _Status.NEW and known.plain is not None:
        beside = judge(offered, replace(known, name=known.principal, lines=known.plain, plain=None))
        if not beside:
            return None
    if certificate:
        refused = judge(replace(offered, certificate=None), known)
        if refused and line:
            trusted = certificate.authority == line.pinned.key
            fault = (
                fault if trusted else f"is signed by {shown(certificate.authority)}, not as {line.where} says"
            )
            return replace(refused, why=f"{refused.why}, and its certificate {fault}")
        return refused
    if line:
        pinned = shown(line.pinned.key)
        return Refusal(f"is not the key that {line.where} pins for {known.name} ({pinned})", CHANGED)
    if beside and known.plain:
        return replace(beside, why=f"{_unknown(known)}, and {beside.why}")
    return Refusal(_unknown(known), UNKNOWN)


def _unknown(known: Known) -> str:
    authority = next((line for line in known.lines if line.marker == "cert-authority"), None)
    if authority:
        return f"has no certificate of the authority that {authority.where} trusts for {known.name}"
    return f"is unknown: no line has the name {known.name}"


def _look_up(offered: HostKey, lines: Sequence[Line]) -> tuple[_Status, Line | None]:
    """Looks a certificate up among authorities, a key among keys; returns the status and the line that decides
    (hostfile.c, check_key_in_hostkeys).
    """
    certificate = offered.certificate
    authority = certificate.authority if certificate else None
    for line in lines:
        if line.marker == "revoked" and line.pinned.key in (offered.key, authority):
            return _Status.REVOKED, line
    wanted = [line for line in lines if line.marker == ("cert-authority" if certificate else "")]
    for line in wanted:
        pinned = line.pinned
        if certificate and pinned.key == authority:
            return _Status.OK, line
        if not certificate and not pinned.certificate and pinned.key == offered.key:
            return _Status.OK, line
    return (_Status.CHANGED, wanted[-1]) if wanted else (_Status.NEW, None)
