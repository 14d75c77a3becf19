"""`dap` as people run it, a process of its own: `dap exec` on pipes, `dap shell` on a terminal."""

import asyncio
import os
import pty
import signal
from contextlib import suppress
from dataclasses import dataclass

from faultrig import program
from faultrig.checker import Told
from faultrig.clients import WORDS, Access, Client


@dataclass
class Dap(Client):
    """`dap exec` on pipes, with the gateway of the environment. Without a command it runs the rig's program."""

    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.kind = "dap"
        self.process: asyncio.subprocess.Process | None = None

    async def talk(self) -> Told:
        """Its exit status says what ended it, its words on stderr which hop."""
        pipe = asyncio.subprocess.PIPE
        # the exit code of the rig's program is proved: now and then kubectl says 0, and nothing else could tell
        proved = () if self.command else ("--verify",)
        words = ("exec", "-i", "-q", "--kill-on-disconnect", *proved, self.pod, "-c", "main", "--")
        self.process = process = await asyncio.create_subprocess_exec(
            *("python", "-m", "gateway"), *words, *(self.command or program.argv(self.mark)),
            stdin=pipe, stdout=pipe, stderr=pipe, env=self.access.environment, start_new_session=True,
        )  # fmt: skip
        assert process.stdout
        assert process.stderr
        async with asyncio.TaskGroup() as tasks:
            said = tasks.create_task(process.stderr.read())
            while data := await process.stdout.read(1 << 16):
                self.output += data
        return from_exit(await process.wait(), said.result().decode("utf-8", "replace"))

    async def give(self, data: bytes) -> None:
        """See `Client`."""
        if self.process and self.process.stdin:
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    def _signal(self, number: int) -> None:
        if self.process and self.process.returncode is None:
            self.process.send_signal(number)

    def cut(self) -> None:
        """Killed."""
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        """Asked to, by whoever started it."""
        self._signal(signal.SIGTERM)

    def silence(self) -> None:
        """Stopped, as a laptop that sleeps."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Goes on."""
        self._signal(signal.SIGCONT)


@dataclass
class Shell(Dap):
    """`dap shell` on a pseudo-terminal."""

    tty: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = "dap shell"
        self.reaps = False
        self._master = -1

    async def talk(self) -> Told:
        """See `Dap.talk`."""
        self._master, slave = pty.openpty()
        words = ("shell", "-q", self.pod, "-c", "main", "--", *(self.command or program.argv(self.mark)))
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *("python", "-m", "gateway"), *words, stdin=slave, stdout=slave, stderr=asyncio.subprocess.PIPE,
                env=self.access.environment, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._read)
        try:
            assert process.stderr
            said = (await process.stderr.read()).decode("utf-8", "replace")
            status = await process.wait()
            self._read()
            return from_exit(status, said)
        finally:
            loop.remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    def _read(self) -> None:
        with suppress(BlockingIOError):
            try:
                while data := os.read(self._master, 1 << 16):
                    self.output += data
            except BlockingIOError:
                raise
            except OSError:  # nobody has the other end open any more
                asyncio.get_running_loop().remove_reader(self._master)

    async def give(self, data: bytes) -> None:
        """Typed: the terminal's line break is its Return key."""
        if self._master >= 0:
            os.write(self._master, data.replace(b"\n", b"\r"))


async def run_dap(
    access: Access, *words: str, given: bytes = b"", seconds: float = 60.0
) -> tuple[int, bytes, str]:
    """(exit status, stdout, stderr) of one `dap`; -1 and what there is when it took too long."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *("python", "-m", "gateway"), *words, stdin=pipe, stdout=pipe, stderr=pipe, env=access.environment,
    )  # fmt: skip
    try:
        out, said = await asyncio.wait_for(process.communicate(given), seconds)
    except TimeoutError:
        return -1, b"", f"no end after {seconds:g} s"
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, out, said.decode("utf-8", "replace")


def from_exit(status: int, said: str) -> Told:
    """`dap: HOP: WORDS (CODE)`, or else the command's own exit code, since dap says nothing about that."""
    last = said.strip().splitlines()[-1:] or [""]
    if match := WORDS.search(last[0].removeprefix("dap: ")):
        return Told(match[2], match[1])
    return Told("", "") if status < 0 else Told("exited", "pod", status)
