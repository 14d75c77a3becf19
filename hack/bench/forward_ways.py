"""The ways to ports of a pod that are compared: the chain as people type it, a port carried by it, kubectl's port-forward
reached by devices of Incus, kubectl straight at the API server, and `dap port-forward` through a gateway.
"""

import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from api_ways import DAP
from conversation import LIMIT, BenchError
from raw import RawConversation
from rows import MIB
from served import serving

ECHO, SOURCE, SINK = 7001, 7002, 7003  # ports of the pod
SIZE = 64 * MIB
_POD = "bash-0"
_AT = 10_000  # added to a port: where it is in the runner and on the management host; twice, here at the end of the chain
_SENDS = f"dd if=/dev/zero bs=64k count={SIZE >> 16} 2>/dev/null; cat"
_COUNTS = f"head -c {SIZE} | wc -c"
_SERVERS = f"""
nc -ll -p {ECHO} -e cat & nc -ll -p {SOURCE} -e sh -c '{_SENDS}' & nc -ll -p {SINK} -e sh -c '{_COUNTS}' &
echo ready; cat; kill $(jobs -p) || kill 0
"""


class Connection(Protocol):
    """One connection to what listens in the pod, as `Conversation` has these."""

    def fetch(self, count: int) -> None:
        """Reads exactly `count` bytes."""
        ...

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        ...

    def until(self, marker: bytes) -> bytes:
        """Reads up to the end of `marker`, and returns all before it."""
        ...

    def close(self) -> None:
        """Ends it, whatever state it is in."""
        ...


Open = Callable[[int], Connection]  # a connection to a port of the pod
Ports = dict[int, int]  # of the pod -> of this machine


class _Socket:
    """See `Connection`."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), LIMIT)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fetch(self, count: int) -> None:
        while count:
            count -= len(self._some(min(count, MIB)))

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def until(self, marker: bytes) -> bytes:
        found = b""
        while not found.endswith(marker):
            found += self._some(100)
        return found.removesuffix(marker)

    def close(self) -> None:
        self._sock.close()

    def _some(self, size: int) -> bytes:
        if not (data := self._sock.recv(size)):
            raise BenchError("a connection ended before its last byte")
        return data


@contextmanager
def servers() -> Iterator[None]:
    """Runs what listens in the pod: one echoes, one sends, one counts."""
    words = _kubectl("exec", "-i", _POD, "--", "sh", "-c", _SERVERS)
    with _running(words, lambda line: line == "ready\n"):
        yield


def chain(port: int) -> Connection:
    """Runs in the pod what a port has behind it, with the pipes of `ssh … incus exec … kubectl exec -i`."""
    command = f"echo ready; {_SENDS if port == SOURCE else _COUNTS}"
    return _typed(shlex.join(["kubectl", "exec", "-i", _POD, "--", "sh", "-c", command]))


def carried(port: int) -> Connection:
    """Connects to kubectl's port-forward in the runner, with the pipes of `ssh … incus exec`."""
    at = port + _AT
    return _typed(
        f"kubectl port-forward {_POD} {at}:{port} >/dev/null & "
        f"until {{ exec 3<>/dev/tcp/127.0.0.1/{at}; }} 2>/dev/null; do sleep 0.1; done; "
        "echo ready; cat <&3 & cat >&3; kill %1 %2"
    )


def _typed(line: str) -> RawConversation:
    words = ["incus", "exec", _instance(), "-T", "--", "bash", "-lc", line]
    conversation = RawConversation([*_ssh(), "-T", "mgmt", shlex.join(words)], tty=False)
    conversation.until(b"ready\n")
    return conversation


@contextmanager
def straight() -> Iterator[Open]:
    """Runs kubectl's port-forward on this machine, straight at the API server."""
    with _listening(_kubectl("port-forward", _POD, *(f":{port}" for port in (ECHO, SOURCE, SINK)))) as open_:
        yield open_


@contextmanager
def gateway() -> Iterator[Open]:
    """Runs `dap port-forward` through a gateway of this checkout."""
    with serving("relay", _POD, "", "v5.channel.k8s.io") as served:
        env = os.environ | {"DAP_GATEWAY_URL": served.url, "DAP_GATEWAY_TOKEN": served.token}
        words = [str(DAP), "port-forward", _POD, *(f"0:{port}" for port in (ECHO, SOURCE, SINK))]
        with _listening(words, env) as open_:
            yield open_


@contextmanager
def device() -> Iterator[Open]:
    """Runs kubectl's port-forward in the runner: a device of Incus leads to each port from the management host, ssh from here."""
    pairs = {port: port + _AT for port in (ECHO, SOURCE, SINK)}
    with ExitStack() as stack:
        for at in pairs.values():
            stated = f"incus config device %s {_instance()} bench-{at}"
            where = f"tcp:127.0.0.1:{at}"
            added = f"{stated % 'add'} proxy listen={where} connect={where} bind=host"
            subprocess.run([*_ssh(), "mgmt", added], check=True, capture_output=True, timeout=LIMIT)
            gone = [*_ssh(), "mgmt", stated % "remove"]
            stack.callback(subprocess.run, gone, check=True, capture_output=True, timeout=LIMIT)
        forwards = [word for at in pairs.values() for word in ("-L", f"{at + _AT}:127.0.0.1:{at}")]
        ports = " ".join(f"{at}:{port}" for port, at in pairs.items())
        # its stdin's end is kubectl's: ssh alone would leave it
        run = f"kubectl port-forward {_POD} {ports} & cat; kill %1"
        line = f"incus exec {_instance()} -T -- bash -lc '{run}'"
        options = ("-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes", *forwards)
        words = [*_ssh(), *options, "-T", "mgmt", line]
        stack.enter_context(_running(words, lambda said: said.endswith(f"-> {SINK}\n")))
        yield _ports({port: at + _AT for port, at in pairs.items()})


def _ssh() -> tuple[str, ...]:
    return ("ssh", "-F", os.environ["DAP_LAB_SSH_CONFIG"])


def _instance() -> str:
    return os.environ.get("DAP_RUNNER_VM", "dap-runner")


def _kubectl(*words: str) -> list[str]:
    config = Path(os.environ["DAP_LAB_KUBECONFIG"])
    return [str(config.parents[1] / "bin" / "kubectl"), "--kubeconfig", str(config), *words]


def _ports(ports: Ports) -> Open:
    return lambda port: _Socket(ports[port])


@contextmanager
def _listening(words: list[str], env: dict[str, str] | None = None) -> Iterator[Open]:
    """Runs a program that says where the ports of the pod are here."""
    found: Ports = {}

    def ready(line: str) -> bool:
        if said := re.search(r"127\.0\.0\.1:(\d+) -> \D*(?:\d+:)?(\d+)$", line.strip()):
            found[int(said[2])] = int(said[1])
        return len(found) == 3

    with _running(words, ready, env):
        yield _ports(found)


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
