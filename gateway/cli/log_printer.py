"""Prints the lines of logs, each with the name of its pod where there are several, and what happens to the pods."""

from gateway.cli.console import safe
from gateway.cli.terminal.stdio import Sink
from gateway.client.logs.lines import LogLine
from gateway.client.logs.wish import Notice, Source
from gateway.protocol.messages import Stream

_COLORS = (b"36", b"33", b"32", b"35", b"34", b"91", b"96")  # of terminals: in turn
_TEXTS = {
    "waits": "{source} {why}",
    "joined": "{source} joins",
    "ended": "{source} has ended{why}",
    "restarted": "{source} was restarted",
    "gap": "{source}: {why}",
    "reopened": "{source}: its log stood still, and goes on",
    "failed": "{source}{why}",
}


class LogPrinter:
    """Prints to `sink`. `prefixed`: names the pod before each line."""

    def __init__(self, sink: Sink, *, prefixed: bool, timestamps: bool, colored: bool, quiet: bool) -> None:
        self._sink = sink
        self._prefixed = prefixed
        self._timestamps = timestamps
        self._colored = colored
        self._quiet = quiet
        self._prefixes: dict[str, bytes] = {}
        self._lost: set[Source] = set()

    async def print(self, item: LogLine | Notice) -> None:
        """Prints a line, or what happened; waits while stdout takes none. Raises OutputClosed, OSError."""
        if isinstance(item, Notice):
            self._tell(item)
            return
        data = item.stamp + b" " + item.data if self._timestamps and item.stamp else item.data
        if self._prefixed:
            data = self._prefix(item.name) + data
            data += b"" if data.endswith(b"\n") else b"\n"
        await self._sink.write(Stream.STDOUT, data)

    def _prefix(self, name: str) -> bytes:
        found = self._prefixes.get(name)
        if found is None:
            found = name.encode() + b": "
            if self._colored:
                color = _COLORS[len(self._prefixes) % len(_COLORS)]
                found = b"\033[" + color + b"m" + found[:-1] + b"\033[0m "
            self._prefixes[name] = found
        return found

    def _tell(self, notice: Notice) -> None:
        """Prints what happened. A hop is lost for many at once: that is told once, and once that it is back for all."""
        source, event, why = notice.source, notice.event, notice.why
        if event == "lost":
            if not self._lost:
                self._say(f"{why}: goes on when that is over")
            self._lost.add(source)
        elif event == "back":
            self._lost.discard(source)
            if not self._lost:
                self._say("goes on")
        else:
            words = (
                f" ({why})"
                if event == "ended" and why
                else f"{': ' if str(source) else ''}{why}"
                if event == "failed"
                else why
            )
            text = _TEXTS[event].format(source=source, why=words)
            self._say(text.strip(), error=event in ("failed", "gap"))

    def _say(self, text: str, *, error: bool = False) -> None:
        if error or not self._quiet:
            self._sink.put(Stream.STDERR, f"dap: {safe(text)}\n".encode())
