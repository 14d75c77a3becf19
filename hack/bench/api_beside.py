"""The rows of the relayed API that need a session or a load beside them: a terminal beside downloads, a slow upload."""

import random
import shlex
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from api_http import connected
from api_rows import MAPS, Found
from api_ways import ApiWay, Ways, older_kubectl
from conversation import LIMIT, Asked, BenchError, Conversation, Way
from memory import growth
from raw import Raw
from rows import MIB, opened

_KEYS = 400
_PAUSE = 0.005  # seconds between keys
_WARM = 1.5  # seconds for downloads to be at their full speed
# reads 1 MiB at a time, with a rest, and tells how much it was
_SLOW = "t=0; n=1; while [ $n != 0 ]; do n=$(dd bs=65536 count=16 2>/dev/null | wc -c); t=$((t+n)); sleep %g; done; echo $t"
_REST = 0.05


def echo_beside(ways: Ways, raw: Raw) -> list[Found]:
    """Milliseconds that three bulk downloads and a reader that stalls add to the p99 of a terminal's echo: downloads at full
    speed, which leave nothing of two cores, and such as a network lets through. Beside it the same of the chain's terminal,
    with downloads by way of kubectl proxy alone.
    """
    values: dict[str, dict[str, float]] = {"": {}, "5M": {}}
    pairs: tuple[tuple[str, Way, ApiWay], ...] = (
        ("chain", raw, ways.proxy),
        ("gateway", ways.served, ways.gateway),
    )
    for name, terminal, bulk in pairs:
        with opened(terminal, Asked(("sh", "-c", "echo ready; exec cat"), tty=True)) as keys:
            keys.until(b"ready\r\n")
            _p99(keys, 50)
            alone = _p99(keys, _KEYS)
            for rate, found in values.items():
                with _downloads(bulk, rate):
                    time.sleep(_WARM)
                    found[name] = _p99(keys, _KEYS) - alone
    title = "echo p99, more beside a stalled reader and 3 downloads"
    return [
        Found(title, "ms", values[""], "10", values[""]["gateway"] <= 10),
        Found(f"{title} of 5 MB/s", "ms", values["5M"], "10", values["5M"]["gateway"] <= 10),
    ]


def _p99(keys: Conversation, count: int) -> float:
    times = []
    for _ in range(count):
        time.sleep(_PAUSE)
        times.append(keys.echo(random.choice(b"abcdefghijklmnopqrstuvwxyz").to_bytes()) * 1000)
    return statistics.quantiles(times, n=100)[98]


@contextmanager
def _downloads(way: ApiWay, rate: str) -> Iterator[None]:
    """Runs three downloads in processes of their own, and has a fourth that nobody reads. `rate`: as curl takes it."""
    lines = ["-H", way.lines.strip()] if way.lines else []
    limit = ["--limit-rate", rate] if rate else []
    command = ["curl", "-s", "-o", "/dev/null", *lines, *limit, f"{way.url}{MAPS}?again=[1-100000]"]
    with ExitStack() as stack:
        stalled = stack.enter_context(connected(way))
        stalled.send("GET", MAPS)
        for _ in range(3):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, LIMIT)
            stack.callback(process.terminate)
        yield


def upload(ways: Ways, mib: int) -> list[Found]:
    """Megabytes by which the gateway grows while a pod takes an upload slowly: by exec's WebSocket, and by SPDY, whose bytes
    pass.
    """
    found = []
    for count in (16, mib):  # what the first one needs stays
        with growth(ways.served.pid) as grown:
            _send(ways.served, count * MIB)
    found.append(_grown("exec, WebSocket", mib, grown[0]))
    if program := older_kubectl():
        for count in (16, mib):
            with growth(ways.served.pid) as grown:
                _pipe(ways.gateway, program, count * MIB)
        found.append(_grown("exec, SPDY over TLS", mib, grown[0]))
    return found


def _grown(name: str, mib: int, kilobytes: int) -> Found:
    return Found(
        f"memory under an upload of {mib} MiB, {name}",
        "MiB",
        {"gateway": kilobytes / 1024},
        "4",
        kilobytes <= 4096,
    )


def _send(way: Way, count: int) -> None:
    with opened(way, Asked(("sh", "-c", _SLOW % _REST))) as conversation:
        sending = threading.Thread(target=_give, args=(conversation, count))
        sending.start()
        sending.join()
        conversation.send_eof()
        _check(conversation.end(), count)


def _give(conversation: Conversation, count: int) -> None:
    data = bytes(MIB)
    for _ in range(count // MIB):
        conversation.send(data)


def _pipe(way: ApiWay, program: str, count: int) -> None:
    words = [program, "exec", "-i", "web-0", "-c", "main", "--", "sh", "-c", _SLOW % _REST]
    line = f"head -c {count} /dev/zero | {shlex.join(words)}"
    done = subprocess.run(
        ["sh", "-c", line], env=way.env, capture_output=True, timeout=60 + count / MIB, check=False
    )
    _check(done.stdout, count)


def _check(said: bytes, count: int) -> None:
    if said.strip() != b"%d" % count:
        raise BenchError(f"{said!r} bytes arrived of {count}")
