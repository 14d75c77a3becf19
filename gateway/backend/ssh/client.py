"""What asyncssh calls for one connection, and what it does not do for us."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncssh

from gateway.errors import HopFailed

Ask = Callable[..., Awaitable[str | None]]

_IGNORE = 2  # SSH_MSG_IGNORE (RFC 4253, 11.2)
_GREETING = 512  # bytes
_TURNED_AWAY = re.compile("Exceeded MaxStartups|Not allowed at this time")  # sshd's words


class Client(asyncssh.SSHClient):
    """asyncssh's callbacks for one connection; their signatures are its own (hence ARG002)."""

    def __init__(self, prompt: Ask | None) -> None:
        self.lost = asyncio.Event()
        self.offered: asyncssh.SSHKey | None = None
        self._prompt = prompt
        self._greeting = b""  # what the host says before it says that it is an SSH server

    def dropped(self, where: str, error: Exception) -> HopFailed:
        """The host took the connection and dropped it before the login. sshd does so where there are too many at once
        (MaxStartups), or where it punishes an address (PerSourcePenalties), and says no more than a line of text.
        """
        said = self._greeting.decode("utf-8", "replace").strip()
        if "\nSSH-" in f"\n{said}" or (said and not _TURNED_AWAY.search(said)):
            return HopFailed("ssh_unreachable", f"{where} cannot be reached: {error}")
        words = said or "too many logins at once, or a penalty for this address"
        return HopFailed("ssh_busy", f"{where} takes no login at the moment: {words}")

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """What asyncssh does not do for us: it keeps no greeting, and sends more than it has to."""
        self._listen_for_greeting(conn)
        self._send_no_empty_packets(conn)

    def _listen_for_greeting(self, conn: asyncssh.SSHClientConnection) -> None:
        receive = conn.data_received

        def data_received(data: bytes, datatype: int | None = None) -> None:
            self._greeting = (self._greeting + data)[:_GREETING]
            if b"SSH-" in self._greeting or len(self._greeting) == _GREETING:
                conn.data_received = receive  # type: ignore[method-assign]  # the rest is no greeting
            receive(data, datatype)

        conn.data_received = data_received  # type: ignore[method-assign]

    @staticmethod
    def _send_no_empty_packets(conn: asyncssh.SSHClientConnection) -> None:
        """Asyncssh puts an empty packet before each one of ours. That protects CBC ciphers, and costs all others a
        system call here and a wake-up there for every key typed.
        """
        send = conn.send_packet

        def send_packet(kind: int, *args: bytes, **more: Any) -> None:
            if kind != _IGNORE or "cbc" in conn.get_extra_info("send_cipher", ""):
                send(kind, *args, **more)

        conn.send_packet = send_packet  # type: ignore[method-assign, assignment]

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.offered = key
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost.set()

    def kbdint_auth_requested(self) -> str | None:
        return "" if self._prompt else None

    async def kbdint_challenge_received(
        self,
        name: str,
        instructions: str,
        lang: str,  # noqa: ARG002
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        answers = []
        for question, echo in prompts:
            answer = (
                await self._prompt(f"{name} {instructions} {question}".strip() + " ", echo)
                if self._prompt
                else None
            )
            if answer is None:
                return None
            answers.append(answer)
        return answers
