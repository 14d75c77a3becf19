"""The contract: what a way to a cluster promises. Session and edge see only this."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop, Outcome
from gateway.protocol.target import Command, Target, TerminalSize

if TYPE_CHECKING:
    from gateway.backends.resume import Resume


class Channel(Protocol):
    """The conduit to one running command (RFC 4254). All of it belongs to one session's tasks."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What the command writes, in order, until both its streams have ended. Call once and never pause long:
        a paused reader makes kubectl lose output. Cancelling loses nothing that was yielded.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Sends the command input; waits while the way is full. After the command's end: no error, no effect. Cancelling
        may lose the end of `data`, as only the end of a session does.
        """
        ...

    def write_eof(self) -> None:
        """The command reads end of file after what was written. Without effect in a terminal."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """The terminal's size from now on; without effect where there is no terminal."""
        ...

    async def wait(self) -> Outcome:
        """How the command ended, after all its output was yielded. A hop that failed is an Outcome too."""
        ...


@dataclass(frozen=True)
class HopCheck:
    """One hop as it is now. `ms`: how long it took to answer; `outcome`: why it did not."""

    hop: Hop
    ms: float | None
    outcome: Outcome | None = None
    note: str = ""  # what else there is to know of it

    @property
    def ok(self) -> bool:
        """The hop answered."""
        return self.outcome is None


def blame(passed: list[HopCheck], outcome: Outcome) -> None:
    """Appends the hop that the outcome blames to `passed`, as failed, in place of what `passed` has of that hop."""
    passed[:] = [one for one in passed if one.hop is not outcome.hop]
    passed.append(HopCheck(outcome.hop, None, outcome))


READ = 10.0  # seconds for an answer of the API server's
SIZE = 8 << 20  # bytes of one answer, and of one event


class Event(NamedTuple):
    """Of a watch. `kind`: ADDED, MODIFIED, DELETED, BOOKMARK."""

    kind: str
    object: dict[str, Any]


Headers = Sequence[tuple[str, str]]  # in order; a name may come more than once


class Response(NamedTuple):
    """The beginning of an answer, and its body as it comes. Names of headers are in lower case. Not reading the body holds
    the API server back; reading raises HopFailed where the answer is cut.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes]


class ClusterApi(Protocol):
    """What the API server says, asked with the runner's own credentials. A path begins with "/" and may have a query;
    whoever makes one puts checked names into it and nothing else.

    Raises HopFailed, with the API server's own Status where it gave one. Cancelling loses nothing but the answer.
    """

    @property
    def watches(self) -> bool:
        """No where there is only `get`: every answer costs a process in the runner there, and `watch` is refused."""
        ...

    def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        seconds: float = READ,
    ) -> AbstractAsyncContextManager[Response]:
        """Sends a request; enters with the beginning of the answer, whatever its status, within `seconds`. Bodies may be
        of any length, and take any time. Leaving ends the request, read to its end or not; an answer that comes before
        all of the body was sent ends the sending. While 256 requests wait for the beginning of an answer, the next one
        waits. Headers that concern one connection alone are left out on both ways; a body that is iterated goes in chunks
        where no header says its length.

        A request that a connection's end has cut is sent once more where that is safe: a GET, a HEAD, or one of whose
        body nothing was sent. Raises HopFailed where no answer begins, and for a request that breaks HTTP's rules. The
        runner's proxy answers exec, attach, PUT, PATCH and DELETE with 403. Without a relay there is only GET without
        headers, and a refusal of the API server's is HopFailed.
        """
        ...

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """The object there, of at most `size` bytes, within `seconds`."""
        ...

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """The items of a list, page by page; `seconds` and `size` are for all of it."""
        ...

    def watch(self, path: str, *, seconds: float = READ, size: int = SIZE) -> AsyncGenerator[Event, None]:
        """What happens to the list there; the query says from which `resourceVersion` on. Ends when the API server
        ends it, after some minutes: list again. `seconds`: to its beginning; `size`: of one event. Use it in
        `contextlib.aclosing`.
        """
        ...

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """Whether the runner's account may, as in ("create", "pods/exec", …); None where that cannot be asked."""
        ...


class PodMonitor(Protocol):
    """What becomes of a session's pod and container."""

    async def wait_lost(self) -> Outcome:
        """Returns when the pod was deleted, or the container has ended, since this was called; for ever, where the
        cluster cannot be watched. Cancel it when the session is over.
        """
        ...

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:
        """What the end of the command was in truth: its own, or that of the pod or container around it. `may_wait`: its
        client would rather know that than have the same words as from an API server, and waits up to some seconds
        where it may be either. `suspicious`: nobody has typed what could have ended it, so that a 0 is doubted, too, and
        every client waits: it is an error where the container has ended.
        """
        ...


class ByteStream(Protocol):
    """A connection to an address that the cluster's runner reaches."""

    async def read(self) -> bytes:
        """What has come, at least one byte; empty at the end. Not reading holds the other side back. Raises HopFailed
        where it was lost. Cancelling is safe.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Waits while the way is full. After the end: no error, no effect."""
        ...

    def write_eof(self) -> None:
        """The other side reads end of file after what was written; what it says still comes."""
        ...


class Dial(Protocol):
    """Opens connections that begin in the runner."""

    def __call__(self, address: str) -> AbstractAsyncContextManager[ByteStream]:
        """Connects to `tcp:HOST:PORT` or `unix:/PATH`, as the runner reaches it. Leaving closes the connection. Raises
        HopFailed.
        """
        ...


@dataclass(frozen=True)
class Stats:
    """What /metrics and /readyz show of a backend, each count under its label.

    `connections`: open connections and channels, who waits, the breaker. `leftovers`: sessions that may have left
    something in their pods, by what came of it. `orphans`: commands that outlived their session and had to be killed, so
    far, by who did it (`finish`: within `Limits.finish`; `lease`: what watches over them in the runner). `restarts`: the
    last defect of each long-lived task that had to be started again a moment ago, by the task's name.
    """

    connections: Mapping[str, int]
    leftovers: Mapping[str, int]
    orphans: Mapping[str, int]
    restarts: Mapping[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """A way to one cluster. What it can do is fixed for its life: an attribute that is None says that it cannot."""

    @property
    def kube(self) -> ClusterApi:
        """What the cluster's API server says."""
        ...

    @property
    def resume(self) -> "Resume | None":
        """Sessions that outlive the gateway's link to them, and the gateway itself."""
        ...

    @property
    def dial(self) -> Dial | None:
        """Connections from the runner to more than pods; where there are none, `kubectl get --raw` has to do."""
        ...

    async def namespace(self) -> str:
        """The namespace of a pod that is named without one: the cluster's setting, else that of the kubeconfig context
        there, as it is now; asking may cost a process in the runner. Raises HopFailed.
        """
        ...

    def exec(self, target: Target, command: Command) -> AbstractAsyncContextManager[Channel]:
        """Entering starts the command, or raises HopFailed with the hop that refused. Leaving ends whatever still
        runs on our side of the pod, unread output or not, within `Limits.finish` seconds, also when cancelled. What a
        tracked command leaves in the pod is ended soon after, and nobody waits for it.
        """
        ...

    def monitor(self, target: Target) -> PodMonitor:
        """Of a session there."""
        ...

    async def check(self) -> list[HopCheck]:
        """Every hop in order, up to the first that does not answer; within `Limits.check` seconds."""
        ...

    def stats(self) -> Stats:
        """Returns the counts of this moment."""
        ...
