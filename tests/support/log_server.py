"""A gateway in front of pods whose logs are what a test says: with the API's own rules for `sinceTime`, `tailLines`,
`follow` and `previous`, and links that can be cut.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiohttp import web

from gateway.client.endpoint import Endpoint
from gateway.protocol.outcome import Outcome

SECOND = 10**9
BEGIN = 1_800_000_000 * SECOND  # nanoseconds: the time of a first line


def stamp(time: int) -> str:
    """The time as a kubelet writes it."""
    return f"{datetime.fromtimestamp(time // SECOND).astimezone().strftime('%Y-%m-%dT%H:%M:%S')}.{time % SECOND:09}Z"


class Run:
    """One run of a container. `deaf`: what is followed does not see what is written; `lost`: the node has no log of it."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        self.over = False
        self.deaf = self.lost = False


class Pod:
    """A pod with one container."""

    def __init__(self, server: "LogServer", name: str, *, runs: bool = True) -> None:
        self.server = server
        self.name = name
        self.uid = f"uid-{name}"
        self.runs = [Run()] if runs else []
        self.phase = "Running"

    def write(self, data: bytes, time: int) -> None:
        """Adds a line to the log."""
        self.runs[-1].lines.append((BEGIN + time, data))
        self.server.wake()

    def restart(self) -> None:
        """Begins another run."""
        self.runs[-1].over = True
        self.runs.append(Run())
        self.server.wake()

    def end(self) -> None:
        """Ends the pod for good."""
        self.runs[-1].over, self.phase = True, "Succeeded"
        self.server.wake()

    def object(self) -> dict[str, Any]:
        """The pod as the API has it."""
        state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        if self.runs:
            state = (
                {"terminated": {"exitCode": 0, "reason": "Completed"}}
                if self.runs[-1].over
                else {"running": {}}
            )
        status = {"name": "main", "state": state, "restartCount": max(0, len(self.runs) - 1)}
        return {
            "metadata": {"name": self.name, "namespace": "default", "uid": self.uid},
            "spec": {"containers": [{"name": "main"}]},
            "status": {"phase": self.phase, "containerStatuses": [status]},
        }  # fmt: skip


class LogServer:
    """Serves the logs. `down`: nothing is reached; `asked`: the queries of all requests for a log."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.asked: list[dict[str, str]] = []
        self.down = False
        self.job_is_over = False
        self.endpoint = Endpoint("")
        self._changed = asyncio.Event()
        self._open: list[web.Request] = []
        self._added: list[str] = []  # pods, in order: a version of the list counts them

    def pod(self, name: str, *, runs: bool = True) -> Pod:
        """Adds a pod."""
        self.pods[name] = Pod(self, name, runs=runs)
        self._added.append(name)
        self.wake()
        return self.pods[name]

    def remove(self, name: str) -> None:
        """Deletes a pod."""
        del self.pods[name]
        self.wake()

    def wake(self) -> None:
        """Has what is followed or watched look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self) -> None:
        """Cuts all answers in their middle."""
        for request in self._open:
            if request.transport:
                request.transport.abort()
        self.wake()

    async def list(self, request: web.Request) -> web.StreamResponse:
        """The list of pods, or what joins it."""
        if "watch" not in request.query:
            items = [pod.object() for pod in self.pods.values()]
            return self._refused() or web.json_response(
                {"metadata": {"resourceVersion": str(len(self._added))}, "items": items}
            )
        known = set(self._added[: int(request.query["resourceVersion"])])
        answer = await self._begun(request)
        while request.transport:
            changed = self._changed
            for name in set(self.pods) - known:
                known.add(name)
                event = {"type": "ADDED", "object": self.pods[name].object()}
                await answer.write(json.dumps(event).encode() + b"\n")
            await changed.wait()
        return answer

    async def job(self, _: web.Request) -> web.StreamResponse:
        """A job that selects all pods."""
        conditions = [{"type": "Complete", "status": "True"}] if self.job_is_over else []
        spec = {"selector": {"matchLabels": {"job-name": "j"}}}
        return web.json_response({"spec": spec, "status": {"conditions": conditions}})

    async def one(self, request: web.Request) -> web.StreamResponse:
        """A pod."""
        if pod := self.pods.get(request.match_info["pod"]):
            return self._refused() or web.json_response(pod.object())
        return self._refused() or _failure(404, "not found", details={"name": request.match_info["pod"]})

    async def log(self, request: web.Request) -> web.StreamResponse:
        """A log."""
        query = dict(request.query)
        self.asked.append(query)
        pod = self.pods[request.match_info["pod"]]
        at = -2 if query.get("previous") else -1
        if refused := self._refused():
            return refused
        if len(pod.runs) < -at:
            return _failure(400, "waiting to start")
        return await self._sent(request, pod.runs[at], query)

    async def _sent(self, request: web.Request, run: Run, query: dict[str, str]) -> web.StreamResponse:
        since = datetime.fromisoformat(query["sinceTime"]).timestamp() * SECOND if "sinceTime" in query else 0
        lines = [line for line in run.lines if line[0] >= since]
        lines = lines[-int(query["tailLines"]) :] if "tailLines" in query else lines
        answer, done = await self._begun(request), len(run.lines)
        if run.lost:
            await answer.write(b"unable to retrieve container logs for containerd://1")
            return answer
        await answer.write(b"".join(_line(*line) for line in lines))
        while query.get("follow") and not run.over and request.transport:
            changed = self._changed
            if not run.deaf:
                await answer.write(b"".join(_line(*line) for line in run.lines[done:]))
                done = len(run.lines)
            if not run.over:
                await changed.wait()
        if not run.deaf and query.get("follow") and request.transport:
            await answer.write(b"".join(_line(*line) for line in run.lines[done:]))
        self._open.remove(request)
        return answer

    async def _begun(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        self._open.append(request)
        return answer

    def _refused(self) -> web.Response | None:
        return (
            _failure(503, Outcome("ssh_unreachable", "it is down").as_status().message) if self.down else None
        )


def _line(time: int, data: bytes) -> bytes:
    zone = datetime.fromtimestamp(time // SECOND).astimezone().strftime("%z")
    return stamp(time).removesuffix("Z").encode() + f"{zone[:3]}:{zone[3:]} ".encode() + data


def _failure(code: int, message: str, **more: object) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": code, "reason": "Any", **more}
    return web.json_response(body, status=code)


@asynccontextmanager
async def log_server() -> AsyncIterator[LogServer]:
    """A server on a free port."""
    server, app = LogServer(), web.Application()
    pods = "/clusters/default/api/v1/namespaces/default/pods"
    app.router.add_get(pods, server.list)
    app.router.add_get(f"{pods}/{{pod}}", server.one)
    app.router.add_get("/clusters/default/apis/batch/v1/namespaces/default/jobs/j", server.job)
    app.router.add_get(f"{pods}/{{pod}}/log", server.log)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.endpoint = Endpoint(f"http://127.0.0.1:{port}")
    try:
        yield server
    finally:
        server.cut()
        await runner.cleanup()
