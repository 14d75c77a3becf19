"""Separates kubectl's own text from the command's stderr: without a terminal, both arrive through one pipe.

kubectl's text comes last, and may continue a line of the command's ("errcommand terminated with exit code 3"). So
bytes that could begin kubectl's text are held back until more bytes decide, or the end; a few letters, which may as
well be a prompt, only for a short time. A klog line is kubectl's if the line carries kubectl's pid in the runner.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable

from gateway.backends.kube import kubectl

HOLD = 0.1  # seconds that a possible beginning of kubectl's text is held
_HOLD_SURE = (
    1.0  # seconds for text that hardly any command writes: on a busy machine kubectl's end comes late
)
LONGEST = 2.0  # seconds from the last stderr until held bytes are due, even while stdout comes
LIMIT = 8192  # bytes held, at most: kubectl's text is a few lines
_EXIT = b"command terminated with exit code "
_SURE = len(b"command t")  # bytes of _EXIT that are too many for a prompt
# How kubectl's own texts begin; only the first follows a command that ran to its end
_BEGINNINGS = (
    _EXIT, b"error: ", b"Error from server", b"The connection to the server ", b"Unable to connect to the server: ",
)  # fmt: skip
_FIRST = re.compile(b"|".join(re.escape(words) for words in _BEGINNINGS))
_LAST = re.compile(  # where kubectl's final text begins within a line of the command's
    rb"(?:error: (?:error reading from error stream|error stream protocol error|Internal error occurred|unable to upgrade connection|unexpected EOF"
    rb"|container |cannot |Timeout )|" + b"|".join(re.escape(words) for words in _BEGINNINGS[2:]) + rb")"
)
_COMPLETE = re.compile(re.escape(_EXIT) + rb"\d{1,10}\n\Z")
_MAY_BE_EXIT = re.compile(rb"\d{0,10}\n?\Z")  # what may follow _EXIT: a Windows container's code has 32 bits
_CODE = re.compile(rb"\d{1,10}\n")
_KLOG = ("[EWIF]", *4 * [r"\d"], " ", r"\d", r"\d", ":", r"\d", r"\d", ":", r"\d", r"\d", r"\.", r"\d+", " +")


class KubectlStderrFilter:
    """Takes one session's stderr and returns the command's bytes of it; holds back what could be kubectl's text."""

    def __init__(self) -> None:
        self._pids: frozenset[int] = frozenset()
        self._held = b""
        self._since = 0.0  # when `feed` took the last bytes
        self._late = False  # the held bytes are due, and `read` is tried a last time
        self._fresh = True  # the held bytes begin a line
        self._let_go = b""  # what `release` returned last, while no other byte was let out

    def know(self, pids: Iterable[int]) -> None:
        """Adds process ids of kubectl, the marks of kubectl's log lines."""
        known = self._pids.union(pids)
        if known == self._pids:
            return
        self._pids = known
        any_of = "|".join(map(str, sorted(known)))
        header = "".join(_KLOG) + f"(?:{any_of}) "
        self._klog = re.compile(rf"(?<=\n){header}[\w./-]+\.go:\d+\] [^\n]*(\n|\Z)".encode())
        self._klog_begun = re.compile("|".join(_begun(pid) for pid in sorted(known)).encode())

    def feed(self, data: bytes) -> bytes:
        """Takes stderr and returns the bytes that are surely the command's; holds back at most LIMIT bytes."""
        self._since, self._late = time.monotonic(), False
        self._held = self._without_klog(self._held + data)
        start = max(self._begin(self._held), len(self._held) - LIMIT)
        if start:
            self._let_go = b""
        return self._give(start)

    @property
    def waiting(self) -> bool:
        """True if bytes are held that `release` would return."""
        return self._exit_line() > 0

    @property
    def hold(self) -> float:
        """Returns the seconds from now until the held bytes are due for `release`; negative when overdue."""
        usual = _HOLD_SURE if _LAST.search(self._held) else HOLD
        return min(usual, self._since + LONGEST - time.monotonic())

    async def awaited(
        self, read: Callable[[], Awaitable[list[tuple[int, bytes]]]]
    ) -> list[tuple[int, bytes]] | None:
        """Calls `read` and returns its batch; None where that batch is empty, the end of the output. Returns an empty
        batch when `hold` seconds passed before `read` returned: `release` is due. Safe to cancel if `read` is.
        """
        if not self.waiting:
            return await read() or None
        left = self.hold
        if left <= 0 and self._late:
            return []
        self._late = left <= 0  # read once more what has already come: it may be the end
        try:
            async with asyncio.timeout(max(left, 0.0)):
                return await read() or None
        except TimeoutError:
            return []

    def release(self) -> bytes:
        """Returns the held bytes up to a line about the exit code, which stays held. Call after `hold` seconds
        without more: the end follows kubectl's last text at once, so these bytes are the command's.
        """
        self._let_go = self._give(self._exit_line())
        return self._let_go

    def end(self, code: int) -> tuple[bytes, bytes]:
        """Returns the command's last held bytes, and kubectl's text, for a kubectl that ended with `code`. Where
        nothing is held, bytes that `release` has just returned count as kubectl's text, too, if they begin like it.
        """
        held, self._held = self._without_klog(self._held, at_end=True), b""
        final = _COMPLETE.search(held)
        if final and kubectl.exit_code(code, final[0]):
            return held[: final.start()], final[0]
        if final or code != 1:
            return held, b""
        line = held.rstrip(b"\n").rfind(b"\n") + 1
        text = _LAST.search(held, line) or _FIRST.search(held, line) or _FIRST.search(held)
        if not held and _FIRST.search(self._let_go):
            return b"", self._let_go
        return (held[: text.start()], held[text.start() :]) if text else (held, b"")

    def _give(self, count: int) -> bytes:
        out, self._held = self._held[:count], self._held[count:]
        if out:
            self._fresh = out.endswith(b"\n")
        return out

    def _begin(self, held: bytes) -> int:
        """Returns the offset where kubectl's text could begin; the length of `held` if nowhere."""
        begins = [match.start() for match in _FIRST.finditer(held) if not self._refuted(held, match)][:1]
        line = held.rfind(b"\n") + 1
        if self._pids and (line or self._fresh) and self._klog_begun.match(held, line):
            begins.append(line)
        if not begins:
            for length in range(min(len(held), max(map(len, _BEGINNINGS))), 0, -1):
                if any(words.startswith(held[-length:]) for words in _BEGINNINGS):
                    return len(held) - length
        return min(begins, default=len(held))

    def _refuted(self, held: bytes, match: re.Match[bytes]) -> bool:
        """True if `match` is an exit line that other bytes follow: the command's own text."""
        return match[0] == _EXIT and not self._may_end(held, match.end())

    def _may_end(self, held: bytes, start: int) -> bool:
        """True if the bytes behind _EXIT, from `start` on, may be the rest of kubectl's text: a code, and then nothing but
        the beginning of a klog line.
        """
        if _MAY_BE_EXIT.match(held, start):
            return True
        code = _CODE.match(held, start)
        return bool(self._pids and code and self._klog_begun.match(held, code.end()))

    def _exit_line(self) -> int:
        """Returns the offset in the held bytes where the line about the exit code begins, or a beginning of that line
        that is too long for a prompt; the length of the held bytes if nowhere.
        """
        start = self._held.rfind(_EXIT[:_SURE])
        rest = self._held[start:]
        if start >= 0 and (
            _EXIT.startswith(rest) or (rest.startswith(_EXIT) and self._may_end(rest, len(_EXIT)))
        ):
            return start
        return len(self._held)

    def _without_klog(self, held: bytes, *, at_end: bool = False) -> bytes:
        if not any(b" %d " % pid in held for pid in self._pids):
            return held
        before = b"\n" if self._fresh else b"."
        return self._klog.sub(lambda line: b"" if at_end or line[1] else line[0], before + held)[1:]


def _begun(pid: int) -> str:
    """Returns the pattern of the beginning of a log line of the process `pid`, to the end of what there is."""
    begun = "[^\\n]*"
    for atom in reversed((*_KLOG, *str(pid), " ")):
        begun = f"{atom}(?:{begun})?"
    return f"{begun}\\Z"
