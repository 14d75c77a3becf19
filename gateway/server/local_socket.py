"""Keeps the Unix socket of `dap serve`: in the best directory that can be used, and there again once somebody has removed
the socket, as a logout does with $XDG_RUNTIME_DIR.
"""

import asyncio
from asyncio import Server
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.errors import ConfigError
from gateway.private_directory import private_directory
from gateway.server import listen
from gateway.server.accept import Accept
from gateway.settings.paths import SOCKET

if TYPE_CHECKING:
    from socket import socket

log = structlog.get_logger()
LOOK = 1.0  # seconds between looks at the socket's path
LOST = "dap finds this gateway at its TCP address alone, with the token; who has no token needs DAP_GATEWAY_TOKEN"


class LocalSocket:
    """Holds the socket of one gateway. `paths`: where it may be, the best first; `store` is called with each new path, and
    returns True where clients find it afterwards.
    """

    def __init__(self, paths: Sequence[Path], store: Callable[[Path | None], bool]) -> None:
        self.path: Path | None = None
        self._paths = paths
        self._store = store
        self._held = ExitStack()
        self._bound: socket | None = None
        self._server: Server | None = None

    def open(self, passed_over: Sequence[str] = ()) -> None:
        """Makes the socket in the first directory that can be used. Logs one warning with what could not be used, among
        it what was passed over before. Raises ConfigError where another gateway has the socket.
        """
        problems = [*passed_over, *self._open()]
        why = "; ".join(problems)
        if self.path is None:
            log.warning("no_local_socket", why=why, lost=LOST)
        elif problems:
            log.warning("local_socket_fallback", why=why, socket=str(self.path))

    async def serve(self, accept: Accept) -> None:
        """Has the gateway take connections on the socket."""
        if self._bound:
            self._server = await accept(self._bound)

    async def keep(self, accept: Accept) -> None:
        """Makes the socket again whenever its path is gone; never returns. Logs the first of the attempts that fail."""
        had, told = self.path is not None, False
        while True:
            await asyncio.sleep(LOOK)
            if not had or (self.path and listen.inode(self.path)):
                continue
            self.close()
            try:
                problems = self._open()
            except ConfigError as error:  # another gateway has made it meanwhile
                problems = [str(error)]
            if self.path:
                await self.serve(accept)
                log.warning("local_socket_restored", socket=str(self.path))
            elif not told:
                log.warning("no_local_socket", why="; ".join(problems), lost=LOST)
            told = self.path is None

    def close(self) -> None:
        """Closes the socket, and removes it where it still is ours."""
        if self._server:
            self._server.close()
        self._held.close()
        self.path = self._server = self._bound = None

    def _open(self) -> list[str]:
        """Returns why directories could not be used that stand before the one that is."""
        problems: list[str] = []
        for path in self._paths:
            try:
                self._bound = self._held.enter_context(listen.unix(path))
            except listen.Unusable as error:
                problems.append(str(error))
                continue
            self.path = path
            break
        else:
            self._open_aside(problems)
        self._store(self.path)
        return problems

    def _open_aside(self, problems: list[str]) -> None:
        """Makes the socket in a directory of its own, where the usual paths are too long, unless no client would find it
        there. Adds to `problems` why it could not.
        """
        if not self._store(None):
            return
        try:
            path = self._held.enter_context(private_directory()) / SOCKET
            self._bound = self._held.enter_context(listen.unix(path))
            self.path = path
        except (OSError, ConfigError) as error:
            problems.append(str(error))
