"""Logs in at one host: connects, verifies the host's key, offers ours, and turns asyncssh's errors into HopFailed."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh

from gateway.backends.ssh.algorithms import algorithms
from gateway.backends.ssh.client import Ask, Client, Hooks, Waiting
from gateway.backends.ssh.foreign_text import shown
from gateway.backends.ssh.identities import Identities, IdentityLimits, identities
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.proxy_command import ProxyCommand, start_proxy_command
from gateway.backends.ssh.settings import SshSettings
from gateway.backends.ssh.tcp import connect_tcp
from gateway.backends.ssh.trust import Trust, trust
from gateway.errors import HopFailed
from gateway.settings.config import Limits

if TYPE_CHECKING:
    import socket

_LOOKS = 3  # key exchanges, where a program has to be asked about the host key between them
_LAST_WORDS = 0.5  # seconds for a proxy command to say why it failed
HOST = "the management host, which has not answered the login yet"


@dataclass(frozen=True)
class People:
    """The people whom a login may ask: for a passphrase, or at a prompt of the host. `waiting` is entered meanwhile."""

    passphrase: Passphrase
    prompt: Ask | None = None
    waiting: Waiting = lambda _: nullcontext()


class LoggedIn:
    """A connection that is logged in at a host. `lost` is set when the connection is gone."""

    def __init__(self, settings: SshSettings) -> None:
        self.settings = settings
        self.lost = asyncio.Event()
        self.connection: asyncssh.SSHClientConnection | None = None
        self.proxy: ProxyCommand | None = None
        self.sock: socket.socket | None = None

    @property
    def words(self) -> str:
        """The last words of the proxy command in brackets, to append to a message; empty without words."""
        said = self.proxy.words() if self.proxy else ""
        return f" ({said})" if said else ""

    def close(self) -> None:
        """Aborts the connection with all its channels and ends the proxy command; returns at once."""
        if self.connection:
            self.connection.abort()
        if self.proxy:
            self.proxy.close()

    async def wait_closed(self) -> None:
        """Waits until the sockets are closed and the proxy command has ended."""
        if self.connection:
            await self.connection.wait_closed()
        if self.proxy:
            await self.proxy.wait_closed()
        if self.sock:
            self.sock.close()  # asyncssh leaves it open where it is cancelled before the first byte


async def login(
    settings: SshSettings, via: LoggedIn | None, limits: Limits, people: People, *, key_required: bool
) -> LoggedIn:
    """Logs in at one host, through the host `via` if given, and returns the connection. `key_required`: an identity
    file that cannot be used is an error.

    Raises HopFailed: ssh_config, ssh_unreachable, ssh_busy, ssh_host_key, ssh_refused, ssh_unconfirmed. When
    cancelled, nothing is left open.
    """
    if not settings.authentications:
        raise HopFailed(
            "ssh_refused",
            f"{settings.user}@{settings.where}: your ssh settings allow no way to log in that is known here: name publickey "
            "in PreferredAuthentications",
        )
    if settings.batch_mode:
        people = People(Passphrase(None), None, people.waiting)
    trusted = await trust(settings, seconds=limits.ssh_settings)
    # the attempt's own time limit ends a signature that nobody confirms: its error names whom the login waited for
    waits, patience = _Waits(people.waiting), IdentityLimits(signature=2 * limits.ssh_login)
    async with identities(
        settings, people.passphrase, required=key_required, waiting=waits.entered, patience=patience
    ) as ours:
        for _ in range(_LOOKS):
            try:
                return await _Attempt(settings, trusted, ours, limits, people.prompt, waits).run(via)
            except asyncssh.HostKeyNotVerifiable:
                if not await trusted.look_closer(seconds=limits.ssh_settings):
                    break
    raise HopFailed("ssh_host_key", await trusted.refusal())


class _Waits:
    """Records for whom a login waits; `entered` enters `waiting` too."""

    def __init__(self, waiting: Waiting) -> None:
        self.reasons: list[str] = []  # at this moment, the innermost last
        self.given_up = ""  # the innermost at the moment in which the login was given up
        self._waiting = waiting

    @contextmanager
    def entered(self, reason: str) -> Iterator[None]:
        self.reasons.append(reason)
        try:
            with self._waiting(reason):
                yield
        except asyncio.CancelledError:
            self.given_up = self.given_up or reason
            raise
        finally:
            self.reasons.remove(reason)


class _Attempt:
    """One attempt to log in: limited by `connect_timeout` until the first authentication request, then by
    `Limits.ssh_login`, which allows for people.
    """

    def __init__(
        self,
        settings: SshSettings,
        trusted: Trust,
        ours: Identities,
        limits: Limits,
        prompt: Ask | None,
        waits: _Waits,
    ) -> None:
        self._made = LoggedIn(settings)
        self._settings = settings
        self._trust = trusted
        self._ours = ours
        self._limits = limits
        self._waits = waits
        self._until = ExitStack()
        self._clock: asyncio.Timeout
        self._client = Client(
            settings,
            Hooks(trusted.guard, self._begin, ours.next, prompt, waits.entered, self._made.lost.set),
        )

    async def run(self, via: LoggedIn | None) -> LoggedIn:
        """Returns the connection. Raises HopFailed, and HostKeyNotVerifiable: the caller may `look_closer` then."""
        settings, made = self._settings, self._made
        with self._until:
            try:
                options, way = await self._options(), await self._way(via)
                async with asyncio.timeout(settings.connect_timeout) as self._clock:
                    made.connection = await asyncssh.connect(
                        settings.host, settings.port, options=options, config=None, **way
                    )
                return made
            except (asyncssh.Error, OSError, ValueError) as error:  # a TimeoutError is an OSError
                if made.proxy:
                    await made.proxy.wait_ended(_LAST_WORDS)
                raise self._failure(error) from None
            finally:
                if not made.connection:
                    made.close()
                    await made.wait_closed()

    async def _options(self) -> asyncssh.SSHClientConnectionOptions:
        settings = self._settings
        made: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
            config=None,
            host=settings.host,
            port=settings.port,
            username=settings.user,
            client_factory=lambda: self._client,
            known_hosts=self._trust.known_hosts,
            server_host_key_algs=self._trust.host_key_algorithms,
            client_keys=None,  # the client gives each in its turn
            agent_path=None,
            preferred_auth=list(settings.authentications),
            connect_timeout=None,  # the clock's: it knows people
            login_timeout=0,
            keepalive_interval=settings.keepalive_interval,
            keepalive_count_max=settings.keepalive_count,
            rekey_bytes=settings.rekey_bytes or (),
            rekey_seconds=settings.rekey_seconds or (),
            agent_forwarding=False,
            x11_forwarding=False,
            utf8_decode_errors="replace",
            **algorithms(settings),
        )
        return made

    async def _way(self, via: LoggedIn | None) -> dict[str, Any]:
        """Returns what asyncssh connects through: `via`, a new proxy command or a new socket. Raises HopFailed."""
        settings = self._settings
        if via and via.connection:
            return {"tunnel": via.connection}
        if settings.proxy_command:
            self._made.proxy = await start_proxy_command(settings.proxy_command)
            return {"sock": self._made.proxy.sock}
        self._made.sock = await connect_tcp(
            settings.host, settings.port, family=settings.address_family, bind_address=settings.bind_address,
            bind_interface=settings.bind_interface, seconds=settings.connect_timeout,
        )  # fmt: skip
        return {"sock": self._made.sock}

    def _begin(self) -> None:
        """Switches to the time limit for people: after the first authentication request a person may be asked."""
        self._clock.reschedule(asyncio.get_running_loop().time() + self._limits.ssh_login)
        self._until.enter_context(self._waits.entered(HOST))

    def _failure(self, error: Exception) -> Exception:
        settings, words = self._settings, self._made.words
        where, who = settings.where, f"{settings.user}@{settings.where}"
        said = self._made.proxy.words() if self._made.proxy else ""
        why = said or getattr(error, "strerror", None) or shown(str(error))
        match error:
            case asyncssh.HostKeyNotVerifiable():
                return error
            case asyncssh.PermissionDenied():
                remarks = "".join(f"; {remark}" for remark in self._ours.remarks)
                return HopFailed("ssh_refused", f"{who} refused the login: {shown(error.reason)}{remarks}")
            case asyncssh.KeyExchangeFailed():
                return HopFailed(
                    "ssh_config", f"{where}: {self._client.nothing_in_common or shown(error.reason)}"
                )
            case asyncssh.ConnectionLost() | ConnectionResetError() | BrokenPipeError() if (
                lacking := self._client.nothing_in_common
            ):
                return HopFailed("ssh_config", f"{where}: {lacking}")
            case asyncssh.ConnectionLost() | ConnectionResetError() | BrokenPipeError():
                return self._client.dropped(where, why, by_proxy=bool(self._made.proxy))
            case TimeoutError() if self._waits.reasons:
                reason = self._waits.given_up or self._waits.reasons[-1]
                limit = f"{self._limits.ssh_login:g} s"
                text = f"{who} let nobody in within {limit}, waiting for {reason}{words}"
                return HopFailed("ssh_unconfirmed", text)
            case TimeoutError():
                return HopFailed(
                    "ssh_unreachable", f"{where} did not answer within {settings.connect_timeout:g} s{words}"
                )
        code = "ssh_refused" if "authentication failures" in str(error) else "ssh_unreachable"
        return HopFailed(code, f"{where} cannot be reached: {why}")
