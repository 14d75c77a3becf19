"""Runs what may wait for a disk beside the event loop, in order."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable


class Writer:
    """Runs jobs in order, in one thread that lives as long as there are jobs. The process ends without a wait for it."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def put(self, job: Callable[[], None]) -> None:
        """Runs `job` after the jobs that were put before."""
        with self._lock:
            self._jobs.append(job)
            if self._busy:
                return
            self._busy = True
        try:
            threading.Thread(target=self._work, name="dap-writer", daemon=True).start()
        except RuntimeError:  # the machine has no thread left
            self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._busy = False
                    return
                job = self._jobs.popleft()
            try:
                job()
            except Exception:  # noqa: BLE001  # the next job is another's
                traceback.print_exc()


def at_once(job: Callable[[], None]) -> None:
    """Runs `job`: in the place of `Writer.put` where nobody else waits."""
    job()
