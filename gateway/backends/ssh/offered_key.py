"""A key as asyncssh offers it to a host: the public key first; its signature is made when the host has taken it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import asyncssh

from gateway.backends.ssh.key_files import PublicKey

Sign = Callable[[str, bytes], Awaitable[bytes]]
"""(signature algorithm, data) -> signature. A ValueError lets the login go on with the next key."""

_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_CERTIFICATE = "-cert-v01@openssh.com"
_NEVER = b""  # where the host names no algorithms asyncssh takes the last, which for RSA has to be SHA-1: none, as in ssh


def signatures(key: PublicKey, accepted: Sequence[str]) -> dict[str, str]:
    """Returns the algorithms to sign with, the preferred first, each with the name under which the key is then
    offered; empty if `accepted` (PubkeyAcceptedAlgorithms; empty: all) has no algorithm of this key. RSA signs with
    SHA-2 only.
    """
    plain = key.key.get_algorithm()
    if plain == "ssh-rsa":
        suffix = _CERTIFICATE if key.certificate else ""
        names = {name + suffix: name for name in _RSA}
    else:
        names = {key.algorithm: plain}
    return {names[name]: name for name in accepted or names if name in names}


class OfferedKey(asyncssh.SSHKeyPair):
    """One key of a login. asyncssh calls set_sig_algorithm and, when the host takes the key, sign_async."""

    def __init__(self, key: PublicKey, names: Mapping[str, str], sign: Sign) -> None:
        algorithms = [name.encode() for name in names]
        last = [_NEVER] if key.rsa_bits else []
        super().__init__(key.algorithm.encode(), algorithms[0], algorithms + last, algorithms, key.blob, None)
        self.sig_algorithm = algorithms[0]
        self._names = names
        self._sign = sign

    def set_sig_algorithm(self, sig_algorithm: bytes) -> None:
        """Sets the algorithm to sign with, and the name under which the key is offered with that algorithm."""
        self.sig_algorithm = sig_algorithm
        self.algorithm = self._names[sig_algorithm.decode()].encode()

    async def sign_async(self, data: bytes) -> bytes:
        """Returns the signature of `data` for the host. Raises what `sign` raises."""
        return await self._sign(self.sig_algorithm.decode(), data)
