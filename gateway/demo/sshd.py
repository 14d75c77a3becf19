"""Runs the demo's management host: a real SSH server for one user with one key, on loopback."""

import asyncio
import contextlib
import functools
from collections.abc import Coroutine
from typing import Any

import asyncssh

from gateway.demo.cleanup import MARK, end_processes, kill_processes
from gateway.demo.session import Account, Session

USER = "dap"
_SESSIONS_SECONDS = 2.0


class Sshd:
    """Runs until `close`; sessions are tasks of one group, which ends with it.

    `max_sessions` is sshd's MaxSessions: running commands and open session channels of one connection.
    """

    def __init__(self, account: Account, client_key: asyncssh.SSHKey, max_sessions: int) -> None:
        self.account = account
        self.client_key = client_key
        self.max_sessions = max_sessions
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.leaders: set[int] = set()
        self._group = asyncio.TaskGroup()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def listen(self, host_key: asyncssh.SSHKey) -> int:
        """Starts on a free port of 127.0.0.1 and returns the port."""
        await self._group.__aenter__()
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=functools.partial(Connection, self),
            server_host_keys=[host_key],
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            line_editor=False,
            encoding=None,
            keepalive_interval=0,
        )
        return self._acceptor.get_port()

    def begin(self, session: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(session)

    async def close(self) -> None:
        """Ends connections, processes and sessions, in a few seconds at most; at once when cancelled."""
        try:
            await self._end()
        except asyncio.CancelledError:
            kill_processes(self.account.environment[MARK])
            raise

    async def _end(self) -> None:
        if self._acceptor:
            self._acceptor.close()
        for connection in list(self.connections):
            connection.close()
        for connection in list(self.connections):
            await connection.wait_closed()
        await end_processes(self.account.environment[MARK], self.leaders)
        with contextlib.suppress(TimeoutError):  # only a process that not even KILL ends keeps a session
            async with asyncio.timeout(_SESSIONS_SECONDS):
                # The group never sees the exception that ends the demo's block: it would wrap it.
                await self._group.__aexit__(None, None, None)


class Connection(asyncssh.SSHServer):
    def __init__(self, sshd: Sshd) -> None:
        self._sshd = sshd
        self._sessions = 0
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._sshd.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._connection:
            self._sshd.connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._sshd.client_key.public_data

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        if self._sessions >= self._sshd.max_sessions:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")  # OpenSSH's words
        self._sessions += 1
        return Session(self._sshd.account, self._sshd.begin, self._sshd.leaders, self._release)

    def _release(self) -> None:
        self._sessions -= 1
