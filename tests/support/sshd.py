"""A real SSH server in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

LOOPBACK = "127.0.0.1"


@dataclass
class Sshd:
    """`keys` may log in, and whoever answers `secret` when it is set. Everything that logged in is in `logins`.

    May be set at any time: `max_sessions` of a connection and `max_startups` (connections that have not logged in yet),
    0 for any number; `challenge`: name, instructions and question where it asks for `secret`; `penalty`: said to each new connection, which is dropped; `hung`: new logins get no answer while
    it is set; `slow`: no session is opened while it is set. `turned_away`: connections that were dropped, `refused`:
    sessions that were not opened, `rekeys`: key exchanges behind the first of a connection.
    """

    host_key: asyncssh.SSHKey
    keys: list[asyncssh.SSHKey] = field(default_factory=list)
    secret: str | None = None
    port: int = 0
    logins: list[str] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    sessions: int = 0
    max_sessions: int = 0
    max_startups: int = 0
    penalty: bytes = b""
    hung: bool = False
    slow: bool = False
    starting: int = 0
    turned_away: int = 0
    refused: int = 0
    rekeys: int = 0
    challenge: tuple[str, str, str] = ("Login", "a token, please", "Code:")

    def known(self, path: Path, *, port: int = 0, key: asyncssh.SSHKey | None = None) -> Path:
        """Writes a known hosts file for this server."""
        public = (key or self.host_key).export_public_key().decode()
        path.write_text(f"[{LOOPBACK}]:{port or self.port} {public}")
        return path


@asynccontextmanager
async def sshd(*keys: asyncssh.SSHKey, secret: str | None = None, **options: Any) -> AsyncIterator[Sshd]:
    """Its sessions say the command line that they were given, then echo, then end with 0."""
    server = Sshd(asyncssh.generate_private_key("ssh-ed25519"), list(keys), secret)
    acceptor = await asyncssh.listen(
        LOOPBACK,
        0,
        server_factory=lambda: _Server(server),
        server_host_keys=[server.host_key],
        encoding=None,
        **options,
    )
    server.port = acceptor.get_port()
    try:
        yield server
    finally:
        acceptor.close()
        for connection in list(server.connections):
            connection.abort()
        for connection in list(server.connections):
            await connection.wait_closed()
        await acceptor.wait_closed()


async def _echo(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    process.stdout.write(f"{process.command}\n".encode())
    while data := await process.stdin.read(65536):
        process.stdout.write(data)
    process.exit(0)


class _Session(asyncssh.SSHServerProcess[bytes]):
    def __init__(self, ended: Callable[[], None]) -> None:
        super().__init__(_echo, None, 3, allow_scp=False)
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        super().connection_lost(exc)


class _Server(asyncssh.SSHServer):
    def __init__(self, server: Sshd) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection
        self._starting = False
        self._sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        server = self._server
        self._connection = conn
        server.connections.append(conn)
        self._count_rekeys(conn)
        full = server.max_startups and server.starting >= server.max_startups
        server.starting += 1
        self._starting = True
        if full or server.penalty:
            server.turned_away += 1
            conn._transport.write(server.penalty or b"Exceeded MaxStartups\r\n")  # type: ignore[union-attr]
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._started()

    def _started(self) -> None:
        self._server.starting -= self._starting
        self._starting = False

    def _count_rekeys(self, conn: asyncssh.SSHServerConnection) -> None:
        send, first = conn._send_kexinit, True

        def send_kexinit() -> None:
            nonlocal first
            self._server.rekeys += not first
            first = False
            send()

        conn._send_kexinit = send_kexinit  # type: ignore[method-assign]

    async def begin_auth(self, username: str) -> bool:
        while self._server.hung:  # noqa: ASYNC110  # a host that hangs tells nobody when it will not
            await asyncio.sleep(0.01)
        return bool(username)

    def session_requested(self) -> Any:  # what may be awaited, which asyncssh's types do not say
        server = self._server
        if server.max_sessions and self._sessions >= server.max_sessions:
            server.refused += 1
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")  # OpenSSH's words
        self._count(1)
        return self._session()

    async def _session(self) -> _Session:
        while self._server.slow:  # noqa: ASYNC110  # as `hung`
            await asyncio.sleep(0.01)
        return _Session(lambda: self._count(-1))

    def _count(self, more: int) -> None:
        self._sessions += more
        self._server.sessions += more

    def auth_completed(self) -> None:
        self._started()
        self._server.logins.append(self._connection.get_extra_info("username"))

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._server.tries.append(f"{username} {key.get_fingerprint()}")
        return any(key.public_data == known.public_data for known in self._server.keys)

    def kbdint_auth_supported(self) -> bool:
        return self._server.secret is not None

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        del username, lang, submethods
        name, instructions, question = self._server.challenge
        return name, instructions, "", [(question, False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        del username
        return list(responses) == [self._server.secret]

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        del dest_host, dest_port, orig_host, orig_port
        return True
