"""Does `dap port-forward`: ports of this machine that lead to pods."""

import asyncio
import json
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field

from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import safe, say
from gateway.client.endpoint import Endpoint
from gateway.client.forward.destination import Destination
from gateway.client.forward.forward import Forward
from gateway.client.forward.listener import PortTaken, listening
from gateway.client.forward.spec import Wanted
from gateway.client.forward.tunnels import Tunnels
from gateway.client.tunnel import PodPort
from gateway.dial import host_port
from gateway.errors import ConfigError, first
from gateway.settings.loader import load

_AGAIN = 5.0  # seconds in which the same failure of connections is said once


@dataclass(frozen=True)
class Options:
    """Holds what the command line says besides the ports. `timeout`: seconds for the pods to be found at first."""

    address: str
    strict_port: bool
    timeout: float
    json: bool
    quiet: bool


@dataclass
class _Report:
    """Says the states of one port, and the failures of its connections."""

    wanted: Wanted
    options: Options
    local: list[str] = field(default_factory=list)  # where the port listens here; empty before it does
    _last: tuple[str, float] = ("", float("-inf"))

    def state(self, state: str, where: PodPort | None, why: str = "") -> None:
        """Says a change of state: a line of JSON, or one for people. A way that is found before the port listens here is
        told by `listens`.
        """
        if state == "healthy" and not self.local:
            return
        if self.options.json:
            pod = {"namespace": where.namespace, "pod": where.pod, "port": where.port} if where else {}
            row = {
                "state": state,
                "target": self.wanted.target.pod,
                "remote": self.wanted.remote,
                "local": self.local,
            }
            print(json.dumps(row | pod | ({"message": why} if why else {})), flush=True)
        elif where:
            say(f"{self.wanted} leads to pod {where.pod} now")
        elif why:
            say(f"{self.wanted} {state}: {why}")

    def listens(self, sockets: list[socket.socket], where: PodPort) -> None:
        """Says that connections are taken now."""
        self.local = [host_port(*one.getsockname()[:2]) for one in sockets]
        if self.options.json:
            self.state("healthy", where)
            return
        for one in self.local:
            print(f"Forwarding from {one} -> {safe(where.pod)}:{where.port}", flush=True)

    def failed(self, why: str) -> None:
        """Says why a connection failed; the same again only after a while."""
        now, (said, at) = asyncio.get_running_loop().time(), self._last
        if why != said or now - at > _AGAIN:
            self._last = (why, now)
            self.state("connection failed", None, why)


def run(wanted: list[Wanted], options: Options) -> int:
    """Forwards until a signal comes, and returns 128 + its number. Raises GatewayFailed, ConfigError, and BadRequest."""
    return signals.run(_forward_all(wanted, options))


async def _forward_all(wanted: list[Wanted], options: Options) -> int:
    async with gateway(load(), quiet=options.quiet) as endpoint:
        try:
            async with asyncio.TaskGroup() as tasks:
                for one in wanted:
                    tasks.create_task(_forward(endpoint, one, options))
        except BaseExceptionGroup as group:
            raise first(group) from None
    return 0


async def _forward(endpoint: Endpoint, wanted: Wanted, options: Options) -> None:
    report = _Report(wanted, options)
    destination = Destination(endpoint, wanted, report.state)
    report.state("starting", None)
    try:
        where = await destination.find(options.timeout)
        with ExitStack() as stack:
            sockets = _listen(stack, wanted, where, options)
            report.listens(sockets, where)
            await Forward(Tunnels(endpoint), destination, report.failed).run(sockets)
    finally:
        report.state("stopped", None)


def _listen(stack: ExitStack, wanted: Wanted, where: PodPort, options: Options) -> list[socket.socket]:
    """Returns the listening sockets: on a free port where the wanted one is taken. Raises ConfigError."""
    port = wanted.local
    if port is None:
        port = int(wanted.remote) if wanted.remote.isdecimal() else where.port
    try:
        return stack.enter_context(listening(options.address, port))
    except PortTaken:
        if options.strict_port:
            raise ConfigError(
                f"port {port} is taken by another program here: take another, as in 0:{wanted.remote}"
            ) from None
    found = stack.enter_context(listening(options.address, 0))
    say(f"port {port} is taken by another program here: port {found[0].getsockname()[1]} stands for it")
    return found
