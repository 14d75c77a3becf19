"""What /metrics shows. One registry per gateway, so that two in one process do not share counters."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.backends.contract import Backend
from gateway.protocol.outcome import Outcome
from gateway.sessions.passed import PassedSession
from gateway.sessions.session import Session

_PHASES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds


class Metrics:
    """Counters of sessions by how they ended, bytes, how long opening took, and the backends' connections."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sessions = Counter(
            "dap_sessions",
            "Sessions that ended, by outcome and way into the pod",
            ["cluster", "outcome", "hop", "way"],
            registry=self._registry,
        )
        self._refused = Counter("dap_refused", "Requests refused, by code", ["code"], registry=self._registry)
        self._ignored = Counter("dap_ignored_messages", "Messages ignored", ["why"], registry=self._registry)
        self._bytes = Counter("dap_bytes", "Bytes carried", ["direction"], registry=self._registry)
        self._open = Histogram(
            "dap_open_seconds",
            "From the request to a phase",
            ["phase"],
            buckets=_PHASES,
            registry=self._registry,
        )
        tasks = Gauge("dap_tasks", "asyncio tasks of the whole process", registry=self._registry)
        tasks.set_function(lambda: len(asyncio.all_tasks()))
        self._backends = _Backends()
        self._registry.register(self._backends)
        self.live = _Live()
        self._registry.register(self.live)

    def watch(self, cluster: str, backend: Backend) -> None:
        """Shows the backend's connections from now on."""
        self._backends.rows[cluster] = backend

    def session(self, outcome: Outcome, session: Session) -> None:
        """Counts a session that ended."""
        self._ended(outcome, session, session.output.end)

    def passed(self, outcome: Outcome, session: PassedSession) -> None:
        """Counts a session that has passed as bytes and ended."""
        self._ended(outcome, session, session.bytes_out)

    def _ended(self, outcome: Outcome, session: Session | PassedSession, sent: int) -> None:
        way = session.way if isinstance(session, Session) else ""
        self._sessions.labels(session.target.cluster, outcome.code, str(outcome.hop), way).inc()
        self._bytes.labels("in").inc(session.bytes_in)
        self._bytes.labels("out").inc(sent)
        for phase, seconds in (("started", session.times.started), ("first_byte", session.times.first_byte)):
            if seconds is not None:
                self._open.labels(phase).observe(seconds)

    def refused(self, code: str) -> None:
        """Counts a request that was refused before anything was opened."""
        self._refused.labels(code).inc()

    def ignored(self, why: str) -> None:
        """Counts a message that a cluster ignores too."""
        self._ignored.labels(why).inc()

    def text(self, clusters: Collection[str] | None = None) -> bytes:
        """Returns the metrics in Prometheus' text format, of the clusters only those named. Call it in the event loop."""
        if clusters is None:
            return generate_latest(self._registry)
        named = CollectorRegistry()
        named.register(_OfClusters(self._registry, clusters))
        return generate_latest(named)


class _OfClusters(Collector):
    """Leaves out the samples of all other clusters."""

    def __init__(self, registry: CollectorRegistry, clusters: Collection[str]) -> None:
        self._registry = registry
        self._clusters = clusters

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():  # made afresh for each call
            metric.samples = [
                one for one in metric.samples if one.labels.get("cluster") in (None, *self._clusters)
            ]
            yield metric


class _Live(Collector):
    """Shows how many sessions each cluster has now, as `count` says."""

    def __init__(self) -> None:
        self.count: Callable[[], Mapping[str, int]] = dict

    def collect(self) -> Iterator[Metric]:
        live = GaugeMetricFamily("dap_sessions_open", "Sessions that live", labels=["cluster"])
        for cluster, count in self.count().items():
            live.add_metric([cluster], count)
        yield live


class _Backends(Collector):
    def __init__(self) -> None:
        self.rows: dict[str, Backend] = {}

    def collect(self) -> Iterator[Metric]:
        ssh = GaugeMetricFamily("dap_ssh", "SSH connections and what uses them", labels=["cluster", "what"])
        left = CounterMetricFamily(
            "dap_leftovers",
            "Sessions that may have left something in pods, by what came of it",
            labels=["cluster", "what"],
        )
        orphans = CounterMetricFamily(
            "dap_orphans_ended",
            "Commands that outlived their session and had to be killed",
            labels=["cluster", "where"],
        )
        for cluster, backend in self.rows.items():
            stats = backend.stats()
            for what, count in stats.connections.items():
                ssh.add_metric([cluster, what], count)
            for what, count in stats.leftovers.items():
                left.add_metric([cluster, what], count)
            for where, count in stats.orphans.items():
                orphans.add_metric([cluster, where], count)
        yield from (ssh, left, orphans)
