"""One `dap serve` of this checkout, on one port and with one set of directories through all its lives."""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faultrig.clients import Access

_ROOT = Path(__file__).resolve().parent.parent.parent
_START = 60.0  # seconds until it says that it serves, and that all hops answer
_ANSWER = 40.0  # seconds for an answer
_STOP = 20.0  # seconds after SIGTERM
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServeError(Exception):
    """It did not start, or did not stop. The message is one line for a person."""


class Serve:
    """`mode` is the kind of chain; `directory` is its alone; `settings` are of the environment."""

    def __init__(self, mode: str, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.mode = mode
        self._directory = directory
        self._log = directory / "log"
        self._process: asyncio.subprocess.Process | None = None
        self._vanished: list[list[str]] = []  # rules that are in force
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        token = secrets.token_urlsafe(32)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DAP_GATEWAY_")}
        own = {f"XDG_{kind}_HOME": f"{directory}/{kind.lower()}" for kind in ("CONFIG", "STATE")}
        self._environment = kept | own | dict(settings or {}) | {
            "XDG_RUNTIME_DIR": str(directory), "DAP_RUNNER_MODE": mode, "TERM": "xterm",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(_ROOT),
        }  # fmt: skip
        config = directory / "config" / "dap" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("[limits]\nsessions_per_identity = 0\n", "utf-8")  # all are one person's here
        url = f"http://127.0.0.1:{self._port}"
        self.access = Access(url, token, self._environment)

    async def start(self, *, ready: bool = True) -> None:
        """Until it serves and its chain answers, or only until it serves. ServeError."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "serve", "--listen", f"127.0.0.1:{self._port}", "--log", "json",
                env=self._environment | {"DAP_GATEWAY_TOKEN": self.access.token}, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + _START
        while (await asyncio.to_thread(self._open, "/readyz" if ready else "/healthz"))[0] != 200:
            if self._process.returncode is not None or time.monotonic() > end:
                raise ServeError(
                    f"dap serve ({self.mode}) does not get ready: {self._log.read_text()[-400:]!a}"
                )
            await asyncio.sleep(0.2)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """The signal, and its exit status. ServeError when it stays."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), _STOP)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ServeError(f"dap serve lived {_STOP:g} s after signal {number}") from None

    async def pause(self, seconds: float) -> None:
        """It does nothing for so long."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    async def vanish(self) -> None:
        """No packet goes to or from its TCP clients any more. ServeError without iptables."""
        for row in self._rules:
            await self._iptables("-I", row)
            self._vanished.append(row)

    async def appear(self) -> None:
        """Undoes `vanish`."""
        while self._vanished:
            await self._iptables("-D", self._vanished.pop())

    @property
    def _rules(self) -> list[list[str]]:
        return [f"INPUT -i lo -p tcp --{end}port {self._port} -j DROP".split() for end in "ds"]

    async def _iptables(self, what: str, row: list[str]) -> None:
        process = await asyncio.create_subprocess_exec("iptables", what, *row, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        if process.returncode:
            raise ServeError(f"iptables {what} {' '.join(row)}: {said.decode().strip()}")

    def mark(self) -> int:
        """Where the log ends now."""
        return self._log.stat().st_size

    def closed(self, since: int) -> list[dict[str, Any]]:
        """The ends of sessions in its log, from a mark on."""
        with self._log.open("rb") as log:
            log.seek(since)
            rows = [json.loads(row) for row in log.read().splitlines() if row.startswith(b"{")]
        return [row for row in rows if row.get("event") == "session_closed"]

    def store(self) -> dict[str, int]:
        """What it has open now: file descriptors, and resident memory in KiB."""
        assert self._process
        place = Path(f"/proc/{self._process.pid}")
        size = re.search(r"VmRSS:\s+(\d+)", (place / "status").read_text())
        return {"fds": len(list((place / "fd").iterdir())), "KiB": int(size[1]) if size else 0}

    async def connections(self) -> dict[str, int]:
        """Its SSH connections and its breaker, as /readyz has them."""
        _, shown = await asyncio.to_thread(self._open, "/readyz")
        return dict(json.loads(shown)["clusters"]["default"]["ssh"])

    async def metrics(self) -> str:
        """As Prometheus gets them."""
        _, shown = await asyncio.to_thread(self._open, "/metrics")
        return shown.decode()

    async def ticket(self) -> str:
        """For a browser, once."""
        answer = json.loads(await asyncio.to_thread(self._ask, "POST", "tickets"))
        return str(answer["ticket"])

    async def clear(self) -> None:
        """Ends the sessions that it still has: terminals that wait for a client that will not come."""
        listed = json.loads(await asyncio.to_thread(self._ask, "GET", "sessions") or b'{"sessions": []}')
        for session in listed["sessions"]:
            await asyncio.to_thread(self._ask, "DELETE", f"sessions/{session['name']}")

    def _ask(self, method: str, path: str) -> bytes:
        """The answer; nothing where it refuses, or has ended meanwhile."""
        status, body = self._open(f"/gateway/v1/{path}", method)
        return body if status < 300 else b""

    def _open(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """(status, body); 599 where nobody answers."""
        bearer = {"Authorization": f"Bearer {self.access.token}"}
        request = urllib.request.Request(self.access.url + path, headers=bearer, method=method)
        try:
            with _DIRECT.open(request, timeout=_ANSWER) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()
        except (OSError, urllib.error.URLError):
            return 599, b""
