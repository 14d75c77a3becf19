"""Talks to a pod for `dap probe`: no answer is contained in its question."""

import asyncio
import secrets
from typing import Any

from gateway.client.connection import Connection
from gateway.client.exit_status import End
from gateway.protocol.messages import Control, Output
from gateway.protocol.target import TerminalSize

# Runs in the pod's sh, which must have nothing but read, case, echo and arithmetic.
SCRIPT = """\
echo ready-$((20+3))
while read -r word a b; do
  case $word in
    add) echo "sum=$((a+b))=" ;;
    size) command -v stty >/dev/null 2>&1 && echo "size=$(stty size)=" || echo "size=none=" ;;
    end) exit "$a" ;;
  esac
done
exit 1
"""
FIRST, SECOND = TerminalSize(80, 24), TerminalSize(200, 50)
_NORMAL = 1000  # RFC 6455, 7.4.1


class CheckFailed(Exception):  # noqa: N818
    """Raised when the session is open, but does not do what it should."""


class Skipped(Exception):  # noqa: N818
    """Raised when the pod lacks what the step needs."""


class HopEnded(Exception):  # noqa: N818
    """Raised when the session ended in the middle of a step."""

    def __init__(self, end: End) -> None:
        super().__init__(end.message)
        self.end = end


class ProbeScript:
    """Runs the steps, in order. Each raises CheckFailed, Skipped, HopEnded or GatewayFailed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seen = b""
        self.exit_code: int | None = None
        self.target: dict[str, Any] = {}  # as the gateway has it, once it is open

    async def open(self) -> None:
        """Waits until the gateway has opened the session."""
        while True:
            message = await self._connection.receive()
            if isinstance(message, End):
                raise HopEnded(message)
            if isinstance(message, Control) and message.body["type"] == "hello":
                self.target = message.body.get("target") or {}
                return

    async def start(self) -> None:
        """Waits until the pod runs our script."""
        await self._until(b"ready-23")

    async def echo(self) -> None:
        """Sends text and waits until the pod's terminal shows it."""
        typed = f"echo-{secrets.token_hex(8)}".encode()
        await self._connection.send(typed + b"\n")
        await self._until(typed)

    async def compute(self) -> None:
        """Asks the pod for a sum that is not in what we sent."""
        a, b = (10_000 + secrets.randbelow(40_000) for _ in range(2))
        answer = await self._ask(f"add {a} {b}", b"sum=")
        if answer != str(a + b):
            raise CheckFailed(f"{a}+{b} is {a + b}, the pod says {answer!r}")

    async def resize(self) -> None:
        """Sends a new size and waits until the program's terminal has it."""
        await self._connection.resize(SECOND)
        while (answer := await self._ask("size", b"size=")) != f"{SECOND.rows} {SECOND.columns}":
            if answer == "none":
                raise Skipped("the container has no stty")
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Ends the command and checks that its exit code comes through, and that the connection closes
        cleanly after it.
        """
        wanted = 3 + secrets.randbelow(100)
        await self._connection.send(f"end {wanted}\n".encode())
        while not isinstance(message := await self._connection.receive(), End):
            pass
        self.exit_code = message.exit_code
        if message.code != "exited":
            raise HopEnded(message)
        if message.exit_code != wanted:
            raise CheckFailed(
                f"the command ended with exit code {wanted}, but {message.exit_code} came through"
            )
        code = await self._connection.closed()
        if code != _NORMAL:
            raise CheckFailed(f"the connection closed with {code} instead of {_NORMAL}")

    async def _ask(self, question: str, answer: bytes) -> str:
        """Sends the question and returns the text between `answer` and the next `=`."""
        self._seen = b""
        await self._connection.send(question.encode() + b"\n")
        await self._until(answer)
        while b"=" not in (rest := self._seen.partition(answer)[2]):
            await self._more()
        return rest.partition(b"=")[0].decode("utf-8", "replace")

    async def _until(self, marker: bytes) -> None:
        while marker not in self._seen:
            await self._more()

    async def _more(self) -> None:
        message = await self._connection.receive()
        if isinstance(message, End):
            raise HopEnded(message)
        if isinstance(message, Output):
            self._seen = (self._seen + message.data)[-65536:]
