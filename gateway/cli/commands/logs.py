"""Does `dap logs`: the logs of pods on this terminal or pipe, on their own or while a command runs here."""

import asyncio
import math
import os
from dataclasses import dataclass

from gateway.cli import child, signals
from gateway.cli.connect import gateway
from gateway.cli.log_printer import LogPrinter
from gateway.cli.terminal.stdio import OutputClosed, Sink
from gateway.client.cluster import Cluster
from gateway.client.exit_status import HOP_FAILED
from gateway.client.logs.reading import Reading
from gateway.client.logs.wish import Selection, Wish, selections
from gateway.errors import first
from gateway.settings.loader import load

_SIGPIPE = 128 + 13  # what a shell shows for tools that die of a closed pipe
_SEVERAL = 10  # lines of each of several pods, as kubectl


@dataclass(frozen=True)
class Options:
    """Holds what the command line says besides the pods. `argv`: a command to run here meanwhile; empty for none."""

    argv: tuple[str, ...]
    labels: tuple[str, ...]
    everything: bool
    namespace: str | None
    container: str | None
    every: bool
    cluster: str
    follow: bool
    since: float | None
    tail: int | None
    previous: bool
    timestamps: bool
    no_color: bool
    sort: float
    drain: float
    quiet: bool

    def wish(self, *, several: bool) -> Wish:
        """Returns which part of the logs is wanted."""
        follow = self.follow or bool(self.argv)
        tail = self.tail
        if tail is None and self.since is None and not self.previous:
            tail = 0 if self.argv else _SEVERAL if several else None
        return Wish(
            follow=follow, since=self.since, tail=None if tail == -1 else tail, previous=self.previous, sort=self.sort,
            container=self.container or "", every=self.every, patience=math.inf if follow else Wish.patience,
        )  # fmt: skip

    @property
    def colored(self) -> bool:
        """True if stdout is a terminal that is to have colours (no-color.org)."""
        wanted = not self.no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return wanted and os.isatty(1)


def run(targets: tuple[str, ...], options: Options) -> int:
    """Prints the logs and returns the exit status: the command's, where one runs; 125 where a log could not be read.
    Raises BadRequest, DapError, ConfigError.
    """
    selected = selections(
        options.cluster, options.namespace, targets, options.labels, everything=options.everything
    )
    return signals.run(_logs(selected, options))


async def _logs(selected: list[Selection], options: Options) -> int:
    one_pod = len(selected) == 1 and selected[0].is_one_pod
    async with gateway(load(), quiet=options.quiet) as endpoint:
        cluster, sink = Cluster(endpoint, options.cluster), Sink()
        namespace = options.namespace or await cluster.default_namespace()
        printer = LogPrinter(
            sink, prefixed=not one_pod or options.every, timestamps=options.timestamps, colored=options.colored,
            quiet=options.quiet,
        )  # fmt: skip
        reading = Reading(cluster, namespace, options.wish(several=not one_pod), printer.print)
        try:
            return await _read(reading, selected, options, sink)
        except OutputClosed:
            return _SIGPIPE
        finally:
            sink.close()


async def _read(reading: Reading, selected: list[Selection], options: Options, sink: Sink) -> int:
    """Reads the logs until their end, or until the command has ended; returns the exit status."""
    status = 0
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(sink.watch())
            reader = tasks.create_task(reading.run(selected))
            if options.argv:
                await reading.ready.wait()
                status = await child.run(options.argv)
                await asyncio.wait((reader,), timeout=options.drain)
                reading.stop()
            await asyncio.wait((reader,))
            watching.cancel()
    except BaseExceptionGroup as group:
        raise first(group) from None
    await sink.drain()
    return status or (HOP_FAILED if reading.failed and not options.argv else 0)
