"""Does `dap probe`: proves that a pod can be used, step by step, and names the hop where it cannot."""

import asyncio
import json as json_format
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace

from gateway.cli import signals
from gateway.cli.commands import doctor
from gateway.cli.commands.probe_script import FIRST, SCRIPT, CheckFailed, HopEnded, ProbeScript, Skipped
from gateway.cli.connect import gateway
from gateway.cli.console import safe
from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import HOP_FAILED, End, GatewayFailed
from gateway.client.request import path
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target
from gateway.settings.loader import load

STEPS = ("open", "start", "echo", "compute", "resize", "close")
_STEP = 10.0  # seconds for a step once the command runs; before that, all the time there is
_DOUBT = 4.0  # seconds without an answer until the hops are asked which of them it is
_TIMEOUT = "probe_timeout"
_CHECK = "probe_check"


@dataclass(frozen=True)
class Step:
    """Holds one line. `result`: PASS, FAIL or SKIP; `hop` and `code` say whose failure it is."""

    step: str
    result: str
    ms: float
    message: str = ""
    hop: str = ""
    code: str = ""

    def __str__(self) -> str:
        if self.result == "PASS":
            return f"PASS {self.step:<8}{self.ms:6.0f} ms  {safe(self.message)}".rstrip()
        if self.result == "SKIP":
            return f"SKIP {self.step}: {safe(self.message)}"
        return f"FAIL {self.step}: {safe(f'{self.hop}: {self.message} ({self.code})')}"

    @property
    def exit_status(self) -> int:
        """Returns 1 when the session works but a check of it failed, 125 when a hop failed, else 0."""
        if self.result != "FAIL":
            return 0
        return 1 if self.code in (_CHECK, _TIMEOUT) else HOP_FAILED


Report = Callable[[Step], None]


def run(target: Target, timeout: float, *, json: bool, quiet: bool) -> int:
    """Prints the steps and returns 0, 1 or 125."""
    return signals.run(_run(target, timeout, as_json=json, quiet=quiet))


async def _run(target: Target, seconds: float, *, as_json: bool, quiet: bool) -> int:
    steps: list[Step] = []

    def report(step: Step) -> None:
        steps.append(step)
        if not as_json:
            print(step, flush=True)

    exit_code = None
    try:
        async with gateway(load(), quiet=quiet or as_json) as endpoint:
            probe = Probe(endpoint, target, seconds, report)
            exit_code = await probe.run()
            target = probe.target
    except GatewayFailed as error:
        report(_failed("open", 0, error.end))
    last = steps[-1]
    if as_json:
        verdict = {"ok": not last.exit_status, "target": str(target), "exitCode": last.exit_status}
        verdict |= {"exitCodeOf": "dap", "commandExitCode": exit_code}
        verdict |= {key: getattr(last, key) if last.exit_status else "" for key in ("hop", "code", "message")}
        print(json_format.dumps(verdict | {"steps": [asdict(step) for step in steps]}))
    return last.exit_status


class Probe:
    """Runs the steps until one fails. `timeout`: seconds for all of them. `target`: its namespace is known as
    soon as the session is open.
    """

    def __init__(self, endpoint: Endpoint, target: Target, timeout: float, report: Report) -> None:
        self._endpoint = endpoint
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + timeout
        self._report = report

    async def run(self) -> int | None:
        """Runs and reports each step. Returns the exit code that came through from the pod's command, None
        where none did.
        """
        async with AsyncExitStack() as stack:
            command = Command(("sh", "-c", SCRIPT), stdin=True, stdout=True, tty=True, size=FIRST)
            session = attach(self._endpoint, path(self.target, command))
            conversation: ProbeScript | None = None

            async def dial() -> None:
                nonlocal conversation
                conversation = ProbeScript(await stack.enter_async_context(session))
                await conversation.open()
                if namespace := conversation.target.get("namespace"):
                    self.target = replace(self.target, namespace=str(namespace))

            for name in STEPS:
                step = await self._step(name, getattr(conversation, name) if conversation else dial)
                self._report(step)
                if step.result == "FAIL":
                    break
        return conversation.exit_code if conversation else None

    async def _step(self, name: str, action: Callable[[], Awaitable[None]]) -> Step:
        start = self._loop.time()
        limit = self._deadline if name in ("open", "start") else min(self._deadline, start + _STEP)
        end, skipped = None, ""
        async with asyncio.TaskGroup() as group:
            doubt = group.create_task(self._culprit())
            try:
                async with asyncio.timeout_at(limit):
                    await action()
            except TimeoutError:
                late = f"no answer in {limit - start:.0f} s"
                end = await doubt or End(_TIMEOUT, Hop.POD if name != "open" else Hop.GATEWAY, late)
            except CheckFailed as error:
                end = End(_CHECK, Hop.POD, str(error))
            except HopEnded as error:
                end = error.end if error.end.code != "exited" else replace(error.end, code=_CHECK)
            except GatewayFailed as error:
                end = error.end
            except Skipped as error:
                skipped = str(error)
            doubt.cancel()
        ms = round((self._loop.time() - start) * 1000, 1)
        if end:
            return _failed(name, ms, end)
        if skipped:
            return Step(name, "SKIP", ms, skipped)
        return Step(name, "PASS", ms, str(self.target) if name == "open" and self.target.namespace else "")

    async def _culprit(self) -> End | None:
        """Waits a while without an answer, then returns the failure of the first hop that the gateway
        reports; None where the gateway reports none.
        """
        left = self._deadline - self._loop.time()
        await asyncio.sleep(min(_DOUBT, left / 3))
        left = max(0.1, self._deadline - self._loop.time())
        try:
            checks = await asyncio.to_thread(doctor.hop_checks, self._endpoint, self.target.cluster, left)
        except GatewayFailed:
            return None  # it has no time left to say, or is too old to know
        found = next((check for check in checks if check.ok is False and check.code), None)
        return End(found.code, found.name, found.message or "the hop does not answer") if found else None


def _failed(name: str, ms: float, end: End) -> Step:
    return Step(name, "FAIL", ms, end.message, end.hop, end.code)
