"""The rows of the relayed API: what each measures, and which limit it has."""

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from api_http import Http, connected
from api_ways import ApiWay, Ways, gateway
from conversation import LIMIT, BenchError
from memory import pss
from processes import ticks

POD = "/api/v1/namespaces/default/pods/bash-0"
NAMESPACE = "dap-bench-api"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_TIMES = 9  # kubectl is started, of each way in turn
_SECONDS = 4.0  # of requests, at each rate
_TICKS = 40  # changes that a watch sees
_WATCHES = 1000
_SETTLE = 3.0  # seconds


@dataclass
class Found:
    """One line of the table. `limit` in words; `met`: None where there is no limit."""

    name: str
    unit: str
    values: dict[str, float] = field(default_factory=dict)  # by way
    limit: str = ""
    met: bool | None = None


Measure = Callable[[Ways], list[Found]]


def get_pods(ways: Ways) -> list[Found]:
    """Milliseconds of `kubectl get pods`, all of it."""
    values = _kubectl(ways, "get", "pods")
    ours = values["gateway"]
    met = ours <= 0.5 * values["chain"], ours <= values["straight"] + 60
    return [
        Found("kubectl get pods", "ms", values, "0.5 of the chain's", met[0]),
        Found(
            "kubectl get pods, more than straight",
            "ms",
            {"gateway": ours - values["straight"]},
            "60",
            met[1],
        ),
    ]


def exec_true(ways: Ways) -> list[Found]:
    """Milliseconds of `kubectl exec -- true`."""
    return [Found("kubectl exec -- true", "ms", _kubectl(ways, "exec", "bash-0", "--", "true"))]


def _kubectl(ways: Ways, *words: str) -> dict[str, float]:
    """Returns the median time of one command by way; all have asked before which kinds there are."""
    times: dict[str, list[float]] = {way.name: [] for way in ways.all()}
    for number in range(_TIMES + 1):
        for way in ways.all():
            began = time.perf_counter()
            done = subprocess.run(
                way.kubectl(*words), env=way.env, capture_output=True, timeout=LIMIT, check=False
            )
            if done.returncode:
                raise BenchError(f"{way.name}: kubectl {words}: {done.stderr!r}")
            if number:
                times[way.name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def rates(ways: Ways) -> list[Found]:
    """Requests for a pod in a second, over one connection and over 20."""
    found = []
    for count in (1, 20):
        values = {way.name: _rate(way, count) for way in ways.http()}
        least = 0.5 * values["proxy"]
        found.append(
            Found(
                f"requests, {count} connections",
                "a second",
                values,
                "0.5 of kubectl proxy's",
                values["gateway"] >= least,
            )
        )
    return found


def _rate(way: ApiWay, count: int) -> float:
    end = 0.0

    def asking(one: Http) -> int:
        number = 0
        while time.perf_counter() < end:
            one.ask("GET", POD)
            number += 1
        return number

    with ExitStack() as stack:
        all_ = [stack.enter_context(connected(way)) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda one: one.ask("GET", POD), all_))
            began = time.perf_counter()
            end = began + _SECONDS
            return sum(pool.map(asking, all_)) / (time.perf_counter() - began)


def watch_latency(ways: Ways) -> list[Found]:
    """Milliseconds from a change to its event; all ways watch the same changes at once."""
    times: dict[str, dict[int, float]] = {way.name: {} for way in ways.http()}
    sent: dict[int, float] = {}
    with ExitStack() as stack:
        change = stack.enter_context(connected(ways.straight))
        change.ask("POST", MAPS, json.dumps({"metadata": {"name": "tick"}, "data": {"n": "-1"}}).encode())
        for way in ways.http():
            watch = stack.enter_context(connected(way))
            watch.send("GET", f"{MAPS}?watch=true&fieldSelector=metadata.name%3Dtick")
            watch.head()
            threading.Thread(target=_note, args=(watch, times[way.name]), daemon=True).start()
        time.sleep(1)
        for number in range(_TICKS):
            sent[number] = time.perf_counter()
            body = json.dumps({"data": {"n": str(number)}}).encode()
            change.ask("PATCH", f"{MAPS}/tick", body, "application/merge-patch+json")
            time.sleep(0.05)
        time.sleep(1)
        change.ask("DELETE", f"{MAPS}/tick")
    values = {
        way: statistics.median((came[number] - at) * 1000 for number, at in sent.items())
        for way, came in times.items()
    }
    more = values["gateway"] - values["straight"]
    return [
        Found("watch, from change to event", "ms", values),
        Found("watch, more than straight", "ms", {"gateway": more}, "20", more <= 20),
    ]


