"""Measures forwarded ports on the real chain: `dap port-forward` through a gateway, beside kubectl's in the runner, reached by
`ssh -L` and a proxy device of Incus, and beside kubectl's on this machine, straight at the API server.

    .venv/bin/python hack/bench/forward.py [--runs N] [--json FILE]

README.md beside this file says what each row is. Exit code 1 when a limit is not met, 2 when there is nothing to measure
on, 3 when a sample went wrong.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from api_ways import DAP
from conversation import LIMIT, BenchError
from report import Result, machine, table
from rows import MIB, Bound, Row
from served import serving

_POD = "bash-0"
_ECHO, _SOURCE, _SINK = 7001, 7002, 7003  # ports of the pod
_AT = 10_000  # added to a port: where it is in the runner and on the management host; twice, here at the end of the chain
_SIZE = 64 * MIB
_CONNECTIONS, _ABREAST, _OPEN = 100, 10, 200
_SERVERS = f"""
nc -ll -p {_ECHO} -e cat & nc -ll -p {_SOURCE} -e sh -c 'dd if=/dev/zero bs=64k count={_SIZE >> 16} 2>/dev/null; cat' & nc -ll -p {_SINK} -e sh -c 'head -c {_SIZE} | wc -c' &
echo ready; cat; kill $(jobs -p) || kill 0
"""
ROWS = (
    Row("connections", "/s", bounds={"gateway": Bound(least=1.0)}),
    Row("download", "MB/s", bounds={"gateway": Bound(least=1.0)}),
    Row("upload", "MB/s", bounds={"gateway": Bound(least=1.0)}),
)

Ports = dict[int, int]  # of the pod -> of this machine


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. What was started ends in any case: SIGTERM is an exit like others."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    given = _parse(argv)
    missing = [name for name in ("DAP_LAB_SSH_CONFIG", "DAP_LAB_KUBECONFIG") if not os.environ.get(name)]
    if missing:
        print(f"forward.py: needs a real chain: {' and '.join(missing)} not set", file=sys.stderr)
        return 2
    try:
        with ExitStack() as stack:
            stack.enter_context(_servers())
            ways = {
                way.__name__.strip("_"): stack.enter_context(way()) for way in (_chain, _straight, _gateway)
            }
            results = [_measured(row, ways, given.runs) for row in ROWS]
            opened = _hold(ways["gateway"][_ECHO])
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        print(f"forward.py: {error}", file=sys.stderr)
        return 3
    print(f"Medians of {given.runs} runs (least to greatest). {machine()}.\n\n{table(results)}")
    print(f"{_OPEN} connections open at once through the gateway: all answered after {opened:.1f} s")
    if given.json:
        given.json.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    return 1 if any(result.missed for result in results) else 0


def _measured(row: Row, ways: dict[str, Ports], runs: int) -> Result:
    """All ways in each run, one right after the other, and in turns the last first."""
    sample = {"connections": _connections, "download": _download, "upload": _upload}[row.name]
    values: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs):
        print(f"forward.py: {row.name}, run {number + 1} of {runs}", file=sys.stderr, flush=True)
        for name in list(ways) if number % 2 else reversed(ways):
            try:
                values[name].append(sample(ways[name]))
            except (BenchError, OSError) as error:
                raise BenchError(f"{name}: {error}") from None
    return Result(row, values)


def _connections(ports: Ports) -> float:
    def one(_: int) -> None:
        with _connected(ports[_ECHO]) as sock:
            _echoed(sock)

    began = time.perf_counter()
    with ThreadPoolExecutor(_ABREAST) as pool:
        list(pool.map(one, range(_CONNECTIONS)))
    return _CONNECTIONS / (time.perf_counter() - began)


def _download(ports: Ports) -> float:
    """From the first byte to the last one: not to the end, which containerd tells a second later."""
    with _connected(ports[_SOURCE]) as sock:
        left = _SIZE - len(_some(sock, 1))
        began = time.perf_counter()
        while left:
            left -= len(_some(sock, min(left, MIB)))
        return _SIZE / 1e6 / (time.perf_counter() - began)


def _upload(ports: Ports) -> float:
    """From the first byte to the answer of who has counted the last one."""
    part = bytes(MIB)
    with _connected(ports[_SINK]) as sock:
        began, answer = time.perf_counter(), b""
        for _ in range(_SIZE // MIB):
            sock.sendall(part)
        while not answer.endswith(b"\n"):
            answer += _some(sock, 100)
        if int(answer) != _SIZE:
            raise BenchError(f"{answer!r} bytes arrived of {_SIZE}")
        return _SIZE / 1e6 / (time.perf_counter() - began)


def _hold(port: int) -> float:
    """Returns the seconds until as many connections as may be are open and have echoed."""
    began = time.perf_counter()
    with ExitStack() as stack:
        socks = [stack.enter_context(_connected(port)) for _ in range(_OPEN)]
        for sock in socks:
            _echoed(sock)
        return time.perf_counter() - began


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), LIMIT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _echoed(sock: socket.socket) -> None:
    sock.sendall(b"hello")
    heard = b""
    while len(heard) < len(b"hello"):
        heard += _some(sock, 100)


def _some(sock: socket.socket, size: int) -> bytes:
    if not (data := sock.recv(size)):
        raise BenchError("a connection ended before its last byte")
    return data


def _kubectl(*words: str) -> list[str]:
    config = Path(os.environ["DAP_LAB_KUBECONFIG"])
    return [str(config.parents[1] / "bin" / "kubectl"), "--kubeconfig", str(config), *words]


@contextmanager
def _running(
    words: list[str], ready: Callable[[str], bool], env: dict[str, str] | None = None
) -> Iterator[list[str]]:
    """Runs a program for the length of the block, which begins when a line of its output is `ready`; yields those lines."""
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True, bufsize=1
    )
    assert process.stdin
    assert process.stdout
    lines: list[str] = []
    watchdog = threading.Timer(LIMIT, process.kill)
    watchdog.start()
    try:
        while not (lines and ready(lines[-1])):
            if not (line := process.stdout.readline()):
                raise BenchError(f"{words[0]} did not begin: {lines}")
            lines.append(line)
        watchdog.cancel()
        yield lines
    finally:
        watchdog.cancel()
        process.stdin.close()
        process.terminate()
        process.wait(LIMIT)
        process.stdout.close()


@contextmanager
def _servers() -> Iterator[None]:
    """Runs what listens in the pod: one echoes, one sends, one counts."""
    words = _kubectl("exec", "-i", _POD, "--", "sh", "-c", _SERVERS)
    with _running(words, lambda line: line == "ready\n"):
        yield


@contextmanager
def _straight() -> Iterator[Ports]:
    with _listening(
        _kubectl("port-forward", _POD, *(f":{port}" for port in (_ECHO, _SOURCE, _SINK)))
    ) as ports:
        yield ports


@contextmanager
def _gateway() -> Iterator[Ports]:
    with serving("relay", _POD, "", "v5.channel.k8s.io") as served:
        env = os.environ | {"DAP_GATEWAY_URL": served.url, "DAP_GATEWAY_TOKEN": served.token}
        words = [str(DAP), "port-forward", _POD, *(f"0:{port}" for port in (_ECHO, _SOURCE, _SINK))]
        with _listening(words, env) as ports:
            yield ports


@contextmanager
def _listening(words: list[str], env: dict[str, str] | None = None) -> Iterator[Ports]:
    """Yields where the ports of the pod are here, as the program says it."""
    found: Ports = {}

    def ready(line: str) -> bool:
        if said := re.search(r"127\.0\.0\.1:(\d+) -> \D*(?:\d+:)?(\d+)$", line.strip()):
            found[int(said[2])] = int(said[1])
        return len(found) == 3

    with _running(words, ready, env):
        yield found


@contextmanager
def _chain() -> Iterator[Ports]:
    """Runs kubectl's port-forward in the runner: a device of Incus leads to each port from the management host, ssh from here."""
    vm = os.environ.get("DAP_RUNNER_VM", "dap-runner")
    ssh = ["ssh", "-F", os.environ["DAP_LAB_SSH_CONFIG"]]
    pairs = {port: port + _AT for port in (_ECHO, _SOURCE, _SINK)}
    with ExitStack() as stack:
        for at in pairs.values():
            device = f"incus config device %s {vm} bench-{at}"
            where = f"tcp:127.0.0.1:{at}"
            added = f"{device % 'add'} proxy listen={where} connect={where} bind=host"
            subprocess.run([*ssh, "mgmt", added], check=True, capture_output=True, timeout=LIMIT)
            gone = [*ssh, "mgmt", device % "remove"]
            stack.callback(subprocess.run, gone, check=True, capture_output=True, timeout=LIMIT)
        forwards = [word for at in pairs.values() for word in ("-L", f"{at + _AT}:127.0.0.1:{at}")]
        ports = " ".join(f"{at}:{port}" for port, at in pairs.items())
        # its stdin's end is kubectl's: ssh alone would leave it
        run = f"kubectl port-forward {_POD} {ports} & cat; kill %1"
        line = f"incus exec {vm} -T -- bash -lc '{run}'"
        words = [
            *ssh,
            "-o",
            "ControlPath=none",
            "-o",
            "ExitOnForwardFailure=yes",
            *forwards,
            "-T",
            "mgmt",
            line,
        ]
        stack.enter_context(_running(words, lambda said: said.endswith(f"-> {_SINK}\n")))
        yield {port: at + _AT for port, at in pairs.items()}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="forward.py", description="Forwarded ports, beside kubectl's.")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often each row is measured (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
