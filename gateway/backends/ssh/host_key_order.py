"""Orders the host key algorithms to offer: types of keys that known_hosts pins come first (sshconnect2.c,
order_hostkeyalgs).
"""

from collections.abc import Sequence

from asyncssh.public_key import get_certificate_algs, get_public_key_algs

from gateway.backends.ssh.host_key import CERTIFICATE, KINDS
from gateway.backends.ssh.known_hosts import Line

_RSA = ("rsa-sha2-512", "rsa-sha2-256")  # the type, ssh-rsa, is also the name of RSA with SHA-1
SIGNATURES = (*(kind for kind in KINDS if kind != "ssh-rsa"), *_RSA)
"""The algorithms with which a host, or an authority, may sign where the user names none."""
_DEFAULT = (*(one.partition("@")[0] + CERTIFICATE for one in SIGNATURES), *SIGNATURES)


def host_key_algorithms(named: Sequence[str], lines: Sequence[Line], *, as_named: bool) -> list[str]:
    """Returns the algorithms to offer: of ssh's list (`named`; empty: our default) those that asyncssh has; may be
    empty. SHA-1 is offered only where the user names it: ssh's own list has none. `as_named`: the user gave the list
    and its order; otherwise the types of the keys in `lines` come first.
    """
    asyncssh = {one.decode("ascii") for one in (*get_public_key_algs(), *get_certificate_algs())}
    offered = [one for one in named or _DEFAULT if one in asyncssh and kind_of(one) in KINDS]
    pinned = _kinds(lines)
    if as_named or not offered or kind_of(offered[0]) in pinned:
        return offered
    certified = any(line.marker == "cert-authority" for line in lines)
    first = [one for one in offered if kind_of(one) in pinned or (certified and one.endswith(CERTIFICATE))]
    return first + [one for one in offered if one not in first]


def kind_of(algorithm: str) -> str:
    """Returns the type of the plain key that signs with `algorithm`."""
    base = algorithm.removesuffix(CERTIFICATE)
    if base in _RSA:
        return "ssh-rsa"
    return next((kind for kind in KINDS if base in (kind, kind.partition("@")[0])), base)


def signature(algorithm: str) -> str:
    """Returns the signature algorithm of a host key algorithm; for a certificate, the algorithm of its key."""
    base = algorithm.removesuffix(CERTIFICATE)
    return base if base in _RSA else kind_of(algorithm)


def _kinds(lines: Sequence[Line]) -> set[str]:
    """Returns the types of the pinned keys whose first key is not revoked."""
    revoked = [line.pinned.key for line in lines if line.marker == "revoked"]
    first: dict[str, bool] = {}
    for line in lines:
        if not line.marker and not line.pinned.certificate:
            first.setdefault(line.pinned.kind, line.pinned.key not in revoked)
    return {kind for kind, good in first.items() if good}
