"""The contract of what adds the runner's credentials to requests."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.backends.contract import ByteStream


class Proxy(Protocol):
    """Adds the runner's credentials to requests: a `kubectl proxy`, started when it is needed."""

    @property
    def age(self) -> float:
        """Seconds since the proxy began to listen."""
        ...

    def connection(self) -> AbstractAsyncContextManager[ByteStream]:
        """Connects to the proxy, and starts the proxy first where none runs. Leaving closes the connection. Raises
        HopFailed.
        """
        ...

    def restart(self) -> None:
        """Ends the running proxy with its connections; the next `connection` starts a new proxy."""
        ...

    async def run(self) -> None:
        """Starts a proxy whenever `connection` needs one; never returns."""
        ...
