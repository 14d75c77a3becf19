"""Runs a terminal's session, over as many connections as it takes.

    keys ──▶ InputBuffer ──▶ connection ──▶ the gateway ──▶ OutputTracker ──▶ the screen
                      ◀── received ──          ── seen ◀──

Where the gateway keeps the session (`resume` in its hello), a connection that is lost is made again, with backoff, until
the session's grace time is over: what was typed is kept, what was not drawn is asked for. Otherwise the session ends
with its connection. A fresh shell is never started in place of a lost one.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.cli.terminal import tty
from gateway.cli.terminal.display import Display
from gateway.cli.terminal.keyboard import Keyboard
from gateway.cli.terminal.notices import Absence, Lost
from gateway.cli.terminal.stdio import Sink
from gateway.cli.terminal.tty import Terminal
from gateway.cli.terminal.window_size import WindowSize
from gateway.client import resume
from gateway.client.connection import Connection, attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import LOST, End, GatewayFailed
from gateway.client.resume import Resume, attach_path, broken, number
from gateway.errors import first
from gateway.protocol.messages import Control, Output, Stream
from gateway.protocol.target import Command

_LULL = 0.1  # seconds until `seen` is told, unless a quarter of the window comes first
_WARNINGS = {
    "idle": "idle, ends in {seconds} s unless a key is pressed",
    "max_age": "ends in {seconds} s, having reached the age that is allowed",
}


class Shell:
    """Runs one session on the terminal, once. Made with the terminal waiting; makes it raw when the command runs."""

    tells: Callable[[Mapping[str, Any]], None] | None = (
        None  # set it for what is said of the pod at the hello
    )

    def __init__(
        self, endpoint: Endpoint, sink: Sink, terminal: Terminal, command: Command | None = None
    ) -> None:
        self._endpoint = endpoint
        self._sink = sink
        self._terminal = terminal
        self._display = Display(sink, exact=command is not None and command.exact)
        self._notices = self._display.notices
        self._absence = Absence(self._notices)
        self._keyboard = Keyboard(self._absence, self._given_up, self._display.flood.typed)
        self._sizes = WindowSize(command.size if command else None, terminal)
        self._resume: Resume | None = None
        self._attached = False
        self._joining = False  # the session is another client's until its hello
        self._afresh = False  # the output that we have not seen is gone: from the newest on

    async def open(self, path: str) -> End:
        """Opens a new session and returns its end. Raises GatewayFailed, GivenUp, OutputClosed."""
        return await self._run(path, attaching=False)

    async def take_over(self, session: str) -> End:
        """Attaches to a living session, whoever has it now, and returns its end. Raises as `open`."""
        self._joining = True
        return await self._run(attach_path(session), attaching=True)

    async def _run(self, path: str, *, attaching: bool) -> End:
        try:
            # listening before the first output: who sees it may resize at once
            with tty.resized() as changed:
                async with asyncio.TaskGroup() as group:
                    jobs = self._sink.watch(), self._keyboard.read(), self._sizes.listen(changed)
                    tasks = [group.create_task(job) for job in jobs]
                    end = await self._live(path, attaching=attaching)
                    for task in tasks:
                        task.cancel()
                return end
        except BaseExceptionGroup as errors:
            raise first(errors) from None
        finally:
            self._absence.stop()
            self._notices.warn("")
            self._keyboard.close()
            self._display.flood.settle()

    async def _live(self, path: str, *, attaching: bool) -> End:
        """Opens connection after connection, and returns the session's end or ours."""
        waits = resume.delays()
        while True:
            try:
                end = await self._attend(path, attaching=attaching)
                if self._attached or self._resume is None or not self._worth_another_try(end):
                    return end
            except GatewayFailed as error:
                if self._resume is None or not error.passing:
                    raise
                end = error.end
            path, attaching = attach_path(self._resume.session, self._resume.cluster), True
            if self._attached:
                self._attached, waits = False, resume.delays()
                self._absence.begin(Lost(end.hop, end.message, end.code, self._resume.grace))
            left = self._absence.left
            if not left:
                raise GatewayFailed(LOST, f"no connection in time, given up: {end.message}")
            await resume.pause(min(next(waits), left))
            self._absence.remind()

    def _worth_another_try(self, refused: End) -> bool:
        if refused.code == "offset_gone" and not self._afresh:
            self._afresh = True
            return True
        return resume.passing(refused)

    async def _attend(self, path: str, *, attaching: bool) -> End:
        """Runs one connection and returns its end. Raises GatewayFailed when the connection is lost."""
        async with attach(self._endpoint, path) as self._connection:
            connection = self._connection
            if attaching:
                await connection.control("attach", **self._opening())
            try:
                async with asyncio.TaskGroup() as group:
                    tasks: list[asyncio.Task[None]] = []
                    while not isinstance(message := await connection.receive(), End):
                        if isinstance(message, Output):
                            await self._output(message)
                        elif message.body["type"] != "hello":
                            self._control(message)
                        elif not tasks:
                            self._hello(message.body)
                            tasks += [group.create_task(job) for job in self._jobs(connection)]
                    self._display.flood.settle()
                    await self._sink.drain()
                    for task in tasks:
                        task.cancel()
            except BaseExceptionGroup as errors:
                raise first(errors) from None
            await connection.closed()
        return message

    def _opening(self) -> dict[str, object]:
        if self._resume is None:
            return {"secret": None, "offset": None}
        offset = self._display.next_offset()
        return {"secret": self._resume.secret, "offset": None if self._afresh else offset}

    def _jobs(self, connection: Connection) -> list[Any]:
        jobs = [self._keyboard.send(connection), self._sizes.send(connection)]
        if self._resume:
            jobs += [self._acknowledge(connection, self._resume.window), resume.stay_alert(connection)]
        return jobs

    def _hello(self, body: Mapping[str, Any]) -> None:
        found, before = Resume.parse(body), self._resume
        self._display.flood.drops = body.get("exact") is False
        if self.tells and before is None:
            self.tells(body)
        if before is not None:
            if found is None or found.session != before.session:
                raise broken("it answered an attach with another session")
            self._keyboard.again(found.received, found.window)
            if self._display.continue_at(found, afresh=self._afresh):
                self._sizes.redraw()
            self._sizes.again()
            if self._absence.over():
                self._sizes.redraw()
        elif found is not None:
            self._keyboard.begin(found.received, found.window)
            self._display.begin(found, joining=self._joining)
            if self._joining:
                self._started()
                self._sizes.redraw()
        elif body.get("window"):
            self._keyboard.limit(number(body, "window"))
        self._resume, self._attached, self._afresh = found, True, False

    def _control(self, message: Control) -> None:
        body = message.body
        match body["type"]:
            case "started":
                self._started()
            case "received":
                self._keyboard.received(number(body, "offset"))
            case "gap":
                self._display.gap(number(body, "bytes"))
                self._sizes.redraw()
            case "hop" if body.get("code"):
                hop, said, code = (str(body.get(name)) for name in ("hop", "message", "code"))
                self._absence.begin(Lost(hop, said, code, number(body, "seconds")))
            case "hop":
                if self._absence.over():
                    self._sizes.redraw()
            case "warning":
                self._warn(body)

    def _warn(self, body: Mapping[str, Any]) -> None:
        if not body.get("code"):
            self._notices.warn("")
            return
        words = _WARNINGS.get(str(body["code"]), "ends in {seconds} s")
        self._notices.warn(words.format(seconds=number(body, "seconds")))
        self._notices.bell()

    async def _output(self, output: Output) -> None:
        self._started()
        if output.data:
            await self._display.draw(output)

    def _started(self) -> None:
        if not self._keyboard.ready.is_set():
            self._keyboard.ready.set()
            self._sizes.ready.set()
            self._terminal.raw()

    async def _acknowledge(self, connection: Connection, window: int) -> None:
        """Sends what the terminal has taken; once at first, too, since it proves that the hello has arrived."""
        while True:
            count = self._sink.written(Stream.STDOUT)
            await connection.control("seen", offset=self._display.seen)
            await self._sink.advance(Stream.STDOUT, count + 1)
            try:
                async with asyncio.timeout(_LULL):
                    await self._sink.advance(Stream.STDOUT, count + window // 4)
            except TimeoutError:
                continue

    def _given_up(self) -> End:
        """Returns the end that says that the person does not wait any longer, and leaves the session to its grace."""
        lost = self._absence.lost
        assert lost
        kept = ""
        if self._resume:
            self._connection.abandon()  # a close would end the session
            kept = f"; the session waits {self._absence.left:.0f} s more: dap attach {self._resume.session}"
        return End(lost.code, lost.hop, f"{lost.message}, given up{kept}")
