"""Answers the names of actions on stdin with their outcomes, a line of JSON each, until stdin ends: the frame of every
Python client that the table compares.
"""

import asyncio
import hashlib
import inspect
import json
import os
import sys
import traceback

# Where the client works, and what the table fixes for all clients alike
SPACE = os.environ.get("CONFORMANCE_SPACE", "")
MANY = os.environ.get("CONFORMANCE_MANY", "")
POD = os.environ.get("CONFORMANCE_POD", "")  # of the deployment `d` in SPACE
NAME = os.environ.get("CONFORMANCE_CLIENT", "")  # begins the names of what the client makes
CODES = (0, 1, 3, 126, 127, 137, 255)
SIZE = int(os.environ.get("CONFORMANCE_MIB", "1")) << 20  # bytes that go each way
LINES = "0123456789abcdef" * (SIZE // 16)
DEADLINE = 160.0
# Commands of a shell that read a line: with three pipes, and in a terminal
INPUT = ["sh", "-c", "head -n1; echo out; echo err >&2; exit 3"]
TERMINAL = ["sh", "-c", "read line; test -t 0 && test -t 1 && echo terminal; exit 3"]


def serve(actions):
    """Runs the actions that stdin names, with one event loop for those that are coroutine functions."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            try:
                outcome = runner.run(_run(actions[line.strip()]))
            except Exception:  # noqa: BLE001 - whatever a client raises is its outcome
                outcome = {"failed": traceback.format_exc()}
            sys.stdout.write(f"{json.dumps(outcome, default=str)}\n")
            sys.stdout.flush()


async def _run(action):
    async with asyncio.timeout(DEADLINE):
        if inspect.iscoroutinefunction(action):
            return await action()
        return await asyncio.to_thread(action)


def digest(lines):
    """Returns one hash of many lines, in their order."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def refusal(status, body):
    """Returns what a client learns from a Status."""
    said = json.loads(body)
    return {"status": status, "reason": said["reason"], "message": said["message"]}


def config_map(name, **data):
    """Returns a ConfigMap with a label that a watch can select."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"by": name}},
        "data": data,
    }


def attachable(name):
    """Returns a pod that answers each line of its input, and ends with it."""
    command = "echo begun; while read line; do echo got $line; done; echo over"
    container = {
        "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "stdin": True, "stdinOnce": True,
        "command": ["sh", "-c", command],
    }  # fmt: skip
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def script(code):
    """Returns a shell's command that writes to both outputs and exits so."""
    return ["sh", "-c", f"echo out; echo err >&2; exit {code}"]
