"""The rows: what one sample of each is. A sample takes both ways and measures them one right after the other."""

import hashlib
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field

from conversation import Asked, BenchError, Conversation, Way, noise

MIB = 1 << 20
_KEYS = 300  # a sample, in turns of
_TURN = 25
_PAUSE = 0.005  # seconds between keys: nobody types into an answer that is under way
_PROMPTS = 3  # a sample
_BESIDE = 100  # keys alone, and as many beside a transfer
_WARM = 1.0  # seconds for a transfer to be at its full speed
_TRUES = 40
_RATE = "exec -- true, 8 at a time"
_BLOCK = 64 * 1024

Values = dict[str, float]  # way -> value
Sample = Callable[[Sequence[Way]], dict[str, Values]]  # row -> way -> value


@dataclass(frozen=True)
class Bound:
    """`least` and `most`: of a way's value over raw's; `above`: how far it may lie above raw's."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def __str__(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if self.most is not None else f"≤ +{self.above:g}"

    def met(self, raw: float, value: float) -> bool:
        """The requirement holds."""
        if self.least is not None:
            return value >= self.least * raw
        if self.most is not None:
            return value <= self.most * raw
        return self.above is None or value <= raw + self.above


@dataclass(frozen=True)
class Row:
    """A line of the table. `difference`: compared by what lies between, not by the ratio."""

    name: str
    unit: str
    difference: bool = False
    bounds: dict[str, Bound] = field(default_factory=dict)  # by way


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


def beside(ways: Sequence[Way]) -> dict[str, Values]:
    """Milliseconds that a transfer in another session of the same way adds to the median echo."""
    found = {}
    for way in ways:
        with opened(way, _cat()) as keys:
            keys.until(b"ready\r\n")
            alone = _median_echo(keys)
            with opened(way, _flood()) as bulk:
                bulk.until(b"ready\n")
                reader = threading.Thread(target=_drain, args=(bulk,), daemon=True)
                reader.start()
                time.sleep(_WARM)
                found[way.name] = _median_echo(keys) - alone
                bulk.close()
                reader.join(_WARM)
    return {"echo beside bulk": found}


def _median_echo(conversation: Conversation) -> float:
    times = []
    for _ in range(_BESIDE):
        time.sleep(_PAUSE)
        times.append(conversation.echo(_key()) * 1000)
    return statistics.median(times)


def _drain(conversation: Conversation) -> None:
    with suppress(BenchError, OSError):
        conversation.fetch(1 << 40)


def rate(ways: Sequence[Way]) -> dict[str, Values]:
    """Commands that do nothing, begun and ended well, a second. Of plain ssh 6 at a time: sshd drops logins above; with
    20 at a time containerd 1.6 keeps a whole batch for seconds.
    """
    found = {}
    for way in ways:
        began = time.perf_counter()
        with ThreadPoolExecutor(6 if way.name == "raw" else 8) as pool:
            for _ in pool.map(lambda _, way=way: _true(way), range(_TRUES)):
                pass
        found[way.name] = _TRUES / (time.perf_counter() - began)
    return {_RATE: found}


def _true(way: Way) -> None:
    with opened(way, Asked(("true",))) as conversation:
        conversation.send_eof()  # a 0 while input is open is doubted by the gateway, for up to 3 s
        conversation.end()


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


def _flood() -> Asked:
    return Asked(("sh", "-c", "echo ready; exec cat /dev/zero"))


def _sink(command: str) -> Asked:
    return Asked(("sh", "-c", f"echo ready; exec {command}"))


def _cat() -> Asked:
    return Asked(("sh", "-c", "echo ready; exec cat"), tty=True)


def _key() -> bytes:
    return random.choice(b"abcdefghijklmnopqrstuvwxyz").to_bytes()


def _each(plain: Bound, relay: Bound, api: Bound) -> dict[str, Bound]:
    return {"plain": plain, "relay": relay, "api": api}


_KEY = _each(Bound(above=0.6), Bound(above=0.6), Bound(above=0.3))
_SAME = Bound(least=1.0)
MEASURES = (
    Measure(
        "prompt",
        (Row("first prompt", "ms", bounds=_each(Bound(most=0.7), Bound(most=0.45), Bound(most=0.22))),),
        prompt,
    ),
    Measure(
        "echo",
        (Row("echo p50", "ms", difference=True, bounds=_KEY), Row("echo p99", "ms", difference=True)),
        echo,
    ),
    Measure(
        "beside",
        (
            Row(
                "echo beside bulk",
                "ms more",
                difference=True,
                bounds={"relay": Bound(above=1.0), "api": Bound(above=1.0)},
            ),
        ),
        beside,
    ),
    Measure(
        "output-tty",
        (Row("output, tty", "MB/s", bounds=_each(_SAME, Bound(least=1.1), Bound(least=1.15))),),
        output(32 * MIB, tty=True),
    ),
    Measure(
        "output",
        (Row("output, pipe", "MB/s", bounds=_each(_SAME, Bound(least=1.1), _SAME)),),
        output(64 * MIB, tty=False),
    ),
    Measure(
        "input",
        (Row("input, pipe", "MB/s", bounds=_each(_SAME, _SAME, _SAME)),),
        upload(64 * MIB),
    ),
    Measure("rate", (Row(_RATE, "a second", bounds={"api": Bound(least=3.0)}),), rate),
)
