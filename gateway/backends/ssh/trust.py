"""Whom we trust: the host key of one host, verified as OpenSSH's client does with StrictHostKeyChecking yes.

    trusted = await trust(settings, seconds=10)
    for _ in range(3):
        try:
            connection = await asyncssh.connect(
                …, client_factory=lambda: client, known_hosts=trusted.known_hosts,
                server_host_key_algs=trusted.host_key_algorithms)
            break
        except asyncssh.HostKeyNotVerifiable:
            if not await trusted.look_closer(seconds=10):
                raise HopFailed("ssh_host_key", await trusted.refusal()) from None

and in the client's connection_made: `trusted.guard(connection)`. Without it every key is refused.

asyncssh verifies a host key inside the key exchange, where nothing can be awaited. Where the verdict needs a program
(KnownHostsCommand with the key among its words, a KRL in RevokedHostKeys), the key exchange is refused, `look_closer`
asks the program, and the next connection uses its verdict. The host has received only the key exchange by then.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import asyncssh

from gateway.backends.ssh.host_key import HostKey, read_host_key, shown
from gateway.backends.ssh.host_key_order import SIGNATURES, host_key_algorithms, signature
from gateway.backends.ssh.known_hosts import Line
from gateway.backends.ssh.known_hosts_command import ask_command, needs_key
from gateway.backends.ssh.pins import Pins, elsewhere, find, names, tell
from gateway.backends.ssh.revoked import RevokedKeys, read_revoked
from gateway.backends.ssh.settings import SshSettings
from gateway.backends.ssh.verdict import UNKNOWN, Known, Refusal, judge
from gateway.errors import HopFailed

_ELSEWHERE = 3  # lines named in a message
_NOT_FOLLOWED = ("StrictHostKeyChecking", "VerifyHostKeyDNS", "NoHostAuthenticationForLocalhost")
_NOT_JUDGED = Refusal("was not looked at yet", "connect again")
_BETTER_KEY = "its owner has to give the host a longer key, or one of another type"


class Trust:
    """Verifies the host key of one host, for one login and the connection that comes of it."""

    known_hosts: tuple[Sequence[str], ...] = ((),) * 7  # asyncssh by itself trusts nobody

    def __init__(
        self, settings: SshSettings, pins: Pins, revoked: RevokedKeys, algorithms: list[str]
    ) -> None:
        self.host_key_algorithms = algorithms
        self._settings = settings
        self._pins = pins
        self._revoked = revoked
        self._offered: HostKey | None = None
        self._verdicts: dict[bytes, Refusal | None] = {}

    def guard(self, connection: asyncssh.SSHClientConnection) -> None:
        """Makes the connection verify its host key with this object, at the first key exchange and at each that
        follows.
        """
        connection.validate_server_host_key = self._verify  # type: ignore[method-assign]

    async def look_closer(self, *, seconds: float) -> bool:
        """Asks the programs about the key that was refused last, each within `seconds`. Returns True where the key is
        trusted after all: connect again. Returns False at once where the key has its verdict already. Raises
        HopFailed(ssh_host_key) where KnownHostsCommand fails.
        """
        offered = self._offered
        if not offered or offered.blob in self._verdicts:
            return False
        refused = self._by_itself(offered)
        if not refused and self._revoked.is_krl:
            refused = await self._revoked.judge_by_krl(offered, seconds=seconds)
        if not refused:
            printed = await _printed(self._settings, offered, seconds) if self._asks_about_key else ()
            refused = self._by_lines(offered, printed)
        self._verdicts[offered.blob] = refused
        return refused is None

    async def refusal(self) -> str:
        """Returns why the key that was refused last is not trusted, and what to do: the message of
        HopFailed("ssh_host_key").
        """
        where, offered = self._settings.where, self._offered
        if not offered:
            return f"{where} showed no host key that can be read: ask its owner which host keys its sshd has"
        refused = self._verdicts.get(offered.blob) or _NOT_JUDGED
        beside = [*self._pins.skipped, *self._pins.unreadable]
        known = await asyncio.to_thread(elsewhere, self._settings, offered.key)
        beside += [f"the same key is in {', '.join(known[:_ELSEWHERE])}"] if known else []
        beside += [one for one in self._settings.remarks if one.startswith(_NOT_FOLLOWED)]
        words = "".join(f" ({one})" for one in beside)
        files = " or ".join(str(file) for file in self._settings.user_known_hosts)
        return f"the host key of {where}, {shown(offered.key)}, {refused.why}{words}: {refused.advice}" + (
            f" (in {files})" if files and refused.advice == UNKNOWN else ""
        )

    @property
    def _asks_about_key(self) -> bool:
        return needs_key(self._settings.known_hosts_command)

    def _verify(self, key_data: bytes) -> asyncssh.SSHKey:
        """Returns the key with which the host has to sign. Raises HostKeyNotVerifiable unless the key is trusted."""
        self._offered = None
        try:
            offered = self._offered = read_host_key(key_data)
        except ValueError:
            raise _not_trusted() from None
        if key_data not in self._verdicts and not (self._revoked.is_krl or self._asks_about_key):
            self._verdicts[key_data] = self._by_itself(offered) or self._by_lines(offered, ())
        if self._verdicts.get(key_data, _NOT_JUDGED):
            raise _not_trusted()
        allowed = {signature(one).encode("ascii") for one in self.host_key_algorithms}
        offered.key.all_sig_algorithms = offered.key.all_sig_algorithms & allowed
        return offered.key

    def _by_itself(self, offered: HostKey) -> Refusal | None:
        """Returns a refusal that holds for the key at any host: its size, a list of revoked keys; None where the key
        passes.
        """
        least = self._settings.required_rsa_bits
        if offered.bits and offered.bits < least:
            return Refusal(f"has {offered.bits} bits, and RequiredRSASize asks for {least}", _BETTER_KEY)
        return self._revoked.judge(offered)

    def _by_lines(self, offered: HostKey, printed: Sequence[Line]) -> Refusal | None:
        settings, (name, _) = self._settings, names(self._settings)
        lines = (*self._pins.lines, *printed)
        principal = (settings.host_key_alias or settings.host).lower()
        signing = settings.ca_signature_algorithms or SIGNATURES
        return judge(offered, Known(name, lines, self._pins.plain, principal, signing))


def _not_trusted() -> asyncssh.HostKeyNotVerifiable:
    """Returns an error whose text, which asyncssh sends to the host, reveals nothing of our files."""
    return asyncssh.HostKeyNotVerifiable("the host key is not trusted")


async def trust(settings: SshSettings, *, seconds: float) -> Trust:
    """Reads the known hosts files of one host and the list of revoked keys, in a thread, and runs KnownHostsCommand
    where it needs no key; each of the three within `seconds`. Returns the verifier of the host's key; a file that
    cannot be read trusts no key.

    Raises HopFailed: ssh_config where no host key algorithm is left or the files do not answer, ssh_host_key where
    KnownHostsCommand fails. When cancelled, the command is killed, and the thread ends when the files answer.
    """
    try:
        async with asyncio.timeout(seconds):
            pins = await asyncio.to_thread(find, settings)
            revoked = await asyncio.to_thread(read_revoked, settings.revoked_host_keys)
    except TimeoutError:
        raise HopFailed("ssh_config", f"the known hosts files cannot be read within {seconds:g} s") from None
    command, preferred = settings.known_hosts_command, pins.lines
    if command and not settings.host_key_algorithms_named:
        host = settings.host.lower()
        ordered = await ask_command(command, "ORDER", host, None, seconds=seconds)
        preferred += tuple(ordered.find(host)[0])
    if command and not needs_key(command):
        pins = replace(pins, lines=pins.lines + await _printed(settings, None, seconds))
    algorithms = host_key_algorithms(
        settings.host_key_algorithms,
        preferred,
        as_named=settings.host_key_algorithms_named,
    )
    if not algorithms:
        named = ",".join(settings.host_key_algorithms)
        raise HopFailed("ssh_config", f"HostKeyAlgorithms {named} names nothing that can be used here")
    return Trust(settings, pins, revoked, algorithms)


async def _printed(settings: SshSettings, offered: HostKey | None, seconds: float) -> tuple[Line, ...]:
    """Returns the host's lines of what KnownHostsCommand prints; logs bad lines. Raises HopFailed(ssh_host_key)."""
    name, _ = names(settings)
    printed = await ask_command(settings.known_hosts_command, "HOSTNAME", name, offered, seconds=seconds)
    lines, bad = printed.find(name)
    tell(printed.source, [*printed.bad, *bad])
    return tuple(lines)
