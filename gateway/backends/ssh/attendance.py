"""Logins in which a person takes part: the clock of sessions stands still meanwhile, and one question is asked at a
time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog

from gateway.backends.ssh import Waiting
from gateway.backends.ssh.pausable_timeout import PausableTimeout

log = structlog.get_logger()

_QUICK = 1.0  # seconds of waiting in which no person did anything
_TOLD = 3.0  # seconds of waiting after which the log says for whom


class Attendance:
    """Lets the logins of one cluster take turns at asking a person, stops `patience` while a login waits, and logs
    for whom a login waits. `cluster` is its name in the log.

    `attended` is True if the last login that has ended waited for a person.
    """

    def __init__(self, cluster: str, patience: PausableTimeout) -> None:
        self.attended = False
        self._alone = True  # logins take turns: until one has shown that nobody is asked
        self._cluster = cluster
        self._patience = patience
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Waiting]:
        """Waits while another login may be asking a person; yields the context manager that this login enters while
        it waits for somebody. Cancelling is safe.
        """
        async with self._turn:
            if self._alone:
                with self._login() as waiting:
                    yield waiting
                return
        with self._login() as waiting:
            yield waiting

    @contextmanager
    def _login(self) -> Iterator[Waiting]:
        loop, waits = asyncio.get_running_loop(), list[float]()

        @contextmanager
        def waiting(reason: str) -> Iterator[None]:
            began, told = loop.time(), loop.call_later(_TOLD, self._tell, reason)
            try:
                with self._patience.standing():
                    yield
            finally:
                told.cancel()
                waits.append(loop.time() - began)

        try:
            yield waiting
        finally:
            self.attended = max(waits, default=0) > _QUICK
            if waits:
                self._alone = self.attended

    def _tell(self, reason: str) -> None:
        log.warning("ssh_login_waits", cluster=self._cluster, waiting_for=reason)
