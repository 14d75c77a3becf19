"""The rows: what one sample of each is. A sample takes both ways and measures them one right after the other."""

import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from conversation import Asked, BenchError, Conversation, Way, noise

MIB = 1 << 20
_KEYS = 300  # a sample, in turns of
_TURN = 25
_PAUSE = 0.005  # seconds between keys: nobody types into an answer that is under way
_PROMPTS = 3  # a sample
_BLOCK = 64 * 1024

Values = dict[str, float]  # way -> value
Sample = Callable[[Sequence[Way]], dict[str, Values]]  # row -> way -> value


@dataclass(frozen=True)
class Row:
    """`least` and `most`: bounds of gateway / raw; `above`: how far the gateway may lie above raw."""

    name: str
    unit: str
    least: float | None = None
    most: float | None = None
    above: float | None = None

    def required(self) -> str:
        """In words."""
        if self.least is not None:
            return f"≥ {self.least:g}"
        if self.most is not None:
            return f"≤ {self.most:g}"
        return f"≤ +{self.above:g} {self.unit}" if self.above is not None else ""

    def met(self, raw: float, gateway: float) -> bool | None:
        """None: nothing is required."""
        if self.least is not None:
            return gateway >= self.least * raw
        if self.most is not None:
            return gateway <= self.most * raw
        return gateway <= raw + self.above if self.above is not None else None


@dataclass(frozen=True)
class Measure:
    """Rows that come from one sample."""

    name: str
    rows: tuple[Row, ...]
    sample: Sample


@contextmanager
def opened(way: Way, asked: Asked) -> Iterator[Conversation]:
    """A conversation that is closed whatever happens."""
    with closing(way.open(asked)) as conversation:
        yield conversation


def prompt(ways: Sequence[Way]) -> dict[str, Values]:
    """Milliseconds from the user's start of a shell to its prompt."""
    found: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(_PROMPTS):
        for way in ways:
            began = time.perf_counter()
            with opened(way, Asked(("sh",), tty=True)) as conversation:
                conversation.until(b"# ")
                found[way.name].append((time.perf_counter() - began) * 1000)
                conversation.send(b"exit\n")
                conversation.end()  # the shell draws its line as it likes
    return {"first prompt": {name: statistics.median(times) for name, times in found.items()}}


def echo(ways: Sequence[Way]) -> dict[str, Values]:
    """Milliseconds from a key to its echo by the pod's terminal. Both sessions are open, and take turns."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    with ExitStack() as stack:
        pairs = [(way.name, stack.enter_context(opened(way, _cat()))) for way in ways]
        for _, conversation in pairs:
            conversation.until(b"ready\r\n")
            for _ in range(_TURN):
                conversation.echo(_key())
        for _ in range(_KEYS // _TURN):
            for name, conversation in pairs:
                for _ in range(_TURN):
                    time.sleep(_PAUSE)
                    times[name].append(conversation.echo(_key()) * 1000)
        for name, conversation in pairs:
            conversation.send(b"\n\x04")  # the line, which cat repeats, and the end of cat's input
            conversation.fetch(len(b"\r\n") + _KEYS + _TURN + len(b"\r\n"))
            _finish(name, conversation)
    cuts = {name: statistics.quantiles(values, n=100) for name, values in times.items()}
    return {
        "echo p50": {name: cut[49] for name, cut in cuts.items()},
        "echo p99": {name: cut[98] for name, cut in cuts.items()},
    }


def output(count: int, *, tty: bool) -> Sample:
    """MB/s from the moment the command is told to write until its last byte is here."""

    def sample(ways: Sequence[Way]) -> dict[str, Values]:
        found = {}
        for way in ways:
            with opened(way, _zeros(count, tty=tty)) as conversation:
                conversation.until(b"ready\n")
                began = time.perf_counter()
                conversation.send(b"\n")
                conversation.fetch(count)
                found[way.name] = count / (time.perf_counter() - began) / 1e6
                _finish(way.name, conversation)
        return {f"output, {'tty' if tty else 'pipe'}": found}

    return sample


def upload(count: int) -> Sample:
    """MB/s from the first byte given until the command, at its end, has said how many it has read."""
    data = bytes(count)

    def sample(ways: Sequence[Way]) -> dict[str, Values]:
        found = {}
        for way in ways:
            with opened(way, _sink("wc -c")) as conversation:
                conversation.until(b"ready\n")
                began = time.perf_counter()
                conversation.send(data)
                conversation.send_eof()
                said = conversation.until(b"\n")
                found[way.name] = count / (time.perf_counter() - began) / 1e6
                _finish(way.name, conversation)
                if said != b"%d" % count:
                    raise BenchError(f"{way.name}: {said!r} bytes arrived of {count}")
        return {"input, pipe": found}

    return sample


def check_content(ways: Sequence[Way], count: int) -> None:
    """Once, that bytes arrive as they are: random ones there, a counted text back. Raises BenchError."""
    for way in ways:
        data, digest = noise(count)
        with opened(way, _sink("sha256sum")) as conversation:
            conversation.until(b"ready\n")
            conversation.send(data)
            conversation.send_eof()
            said = conversation.until(b"\n")
            _finish(way.name, conversation)
            if said.split()[0] != digest.encode():
                raise BenchError(f"{way.name}: other bytes arrived in the pod than were sent")
        text = "".join(f"{number}\n" for number in range(1, count // 8)).encode()
        for tty in (False, True):
            script = f"{'stty raw -echo; ' if tty else ''}echo ready; exec seq 1 {count // 8 - 1}"
            with opened(way, Asked(("sh", "-c", script), tty=tty)) as conversation:
                conversation.until(b"ready\n")
                seen = hashlib.sha256()
                conversation.fetch(len(text), seen.update)
                _finish(way.name, conversation)
                if seen.digest() != hashlib.sha256(text).digest():
                    raise BenchError(f"{way.name}: other bytes came back than the pod wrote (tty: {tty})")


def _finish(name: str, conversation: Conversation) -> None:
    if rest := conversation.end():
        raise BenchError(f"{name}: more came than was asked for: {rest[-200:]!r}")


def _zeros(count: int, *, tty: bool) -> Asked:
    """Waits for a line, then writes; the terminal is made raw, so that it adds nothing and the count is exact."""
    raw = "stty raw -echo; " if tty else ""
    script = f"{raw}echo ready; read _; exec dd if=/dev/zero bs={_BLOCK} count={count // _BLOCK} 2>/dev/null"
    return Asked(("sh", "-c", script), tty=tty)


def _sink(command: str) -> Asked:
    return Asked(("sh", "-c", f"echo ready; exec {command}"))


def _cat() -> Asked:
    return Asked(("sh", "-c", "echo ready; exec cat"), tty=True)


def _key() -> bytes:
    return random.choice(b"abcdefghijklmnopqrstuvwxyz").to_bytes()


MEASURES = (
    Measure("prompt", (Row("first prompt", "ms", most=0.7),), prompt),
    Measure("echo", (Row("echo p50", "ms", above=0.6), Row("echo p99", "ms")), echo),
    Measure("output-tty", (Row("output, tty", "MB/s", least=1.0),), output(32 * MIB, tty=True)),
    Measure("output", (Row("output, pipe", "MB/s", least=1.0),), output(64 * MIB, tty=False)),
    Measure("input", (Row("input, pipe", "MB/s", least=1.0),), upload(64 * MIB)),
)
