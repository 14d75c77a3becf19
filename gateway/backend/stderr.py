"""Without a terminal the command's stderr and kubectl's words share one pipe: this parts them.

kubectl's words come last, on a line of their own only by luck ("errcommand terminated with exit code 3"). So what could
begin them is held back until more has come, or the end, or, where it is a few letters that may as well be a prompt,
a short time. klog lines are kubectl's when they carry its pid in the runner.
"""

import re

HOLD = 0.1  # seconds that a short beginning may be held
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


class Words:
    """Bytes in, the command's bytes out; kubectl's words stay. One per session."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is surely the command's."""
        self._held = self._without_klog(self._held + data)
        start = self._begin(self._held)
        if len(self._held) - start > LIMIT:
            start = len(self._held) - LIMIT
        out, self._held = self._held[:start], self._held[start:]
        return out

    @property
    def waiting(self) -> bool:
        """Something is held that `release` should let go in HOLD seconds, should nothing more come."""
        return bool(self._held) and not (
            len(self._held) >= _SURE and _EXIT.startswith(self._held[: len(_EXIT)])
        )

    def release(self) -> bytes:
        """HOLD seconds have passed: kubectl's last words are followed by the end at once, so these are not they."""
        out, self._held = self._held, b""
        return out

    def end(self, code: int) -> tuple[bytes, bytes]:
        """The command's last bytes, and kubectl's words, when it ended with `code`."""
        held = self._without_klog(self._held, at_end=True)
        self._held = b""
        if code == 0 or (code > 128 and not _COMPLETE.search(held)):
            return held, b""
        final = _COMPLETE.search(held)
        if final:
            own = int(final[0][len(_EXIT) :]) == code
            return (held[: final.start()], final[0]) if own else (held, b"")
        if code != 1:
            return held, b""
        line = held.rstrip(b"\n").rfind(b"\n") + 1
        found = _LAST.search(held, line) or _FIRST.search(held, line) or _FIRST.search(held)
        return (held[: found.start()], held[found.start() :]) if found else (held, b"")

    def _begin(self, held: bytes) -> int:
        """Where what could be kubectl's words begins."""
        found = _FIRST.search(held)
        if found and not self._refuted(held, found):
            return found.start()
        line = held.rfind(b"\n") + 1
        if self.pid is not None and re.match(
            rb"[EWIF](\d{0,4}|\d{4} [\d:. ]{0,40}[\w.:\]]{0,60} ?)\Z", held[line : line + 120]
        ):
            return line
        for keep in range(min(len(held), max(map(len, _BEGINNINGS))), 0, -1):
            if any(words.startswith(held[-keep:]) for words in _BEGINNINGS):
                return len(held) - keep
        return len(held)

    def _refuted(self, held: bytes, found: re.Match[bytes]) -> bool:
        """An exit line with something behind it is the command's own text."""
        return found[0] == _EXIT and not re.match(rb"\d{0,3}(\n|\Z)\Z", held[found.end() :])

    def _without_klog(self, held: bytes, *, at_end: bool = False) -> bytes:
        if self.pid is None or b" %d " % self.pid not in held:
            return held
        end = rb"(?:\n|\Z)" if at_end else rb"\n"
        klog = rb"(?m)^[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+ +%d [\w./-]+\.go:\d+\] .*?" % self.pid
        return re.sub(klog + end, b"", held)
