"""Mends how aiohttp 3.14 waits for a client that takes nothing: all who write wait for one future, and a wait that is
cancelled cancels that future for the others, and for whoever writes next.
"""

import asyncio

from aiohttp import ClientConnectionResetError
from aiohttp.base_protocol import BaseProtocol


def cancel_own_wait_alone() -> None:
    """Makes a wait that is cancelled end no other's, on all connections of the process."""
    BaseProtocol._drain_helper = _drain  # type: ignore[method-assign, assignment]  # noqa: SLF001  # tests/test_insides.py


async def _drain(protocol: BaseProtocol) -> None:
    """Waits as BaseProtocol._drain_helper does. Raises ConnectionError where the client has left."""
    if protocol.transport is None:
        raise ClientConnectionResetError("Connection lost")
    if not protocol._paused:  # noqa: SLF001
        return
    waiter = protocol._drain_waiter  # noqa: SLF001
    if waiter is None:
        waiter = protocol._drain_waiter = asyncio.get_running_loop().create_future()  # noqa: SLF001
    await asyncio.shield(waiter)
