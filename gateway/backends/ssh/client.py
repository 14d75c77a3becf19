"""The callbacks of asyncssh for one connection, and changes of asyncssh's behaviour that logins need.

What changes asyncssh's own methods is set in `connection_made`; tests/backends/ssh/test_overrides.py pins the names.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.packet import SSHPacket

from gateway.backends.ssh.algorithms import CHACHA
from gateway.backends.ssh.foreign_text import shown
from gateway.backends.ssh.key_exchange import KEXINIT, nothing_in_common
from gateway.backends.ssh.overrides import say_nothing_of_packets, take_any_version
from gateway.backends.ssh.settings import SshSettings
from gateway.errors import HopFailed

Ask = Callable[[str, bool], Awaitable[str | None]]
"""(question, echo) -> answer, or None where nobody can be asked."""
Waiting = Callable[[str], AbstractContextManager[None]]
"""Entered while the login waits for somebody; the argument names whom, as in "the SSH agent"."""

_IGNORE, _SERVICE_REQUEST, _AUTH_REQUEST = 2, 5, 50  # SSH_MSG_… (RFC 4250, 4.1.2)
_GREETING = 512  # bytes
_TURNED_AWAY = re.compile("Exceeded MaxStartups|Not allowed at this time")  # sshd's words
_NAME = 60  # characters of the name that a host gives to its questions
_PROMPT = "your answer at a prompt"


@dataclass(frozen=True)
class Hooks:
    """The functions of a login that its client calls."""

    guard: Callable[[asyncssh.SSHClientConnection], None]  # has the host key verified
    begun: Callable[[], None]  # called once, before the first authentication request is sent
    next_key: Callable[[], Awaitable[asyncssh.SSHKeyPair | None]]  # the next of our keys, None after the last
    prompt: Ask | None  # asks a person
    waiting: Waiting
    lost: Callable[[], None]  # called when the connection is gone


class Client(asyncssh.SSHClient):
    """asyncssh's callbacks for one connection; their signatures are its own (hence ARG002)."""

    def __init__(self, settings: SshSettings, hooks: Hooks) -> None:
        # as ssh writes it before a question; nothing of it comes from the host
        self._who = f"{settings.user}@{settings.host_key_alias or settings.host.lower()}"
        self._passwords = settings.password_prompts  # questions that are left
        self._hooks = hooks
        self._asked = False  # a keyboard-interactive attempt was made
        self._offers = {"ours": b"", "theirs": b""}  # of the first key exchange
        self._greeting = b""  # what the host sends before its version line

    def dropped(self, where: str, why: str, *, by_proxy: bool) -> HopFailed:
        """Returns the error for a host that dropped the connection before the login: ssh_busy where sshd limits
        logins (MaxStartups) or punishes the address (PerSourcePenalties), which it says in a line or not at all;
        otherwise ssh_unreachable with `why`.
        """
        greeting = self._greeting.decode("utf-8", "replace").strip()
        silent = not greeting and not by_proxy  # a proxy command that ends says nothing, whatever the reason
        if "\nSSH-" in f"\n{greeting}" or not (silent or _TURNED_AWAY.search(greeting)):
            return HopFailed("ssh_unreachable", f"{where} cannot be reached: {why}")
        words = shown(greeting) or "too many logins at once, or a penalty for this address"
        return HopFailed("ssh_busy", f"{where} takes no login at the moment: {words}")

    @property
    def nothing_in_common(self) -> str:
        """The kind of algorithm of which the host has none that we offer, with what the host has; empty where all
        kinds match.
        """
        return nothing_in_common(self._offers["ours"], self._offers["theirs"])

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._hooks.guard(conn)
        self._keep_greeting(conn)
        self._watch_sending(conn)
        self._keep_offer(conn)
        take_any_version(conn)
        say_nothing_of_packets(conn)

    def _keep_greeting(self, conn: asyncssh.SSHClientConnection) -> None:
        receive = conn.data_received

        def data_received(data: bytes, datatype: int | None = None) -> None:
            self._greeting = (self._greeting + data)[:_GREETING]
            if b"SSH-" in self._greeting or len(self._greeting) == _GREETING:
                conn.data_received = receive  # type: ignore[method-assign]  # the rest is no greeting
            receive(data, datatype)

        conn.data_received = data_received  # type: ignore[method-assign]

    def _keep_offer(self, conn: asyncssh.SSHClientConnection) -> None:
        process = conn.process_packet

        def process_packet(kind: int, number: int, packet: SSHPacket) -> Any:
            if kind == KEXINIT and not self._offers["theirs"]:
                self._offers["theirs"] = packet.get_full_payload()[1:]
            return process(kind, number, packet)

        conn.process_packet = process_packet  # type: ignore[method-assign, assignment]

    def _watch_sending(self, conn: asyncssh.SSHClientConnection) -> None:
        """Replaces `conn.send_packet`: drops the empty packet that asyncssh sends before each packet, which protects
        only CBC ciphers; calls `begun` at the first authentication request; raises KeyExchangeFailed before the login
        where chacha20 is used without the strict key exchange (CVE-2023-48795).
        """
        send, begun = conn.send_packet, False

        def send_packet(kind: int, *args: bytes, **more: Any) -> None:
            nonlocal begun
            cipher = conn.get_extra_info("send_cipher", "")
            if kind == _IGNORE and "cbc" not in cipher:
                return
            if kind == _SERVICE_REQUEST and cipher == CHACHA and not conn._strict_kex:  # noqa: SLF001  # no other name
                raise asyncssh.KeyExchangeFailed(
                    f"{CHACHA} is safe only with the strict key exchange, which the host lacks"
                )
            if kind == KEXINIT and not self._offers["ours"]:
                self._offers["ours"] = b"".join(args)
            if kind == _AUTH_REQUEST and not begun:
                begun = True
                self._hooks.begun()
            send(kind, *args, **more)

        conn.send_packet = send_packet  # type: ignore[method-assign, assignment]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._hooks.lost()

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        return await self._hooks.next_key()

    async def password_auth_requested(self) -> str | None:
        self._passwords -= 1
        return await self._ask(f"{self._who}'s password: ", echo=False) if self._passwords >= 0 else None

    def kbdint_auth_requested(self) -> str | None:
        """Allows a single attempt: within that, the host repeats its questions by itself. None: no attempt."""
        if self._asked or not self._hooks.prompt:
            return None
        self._asked = True
        return ""

    async def kbdint_challenge_received(
        self,
        name: str,
        instructions: str,
        lang: str,  # noqa: ARG002
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        """Asks each question behind `(user@host)`, so that a jump host cannot pose as another host."""
        answers = []
        for question, echo in prompts:
            words = [shown(name, _NAME), shown(instructions), shown(question)]
            answer = await self._ask(" ".join([f"({self._who})", *filter(None, words)]) + " ", echo=echo)
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _ask(self, question: str, *, echo: bool) -> str | None:
        if not self._hooks.prompt:
            return None
        with self._hooks.waiting(_PROMPT):
            return await self._hooks.prompt(question, echo)
