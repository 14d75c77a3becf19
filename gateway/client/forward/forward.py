"""Forwards one port: takes connections here, and carries each to the pod that is behind the name at that moment."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from gateway.client.exit_status import GatewayFailed
from gateway.client.forward.destination import Destination
from gateway.client.forward.tunnels import Tunnels
from gateway.client.stream import AHEAD
from gateway.client.tunnel import carry
from gateway.errors import why

WAIT = 30.0  # seconds that a connection waits for the way to be there
_AGAIN = 0.5  # seconds until a connection is taken that could not be
_ATTEMPTS = 3  # pods in turn that a connection is tried with, as long as nothing was sent


class Forward:
    """Carries connections over `tunnels`. `failed` hears why a connection ended that did not end by itself."""

    def __init__(self, tunnels: Tunnels, destination: Destination, failed: Callable[[str], None]) -> None:
        self._tunnels = tunnels
        self._destination = destination
        self._failed = failed

    async def run(self, sockets: list[socket.socket]) -> None:
        """Takes connections until it is cancelled, which ends them: each has tasks of its own and waits for no other."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._destination.run())
            tasks.create_task(self._tunnels.run())
            for one in sockets:
                tasks.create_task(self._take(one, tasks))

    async def _take(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor is left, or whoever connected has gone already
                self._failed(f"a connection waits to be taken: {why(error)}")
                await asyncio.sleep(_AGAIN)
                continue
            tasks.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=AHEAD)
        try:
            await self._carry(reader, writer)
        except TimeoutError:
            self._failed(f"a connection waited {WAIT:g} s, and there was no way to the pod")
        except GatewayFailed as error:
            self._failed(str(error))
        except OSError:
            pass  # the local program is gone
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries the connection to its end. Raises GatewayFailed, TimeoutError, and OSError of the local side."""
        for left in reversed(range(_ATTEMPTS)):
            async with asyncio.timeout(WAIT):
                where = await self._destination.where()
            begun = False
            try:
                async with self._tunnels.connected(where) as made:
                    begun = True
                    await carry(made, reader, writer)
                return
            except GatewayFailed:
                self._destination.doubt(where)
                if begun or not left:
                    raise
