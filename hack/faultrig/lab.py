"""The fault command, and what it lists: which processes nobody owns any more."""

import asyncio
import os
import re
import shlex
import signal
import time
from contextlib import suppress
from pathlib import Path

_LIMIT = 170.0  # seconds for one word of the fault command
_LISTS = 3  # times that the processes are asked for
_WRAPPER = re.compile(r"\bdap ([0-9a-f]{24}) (\d+)")
_LEASE = 5  # words that a plain chain's lease is sent; a session has more


class LabError(Exception):
    """The fault command is not there, failed or hung. The message is one line for a person."""


class Lab:
    """`command FAULT` breaks and mends; the same command with `ps` for `fault` lists processes, hop by hop."""

    def __init__(self, command: str) -> None:
        self._fault = shlex.split(command)
        self._list = [*self._fault[:-1], "ps"]

    async def fault(self, name: str) -> None:
        """Breaks or mends one part. LabError."""
        await _run([*self._fault, name])

    async def processes(self) -> list[str]:
        """`PID WORDS`, those of all hops. An instance that is down has none. A pod that goes while they are listed can make
        the list fail, so it is asked for more than once. LabError.
        """
        for _ in range(_LISTS - 1):
            with suppress(LabError):
                return _rows(await _run(self._list))
            await asyncio.sleep(1)
        return _rows(await _run(self._list))

    async def end(self, rows: list[str], marks: set[str]) -> None:
        """Ends what sessions with these marks left, so that the next round starts clean; nothing of anybody else.
        Only the pods' pids are this machine's, so the words are compared first.
        """
        for row in rows:
            pid, _, words = row.partition(" ")
            if any(mark in words for mark in marks):
                with suppress(OSError, ValueError):
                    if await asyncio.to_thread(_words, pid) == words:
                        os.killpg(os.getpgid(int(pid)), signal.SIGKILL)  # with what it started

    async def left(self, marks: set[str], known: set[str], seconds: float) -> list[str]:
        """Waits until nothing is left of sessions with these marks, or as long as it may take; what is left then."""
        end = time.monotonic() + seconds
        while True:
            found = [row for row in await self.processes() if _belongs(row, marks, known)]
            if not found or time.monotonic() > end:
                return found
            await asyncio.sleep(1)


def _rows(listed: str) -> list[str]:
    rows = listed.splitlines()
    return [" ".join(row.split()) for row in rows if row.strip() and not row.startswith("#")]


def _words(pid: str) -> str:
    raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    return " ".join(raw.replace(b"\0", b" ").decode("utf-8", "replace").split())


def _belongs(row: str, marks: set[str], known: set[str]) -> bool:
    """A session's processes have its mark among their words, or, on the plain chain, the wrapper's nonce."""
    if any(mark in row for mark in marks):
        return True
    wrapper = _WRAPPER.search(row)
    return wrapper is not None and int(wrapper[2]) != _LEASE and row not in known


async def _run(words: list[str]) -> str:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=pipe, stderr=pipe, stdin=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise LabError(f"{words[0]}: {error}") from None
    try:
        # a daemon that it starts may keep the pipes: its end is what counts, not theirs
        async with asyncio.timeout(_LIMIT), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_all(process.stdout))
            status = await process.wait()
            try:
                out = await asyncio.wait_for(asyncio.shield(reading), 2)
            except TimeoutError:
                reading.cancel()
                out = b""
    except TimeoutError:
        process.kill()
        raise LabError(f"{shlex.join(words)}: no end after {_LIMIT:g} s") from None
    if status:
        raise LabError(f"{shlex.join(words)}: exit status {status}")
    return out.decode("utf-8", "replace")


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream else b""
