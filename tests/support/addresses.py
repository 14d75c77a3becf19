"""Names with several addresses, and an address that never answers."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

SILENT = "127.0.0.2"


@contextmanager
def silence(port: int, address: str = SILENT) -> Iterator[None]:
    """A port whose SYNs get no answer until the block is left: the backlog of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


def name(monkeypatch: pytest.MonkeyPatch, host: str, *addresses: str) -> None:
    """Has the resolver answer `addresses` for `host`, in this order."""
    real = socket.getaddrinfo

    def resolve(asked: Any, *more: Any, **options: Any) -> list[Any]:
        if asked != host:
            return real(asked, *more, **options)
        return [found for address in addresses for found in real(address, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