def _note(watch: Http, times: dict[int, float]) -> None:
    try:
        for part in watch.parts():
            now = time.perf_counter()
            for line in part.splitlines():
                times[int(json.loads(line)["object"]["data"]["n"])] = now
    except (BenchError, OSError, ValueError):
        return


def watches(_: Ways) -> list[Found]:
    """Kilobytes of a watch in the gateway, of 1,000 at once, and how long a `get` takes beside them. Each is a gateway of
    its own: what the first thousand leave would be room for the second.
    """
    found = []
    for number, limit in ((0, 40), (1, 80)):
        with gateway() as (*both, served):
            way, pid = both[number], served.pid
            each, alone, beside = _thousand(way, pid)
        found += [
            Found(f"memory of a watch, of {_WATCHES}", "KB", {way.name: each}, str(limit), each <= limit),
            Found("a GET alone", "ms", {way.name: alone}),
            Found(f"a GET beside {_WATCHES} watches", "ms", {way.name: beside}, "as before"),
        ]
    return found


def _thousand(way: ApiWay, pid: int) -> tuple[float, float, float]:
    """Returns kilobytes of a watch, and milliseconds of a GET before and beside them."""
    with ExitStack() as stack:
        one = stack.enter_context(connected(way))
        alone = _median_get(one)
        before = pss(pid)
        for _ in range(_WATCHES):
            watch = stack.enter_context(connected(way))
            # of what is not there: no event comes with a bulk of objects
            watch.send("GET", f"{MAPS}?watch=true&timeoutSeconds=300&fieldSelector=metadata.name%3Dnone")
            watch.head()
        time.sleep(_SETTLE)
        return (pss(pid) - before) / _WATCHES, alone, _median_get(one)


def _median_get(one: Http) -> float:
    times = []
    for _ in range(100):
        began = time.perf_counter()
        one.ask("GET", POD)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def tokens(ways: Ways) -> list[Found]:
    """Milliseconds of `dap token`, and how often 40 kubectl at once with an expired token have it renewed."""
    config = json.loads(Path(ways.gateway.env["KUBECONFIG"]).read_text())
    plugin = config["users"][0]["user"]["exec"]
    times = []
    for _ in range(20):
        began = time.perf_counter()
        subprocess.run(
            [plugin["command"], *plugin["args"]], env=ways.gateway.env, capture_output=True, check=True
        )
        times.append((time.perf_counter() - began) * 1000)
    start = statistics.median(times)
    kept = ways.served.directory / "dap" / "short-token.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"until": 0}))
    before, began = _issued(ways), time.perf_counter()
    command = ways.gateway.kubectl("get", "pod", "bash-0", "-o", "name")
    running = [
        subprocess.Popen(command, env=ways.gateway.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(40)
    ]
    for process in running:
        _, err = process.communicate(timeout=LIMIT)
        if process.returncode:
            raise BenchError(f"one of 40 kubectl: {err!r}")
    renewed, seconds = _issued(ways) - before, time.perf_counter() - began
    return [
        Found("start of dap token", "ms", {"gateway": start}, "60", start <= 60),
        Found("40 kubectl with an expired token: renewals", "", {"gateway": renewed}, "1", renewed == 1),
        Found("40 kubectl with an expired token", "s", {"gateway": seconds}),
    ]


def _issued(ways: Ways) -> int:
    return (ways.served.directory / "log").read_bytes().count(b"token_issued")


def cost(ways: Ways) -> list[Found]:
    """CPU seconds of the gateway for a relayed request and for a byte of its answer."""
    found = []
    for way in (ways.gateway, ways.secure):
        with connected(way) as one:
            one.ask("GET", POD)
            size = len(one.ask("GET", MAPS))
            before, cpu = one.received, _cpu(ways.served.pid)
            while one.received - before < 512 << 20:
                one.ask("GET", MAPS)
            bulk, bulk_count = _cpu(ways.served.pid) - cpu, (one.received - before) // size
            bulk_bytes, before, cpu = one.received - before, one.received, _cpu(ways.served.pid)
            for _ in range(2000):
                one.ask("GET", POD)
            small, small_bytes = _cpu(ways.served.pid) - cpu, one.received - before
        # two equations, for what the downloads and the 2,000 small requests took
        divisor = bulk_count * small_bytes - 2000 * bulk_bytes
        request = (bulk * small_bytes - small * bulk_bytes) / divisor
        byte = (bulk_count * small - 2000 * bulk) / divisor
        found += [
            Found("CPU of a relayed request", "ms", {way.name: request * 1000}, "Teleport: 1.7"),
            Found("CPU of a relayed byte", "ns", {way.name: byte * 1e9}, "Teleport: 13.5"),
        ]
    return found


def _cpu(pid: int) -> float:
    return ticks(Path(f"/proc/{pid}")) / os.sysconf("SC_CLK_TCK")
