"""Clients by library, each a program of its own that is asked for one action after the other, at one side."""

import json
import os
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import lab

CLIENTS = Path(__file__).parents[1] / "clients"
PROGRAMS = CLIENTS / "programs"
IMAGE = {"image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never"}
CONTAINER = re.compile(r"[0-9a-f]{64}|cni-[0-9a-f-]{36}")  # the container runtime's own names
SERVES = "mkdir -p /tmp/w; echo served >/tmp/w/f; echo begun; exec httpd -f -p 8080 -h /tmp/w"


@dataclass(frozen=True)
class Side:
    """Where a client works: `config` leads to the gateway or to the API server, `space` is its own namespace, `many` is one
    with thousands of ConfigMaps that both sides read; `home`: what a shell has in which `dap` finds its gateway.
    """

    name: str
    config: Path
    space: str
    many: str
    directory: Path
    home: dict[str, str]

    def fill(self) -> None:
        """Creates the deployments `d`, which serves HTTP and writes a line, and `r`, for rollouts."""
        given = "\n---\n".join(json.dumps(deployment(name, SERVES)) for name in "dr")
        lab.kubectl("create", "-n", self.space, "-f", "-", given=given)
        for name in "dr":
            lab.kubectl("rollout", "status", "-n", self.space, f"deploy/{name}", "--timeout=60s")

    @property
    def env(self) -> dict[str, str]:
        """What a client's program sees."""
        pods = lab.kubectl(
            "get", "pods", "-n", self.space, "-l", "app=d", "-o", "jsonpath={.items[0].metadata.name}"
        )
        return self.home | {
            "KUBECONFIG": str(self.config), "CONFORMANCE_SPACE": self.space, "CONFORMANCE_MANY": self.many,
            "CONFORMANCE_POD": pods, "CONFORMANCE_MIB": os.environ.get("CONFORMANCE_MIB", "1"), "PYTHONPATH": str(PROGRAMS),
            "PYTHONWARNINGS": "default",  # kr8s warns of the version that the cluster has
        }  # fmt: skip

    def settled(self, text: str, pod: str = "") -> str:
        """Returns an outcome without the names that are this side's alone."""
        settled = CONTAINER.sub("ID", text.replace(self.space, "SPACE"))
        return settled.replace(pod, "POD") if pod else settled


def deployment(name: str, command: str) -> dict[str, Any]:
    """Returns a deployment of one pod that runs a shell's command."""
    labels = {"app": name}
    container = {"name": "main", "command": ["sh", "-c", command], **IMAGE}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


class Talk:
    """One client's program at one side."""

    def __init__(self, argv: list[str], name: str, side: Side) -> None:
        env = side.env | {"CONFORMANCE_CLIENT": name}
        self._side, self._pod = side, env["CONFORMANCE_POD"]
        self._errors = (side.directory / f"{name}.err").open("w+")
        self._process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
        )

    def ask(self, action: str) -> None:
        """Begins an action."""
        assert self._process.stdin
        self._process.stdin.write(f"{action}\n")

    def outcome(self, seconds: float = 170.0) -> Any:
        """Returns how the action ended, with SPACE and POD for the names that are this side's alone."""
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        assert ready, f"no outcome at the {self._side.name} after {seconds} s"
        line = self._process.stdout.readline()
        assert line, f"the program at the {self._side.name} has ended: {self.errors()}"
        return json.loads(self._side.settled(line, self._pod))

    def errors(self) -> str:
        """Returns what the program has written to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def end(self) -> None:
        """Ends the program."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def node() -> list[str]:
    """Returns the command of the client in JavaScript; skips where hack/clients has not installed what it needs."""
    if not (CLIENTS / "node" / "node_modules").exists():
        pytest.skip("no JavaScript client: hack/clients installs it")
    return [str(CLIENTS.parents[1] / "hack" / "node"), "node", str(CLIENTS / "node" / "client.mjs")]


def golang() -> list[str]:
    """Returns the command of the client in Go; skips where hack/clients has not built it."""
    built = CLIENTS / "go" / "build" / "client"
    if not built.exists():
        pytest.skip("no client-go program: hack/clients builds it")
    return [str(built)]


def python(name: str) -> list[str]:
    """Returns the command of a client in Python."""
    return [sys.executable, str(PROGRAMS / f"{name}.py")]
