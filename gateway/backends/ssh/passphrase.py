"""Asks for the passphrases of private keys, once each, when a key is needed; opened keys stay in memory only."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import asyncssh

from gateway.backends.ssh.key_files import KeyUnusable, open_private, read_private

Prompt = Callable[[str, bool], Awaitable[str | None]]
"""(question, echo) -> answer, or None where nobody can be asked."""

Waiting = Callable[[str], AbstractContextManager[object]]
"""Entered while a login waits for a person; the argument names for whom or what: "the SSH agent", "a passphrase"."""


def not_told(_: str) -> AbstractContextManager[object]:
    """A Waiting that has no effect."""
    return nullcontext()


class Passphrase:
    """Opens private keys. Asks for each passphrase once and remembers the opened key, for all logins that share this
    object.
    """

    def __init__(self, prompt: Prompt | None) -> None:
        self._prompt = prompt
        self._unlocked: dict[bytes, asyncssh.SSHKey] = {}  # by what is in the file, which may be replaced
        self._asking = asyncio.Lock()  # several logins at once ask only once

    async def unlock(self, file: Path, waiting: Waiting = not_told) -> asyncssh.SSHKey:
        """Returns the private key in a file. Raises KeyUnusable, which says why: the file cannot be read or is no
        key, nobody can be asked, or the passphrase is wrong; after a wrong passphrase the next call asks again.
        Cancellation loses only the question.

        `waiting` is entered while the passphrase is waited for, also when another login has asked for it.
        """
        data = await asyncio.to_thread(read_private, file)
        if opened := await asyncio.to_thread(open_private, data):
            return opened
        with waiting("a passphrase"):
            async with self._asking:
                if data not in self._unlocked:
                    self._unlocked[data] = await self._asked(file, data)
                return self._unlocked[data]

    async def _asked(self, file: Path, data: bytes) -> asyncssh.SSHKey:
        answer = await self._prompt(f"Passphrase for {file}: ", False) if self._prompt else None
        opened = None if answer is None else await asyncio.to_thread(open_private, data, answer)
        if opened is None:
            raise KeyUnusable(
                "it has a passphrase and nobody can be asked: give it to an SSH agent with ssh-add"
            )
        return opened
