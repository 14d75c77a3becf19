"""Tells a client of ours which hop a session waits for before its hello: a cold chain may take seconds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientError

from gateway.backends.contract import Backend
from gateway.protocol.codec import encode
from gateway.protocol.messages import Control
from gateway.protocol.outcome import Hop
from gateway.protocol.subprotocols import OWN, Subprotocol
from gateway.server.websocket.socket import Socket

_LOOK = 0.05  # seconds between two looks, and before the first: a warm chain is through by then


@asynccontextmanager
async def telling(websocket: Socket, row: Subprotocol, backend: Backend | None) -> AsyncIterator[None]:
    """Sends a client of ours `opening` whenever the block waits for another hop of the backend. Raises what the block raises."""
    if not row.control or backend is None:
        yield
        return
    failed: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        job = tasks.create_task(_tell(websocket, backend))
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised below, and not as a group
            failed = error
        finally:
            job.cancel()
    if failed:
        raise failed


async def _tell(websocket: Socket, backend: Backend) -> None:
    told: Hop | None = None
    # whoever follows the session notices that the client is gone
    with suppress(ConnectionError, ClientError):
        while True:
            await asyncio.sleep(_LOOK)
            hop = backend.stats().reaching or Hop.CLUSTER
            if hop is not told:
                told = hop
                payload = encode(Control({"type": "opening", "hop": hop.value}), OWN)
                assert isinstance(payload, bytes)
                await websocket.send_bytes(payload)
