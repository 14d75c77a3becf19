"""An SSH connection to the management host: the logins that lead to the host, and the channels."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any

import asyncssh
from asyncssh.constants import OPEN_REQUEST_PTY_FAILED

from gateway.backends.ssh.ask import ask, parse_host
from gateway.backends.ssh.client import Ask, Waiting
from gateway.backends.ssh.foreign_text import shown
from gateway.backends.ssh.jumps import route
from gateway.backends.ssh.login import LoggedIn, People, login
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.process import RAW, Process
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize
from gateway.settings.config import Cluster, Limits

_WINDOW = 4 << 20  # bytes that sshd may send ahead: 2 MiB at 50 ms would be 40 MB/s

_PING, _PINGS = 1.0, 4  # seconds between pings after a sleep, and how many may have no answer: 5 s in all


class Connection:
    """A logged-in connection. `channels` is the pool's count of channels; `lost` is set when the connection is gone."""

    def __init__(self, way: Sequence[LoggedIn]) -> None:
        """Takes over the logins of `way`: the jump hosts, and the management host last."""
        self.channels = 0
        self.closing = False  # by us
        self.room = 8  # channels: sshd's MaxSessions is 10
        self._way = way
        self._host = way[-1]
        self.lost = self._host.lost
        self._processes: set[Process] = set()

    @property
    def opened(self) -> int:
        """The number of channels that the far side has opened and not closed yet."""
        self._processes = {process for process in self._processes if not process.closed}
        return sum(process.opened for process in self._processes)

    async def open(self, line: str, size: TerminalSize | None) -> Process:
        """Runs an exec line in a channel, with a `size` in a raw terminal. Raises HopFailed: ssh_busy, ssh_lost,
        ssh_restricted. When cancelled, nothing is left open that outlives the connection.
        """
        terminal: dict[str, Any] = (
            {"term_type": "xterm-256color", "term_size": (size.columns, size.rows), "term_modes": RAW}
            if size
            else {}
        )
        process = Process(lambda: self._host.words)
        self._processes.add(process)
        try:
            connection = self._host.connection
            assert connection
            await connection.create_session(
                lambda: process, line, encoding=None, window=_WINDOW, send_env=None, env=None,
                request_pty="force" if size else False, **terminal,
            )  # fmt: skip
        except asyncio.CancelledError:
            if process.opened:
                process.close()
            else:  # the channel stays open, unused, until the connection ends: no new channels on it
                self.room = 0
            raise
        except asyncssh.ChannelOpenError as error:
            self._processes.discard(process)
            raise self._refusal(error) from None
        except (asyncssh.Error, OSError) as error:
            raise self.failure(shown(str(error))) from None
        return process

    def failure(self, why: str = "closed") -> HopFailed:
        """Returns the error ssh_lost, with `why` and the last words of the proxy command."""
        said = f"the connection to the management host was lost: {why}{self._host.words}"
        return HopFailed("ssh_lost", said)

    def _refusal(self, error: asyncssh.ChannelOpenError) -> HopFailed:
        if error.code == OPEN_REQUEST_PTY_FAILED:
            said = "the management host gives this key no terminal (no-pty or restrict in authorized_keys, or PermitTTY no)"
            return HopFailed("ssh_restricted", said)
        code = "ssh_lost" if self.lost.is_set() else "ssh_busy"
        return HopFailed(code, f"the management host opened no channel: {shown(error.reason)}")

    def close(self) -> None:
        """Closes the connection, its channels and the connections to the jump hosts; returns at once."""
        self.closing = True
        for hop in reversed(self._way):
            hop.close()

    async def wait_answer(self) -> None:
        """Sends a ping and waits for its answer, and then returns; a connection on which nothing comes for some seconds is
        lost, however long its own keepalive waits.
        """
        connection, settings = self._host.connection, self._host.settings
        assert connection
        connection.set_keepalive(_PING, _PINGS)
        with suppress(OSError, asyncssh.Error):
            await connection._make_global_request(b"keepalive@openssh.com")  # noqa: SLF001  # no other name
        if not self.lost.is_set():
            connection.set_keepalive(settings.keepalive_interval, settings.keepalive_count)

    async def wait_closed(self) -> None:
        """Waits until the sockets are closed and the proxy commands have ended."""
        for hop in reversed(self._way):
            await hop.wait_closed()


async def connect(
    cluster: Cluster,
    limits: Limits,
    passphrase: Passphrase,
    prompt: Ask | None = None,
    waiting: Waiting = lambda _: nullcontext(),
) -> Connection:
    """Returns a connection, logged in as the user's own ssh would, through the jump hosts that its settings name.
    Raises HopFailed.

    `waiting` is entered while a login waits for somebody. When cancelled, nothing is left open.
    """
    people, way = People(passphrase, prompt, waiting), list[LoggedIn]()
    try:
        target = await ask(cluster, parse_host(cluster.ssh_host), limits)
        for settings in await route(target, lambda jump: ask(cluster, jump, limits)):
            key_required = "ssh_key" in cluster.explicit
            way.append(
                await login(settings, way[-1] if way else None, limits, people, key_required=key_required)
            )
    except BaseException:
        for hop in reversed(way):
            hop.close()
        raise
    return Connection(way)
