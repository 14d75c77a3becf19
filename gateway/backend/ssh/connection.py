"""One SSH connection to the management host: login, channels, and what asyncssh's errors mean."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncssh

from gateway.backend.ssh.client import Ask, Client
from gateway.backend.ssh.options import Passphrase, Prompt, options, parse_host
from gateway.backend.ssh.process import RAW, Process
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize

_WINDOW = 4 << 20  # bytes that sshd may send ahead: 2 MiB at 50 ms would be 40 MB/s


class Connection:
    """A logged-in connection. `channels` is the pool's count; `lost` is set when it is gone."""

    def __init__(self, connection: asyncssh.SSHClientConnection, client: Client, jumps: list[Any]) -> None:
        self.channels = 0
        self.room = 8  # channels: sshd's MaxSessions is 10
        self.lost = client.lost
        self._connection = connection
        self._jumps = jumps
        self._processes: set[Process] = set()

    @property
    def opened(self) -> int:
        """Channels that the far side has opened, and not closed yet."""
        self._processes = {one for one in self._processes if not one.closed}
        return sum(one.opened for one in self._processes)

    async def open(self, line: str, size: TerminalSize | None) -> Process:
        """Runs an exec line; with a size in a raw terminal. Raises HopFailed: ssh_busy, ssh_lost. When cancelled, nothing
        is left open that outlives the connection.
        """
        terminal: dict[str, Any] = (
            {"term_type": "xterm-256color", "term_size": (size.columns, size.rows), "term_modes": RAW}
            if size
            else {}
        )
        process = Process()
        self._processes.add(process)
        try:
            await self._connection.create_session(
                lambda: process, line, encoding=None, window=_WINDOW, send_env=None, env=None,
                request_pty="force" if size else False, **terminal,
            )  # fmt: skip
        except asyncio.CancelledError:
            if process.opened:
                process.close()
            else:  # the channel will be open and nobody's, until the connection ends: it gets no more of them
                self.room = 0
            raise
        except asyncssh.ChannelOpenError as error:
            self._processes.discard(process)
            code = "ssh_lost" if self.lost.is_set() else "ssh_busy"
            raise HopFailed(code, f"the management host opened no channel: {error.reason}") from None
        except (asyncssh.Error, OSError) as error:
            raise HopFailed("ssh_lost", f"the connection to the management host was lost: {error}") from None
        return process

    def close(self) -> None:
        """Ends it with all its channels, at once."""
        self._connection.abort()
        for jump in self._jumps:
            jump.abort()

    async def wait_closed(self) -> None:
        """Its sockets are closed."""
        await self._connection.wait_closed()
        for jump in self._jumps:
            await jump.wait_closed()


async def connect(
    cluster: Cluster, limits: Limits, passphrase: Passphrase, prompt: Prompt | None
) -> Connection:
    """Logs in, through jump hosts where ~/.ssh/config names them. Raises HopFailed with what to do."""
    address = parse_host(cluster.ssh_host)
    jumps: list[asyncssh.SSHClientConnection] = []
    try:
        chosen = await options(cluster, address, limits, passphrase)
        for jump in str(chosen.config.get("ProxyJump") or "").split(","):
            if jump and jump.lower() != "none":
                via = await _login(parse_host(jump), cluster, limits, passphrase, prompt, jumps)
                jumps.append(via[0])
        connection, client = await _login(address, cluster, limits, passphrase, prompt, jumps)
    except BaseException:
        for jump_connection in jumps:
            jump_connection.abort()
        raise
    return Connection(connection, client, jumps)


async def _login(  # the parts of one call, three times the same
    address: dict[str, Any],
    cluster: Cluster,
    limits: Limits,
    passphrase: Passphrase,
    prompt: Prompt | None,
    jumps: list[asyncssh.SSHClientConnection],
) -> tuple[asyncssh.SSHClientConnection, Client]:
    patience = _Patience(limits.ssh_connect)
    client = Client(patience.unhurried(prompt) if prompt else None)
    more: dict[str, Any] = {"tunnel": jumps[-1]} if jumps else {}
    asked = {"passphrase": patience.unhurried(passphrase), "client_factory": lambda: client}
    chosen = await options(cluster, address, limits, passphrase, **asked, **more)
    where = f"{chosen.host}:{chosen.port}"
    try:
        async with patience.begun():
            connection = await asyncssh.connect(chosen.host, chosen.port, options=chosen, config=None, **more)
    except asyncssh.HostKeyNotVerifiable:
        raise HopFailed("ssh_host_key", _host_key(where, client.offered, chosen)) from None
    except asyncssh.PermissionDenied as error:
        passphrase.forget()  # of a key that a wrong one did not open asyncssh says no more than this
        raise HopFailed(
            "ssh_refused", f"{chosen.username}@{where} refused the login: {error.reason}"
        ) from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.KeyExchangeFailed) as error:
        passphrase.forget()
        raise HopFailed("ssh_config", f"{where}: {error}") from None
    except (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError) as error:
        raise client.dropped(where, error) from None
    except TimeoutError:
        raise HopFailed(
            "ssh_unreachable", f"{where} did not answer within {limits.ssh_connect:g} s"
        ) from None
    except (asyncssh.Error, OSError) as error:
        code = "ssh_refused" if "authentication failures" in str(error) else "ssh_unreachable"
        raise HopFailed(code, f"{where} cannot be reached: {error}") from None
    return connection, client


def _host_key(where: str, offered: asyncssh.SSHKey | None, chosen: Any) -> str:
    shown = offered.get_fingerprint() if offered else "of a kind that is not trusted"
    files = chosen.known_hosts
    names = files if isinstance(files, str) else ", ".join(files) if files else "any known hosts file"
    return (
        f"the host key of {where} ({shown}) is not the one in {names}: if the host was really given a new key, "
        "compare the fingerprint with its owner and put the key there"
    )


class _Patience:
    """Seconds for a host to let us in. It runs anew after a person was asked something."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout: asyncio.Timeout | None = None

    def begun(self) -> asyncio.Timeout:
        """Raises TimeoutError out of its block."""
        self._timeout = asyncio.timeout(self._seconds)
        return self._timeout

    def unhurried(self, ask: Ask) -> Ask:
        async def asked(*words: Any) -> str | None:
            self._reschedule(None)
            answer = await ask(*words)
            self._reschedule(asyncio.get_running_loop().time() + self._seconds)
            return answer

        return asked

    def _reschedule(self, when: float | None) -> None:
        with suppress(RuntimeError):  # the login has ended meanwhile
            if self._timeout:
                self._timeout.reschedule(when)
