"""Without a terminal the command's stderr and kubectl's words share one pipe: this parts them.

kubectl's words come last, on a line of their own only by luck ("errcommand terminated with exit code 3"). So what could
begin them is held back until more has come, or the end, or, where it is a few letters that may as well be a prompt,
a short time. klog lines are kubectl's when they carry its pid in the runner.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

HOLD = 0.1  # seconds that a short beginning may be held
_HOLD_SURE = (
    1.0  # the same of words that hardly a command has: on a busy machine kubectl's end takes its time
)
LONGEST = 2.0  # seconds that anything is held while other output comes
LIMIT = 8192  # bytes held at the most: kubectl's words are a few lines
_EXIT = b"command terminated with exit code "
_SURE = len(b"command t")  # from here on it is no prompt
# How kubectl's own words begin; the first alone can follow a command's whole life without a failure
_BEGINNINGS = (
    _EXIT, b"error: ", b"Error from server", b"The connection to the server ", b"Unable to connect to the server: ",
)  # fmt: skip
_FIRST = re.compile(b"|".join(re.escape(words) for words in _BEGINNINGS))
_LAST = re.compile(  # where the final words begin when the line before them had no end
    rb"(?:error: (?:error reading from error stream|Internal error occurred|unable to upgrade connection|unexpected EOF"
    rb"|container |cannot |Timeout )|" + b"|".join(re.escape(words) for words in _BEGINNINGS[2:]) + rb")"
)
_COMPLETE = re.compile(re.escape(_EXIT) + rb"\d{1,3}\n\Z")
_MAY_BE_EXIT = re.compile(rb"\d{0,3}\n?\Z")  # behind _EXIT
_KLOG = ("[EWIF]", *4 * [r"\d"], " ", r"\d", r"\d", ":", r"\d", r"\d", ":", r"\d", r"\d", r"\.", r"\d+", " +")


class KubectlStderrFilter:
    """Bytes in, the command's bytes out; kubectl's words stay. One per session."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._held = b""
        self._since = 0.0  # when there was something to hold last
        self._late = False  # it has been held for LONGEST
        self._fresh = True  # what is held begins a line
        self._let_go = b""  # what `release` gave last, with nothing behind it yet

    @property
    def pid(self) -> int | None:
        """Returns the process id of kubectl, the mark of kubectl's log lines; None until it is set."""
        return self._pid

    @pid.setter
    def pid(self, pid: int | None) -> None:
        if pid is None:
            return
        header = "".join(_KLOG) + f"{pid} "
        self._klog = re.compile(rf"(?<=\n){header}[\w./-]+\.go:\d+\] [^\n]*(\n|\Z)".encode())
        begun = "[^\n]*"
        for atom in reversed((*_KLOG, *str(pid), " ")):
            begun = f"{atom}(?:{begun})?"
        self._klog_begun = re.compile(f"{begun}\\Z".encode())
        self._pid = pid

    def feed(self, data: bytes) -> bytes:
        """What is surely the command's."""
        self._since, self._late = time.monotonic(), False
        self._held = self._without_klog(self._held + data)
        start = max(self._begin(self._held), len(self._held) - LIMIT)
        if start:
            self._let_go = b""
        return self._give(start)

    @property
    def waiting(self) -> bool:
        """Something is held that `release` should let go in `hold` seconds, should nothing more come."""
        return self._exit_line() > 0

    @property
    def hold(self) -> float:
        """For how many seconds from now on."""
        usual = _HOLD_SURE if _LAST.search(self._held) else HOLD
        return min(usual, self._since + LONGEST - time.monotonic())

    async def awaited(
        self, read: Callable[[], Awaitable[list[tuple[int, bytes]]]]
    ) -> list[tuple[int, bytes]] | None:
        """What `read` has; empty where `release` is due; None at the end. Safe to cancel if `read` is."""
        if not self.waiting:
            return await read() or None
        left = self.hold
        if left <= 0 and self._late:
            return []
        self._late = left <= 0  # what is there already is read once more: it may be the end
        try:
            async with asyncio.timeout(max(left, 0.0)):
                return await read() or None
        except TimeoutError:
            return []

    def release(self) -> bytes:
        """`hold` seconds have passed: kubectl's last words are followed by the end at once, so these are not they.
        The line about the exit code stays: it is no prompt, and waits for what comes behind it.
        """
        self._let_go = self._give(self._exit_line())
        return self._let_go

    def end(self, code: int) -> tuple[bytes, bytes]:
        """The command's last bytes, and kubectl's words, when it ended with `code`. Words that came long before the
        end, on a busy machine, were released; they still explain it.
        """
        held, self._held = self._without_klog(self._held, at_end=True), b""
        final = _COMPLETE.search(held)
        if final and code and int(final[0][len(_EXIT) :]) == code:
            return held[: final.start()], final[0]
        if final or code != 1:
            return held, b""
        line = held.rstrip(b"\n").rfind(b"\n") + 1
        found = _LAST.search(held, line) or _FIRST.search(held, line) or _FIRST.search(held)
        if not held and _FIRST.search(self._let_go):
            return b"", self._let_go
        return (held[: found.start()], held[found.start() :]) if found else (held, b"")

    def _give(self, count: int) -> bytes:
        out, self._held = self._held[:count], self._held[count:]
        if out:
            self._fresh = out.endswith(b"\n")
        return out

    def _begin(self, held: bytes) -> int:
        """Where what could be kubectl's words begins."""
        begins = [found.start() for found in _FIRST.finditer(held) if not self._refuted(held, found)][:1]
        line = held.rfind(b"\n") + 1
        if self._pid is not None and (line or self._fresh) and self._klog_begun.match(held, line):
            begins.append(line)
        if not begins:
            for keep in range(min(len(held), max(map(len, _BEGINNINGS))), 0, -1):
                if any(words.startswith(held[-keep:]) for words in _BEGINNINGS):
                    return len(held) - keep
        return min(begins, default=len(held))

    def _refuted(self, held: bytes, found: re.Match[bytes]) -> bool:
        """An exit line with something behind it is the command's own text."""
        return found[0] == _EXIT and not _MAY_BE_EXIT.match(held, found.end())

    def _exit_line(self) -> int:
        """Where in what is held the line about the exit code begins, or so much of it that it is no prompt."""
        start = self._held.rfind(_EXIT[:_SURE])
        rest = self._held[start:]
        if start >= 0 and (
            _EXIT.startswith(rest) or (rest.startswith(_EXIT) and _MAY_BE_EXIT.match(rest, len(_EXIT)))
        ):
            return start
        return len(self._held)

    def _without_klog(self, held: bytes, *, at_end: bool = False) -> bytes:
        if self._pid is None or b" %d " % self._pid not in held:
            return held
        before = b"\n" if self._fresh else b"."
        return self._klog.sub(lambda line: b"" if at_end or line[1] else line[0], before + held)[1:]
