"""The contract of a backend, a way to a cluster: sessions and the server know only this module."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gateway.protocol.actor import Actor
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop, Outcome
from gateway.protocol.target import Command, Target, TerminalSize, Way

if TYPE_CHECKING:
    from gateway.backends.resume import Resume


class Channel(Protocol):
    """The conduit to one running command (RFC 4254). All of it belongs to one session's tasks."""

    @property
    def way(self) -> Way:
        """Returns how the command got into its pod."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Yields what the command writes, in order, until both its streams have ended. Call once and never pause
        long: a paused reader makes kubectl lose output. Cancelling loses nothing that was yielded.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Sends input to the command; waits while the buffers on the way are full. After the command's end: no error,
        no effect. Cancelling may lose the end of `data`: cancel only when the session ends.
        """
        ...

    def write_eof(self) -> None:
        """Ends the input: the command reads end of file after what was written. No effect in a terminal."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """Sets the size of the command's terminal; no effect where the command has no terminal."""
        ...

    async def wait(self) -> Outcome:
        """Returns how the command ended, after all its output was yielded. A hop that failed is an Outcome too."""
        ...


@dataclass(frozen=True)
class HopCheck:
    """The state of one hop now. `ms`: how long the hop took to answer; `outcome`: why the hop did not answer."""

    hop: Hop
    ms: float | None
    outcome: Outcome | None = None
    note: str = ""  # what else is known of the hop

    @property
    def ok(self) -> bool:
        """True if the hop answered."""
        return self.outcome is None


def blame(passed: list[HopCheck], outcome: Outcome) -> None:
    """Appends the hop that the outcome blames to `passed`, as failed, in place of what `passed` has of that hop."""
    passed[:] = [check for check in passed if check.hop is not outcome.hop]
    passed.append(HopCheck(outcome.hop, None, outcome))


READ = 10.0  # seconds for an answer of the API server's
SIZE = 8 << 20  # bytes of one answer, and of one event


class Event(NamedTuple):
    """An event of a watch. `kind`: ADDED, MODIFIED, DELETED, BOOKMARK."""

    kind: str
    object: dict[str, Any]


Headers = Sequence[tuple[str, str]]  # in order; a name may come more than once


class Response(NamedTuple):
    """The beginning of an answer, and its body as the body arrives. Names of headers are in lower case. Not reading
    the body holds the API server back; reading raises HopFailed where the answer is cut off. The first part is what came
    with the head, perhaps nothing. `stream`: the connection itself after a 101, which has no body. `ended`: returns
    True where the part that was read is known to be the last.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes]
    stream: "ByteStream | None" = None
    ended: Callable[[], bool] = bool


class ClusterApi(Protocol):
    """Asks the API server with the runner's credentials. A path begins with "/" and may have a query; the caller
    builds a path from checked names only. Every call raises HopFailed, with the API server's own Status where there is
    one. Cancelling loses only the answer.
    """

    @property
    def watches(self) -> bool:
        """True if `watch` works. False where every answer costs a process in the runner, and `watch` is refused."""
        ...

    def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        upgrade: str = "",
        seconds: float | None = READ,
    ) -> AbstractAsyncContextManager[Response]:
        """Sends a request; enters with the beginning of the answer, whatever its status, within `seconds`; None: as long
        as the API server answers other requests. Leaving ends the request; an answer that comes before all of the body
        was sent ends the sending. Headers of one connection alone are left out on both ways; an iterated body goes in
        chunks where no header says its length. `upgrade`: the protocol to change to. A request that was cut is sent once
        more where that is safe: GET, HEAD, and what was not begun. Raises HopFailed where no answer begins, where the API
        server refuses the runner's credentials, and for what breaks HTTP's rules; without a relay for all but GET, too.
        """
        ...

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """Returns the object at `path`, of at most `size` bytes, within `seconds`."""

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """Returns the items of the list at `path`, fetched page by page; `seconds` and `size` are for the whole list."""

    def watch(self, path: str, *, seconds: float = READ, size: int = SIZE) -> AsyncGenerator[Event, None]:
        """Yields the changes of the list at `path` from the query's `resourceVersion` on. Ends when the API server ends the
        watch, after some minutes: list again then. `seconds`: until the watch begins; `size`: of one event. Use it in
        `contextlib.aclosing`.
        """
        ...

    def acting(self, actor: Actor | None) -> "ClusterApi":
        """Returns the API asked as `actor`, whom the runner's account impersonates; None: as that account."""
        ...

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """Returns whether the asker may do `verb`, as in ("create", "pods/exec", …); None: cannot be asked."""


class PodMonitor(Protocol):
    """Watches one session's pod and container: says when the pod is lost, and why the command ended."""

    def known(self) -> dict[str, Any] | None:
        """Returns the pod as a watch shows it now; None where no session has it watched."""

    async def wait_lost(self) -> Outcome:
        """Waits until the session's pod is gone, or another pod has its name, and returns the outcome; a container's end
        alone is for `diagnose`. Waits for ever where the cluster cannot be watched: cancel it after the session.
        """
        ...

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:
        """Returns the true outcome of a command that ended with `outcome`: that one, or the end of its pod or
        container. `may_wait`: the client accepts some seconds of waiting where the outcome alone does not tell.
        `suspicious`: no input can have ended the command, so that exit code 0 is doubted too, every client waits, and
        the outcome is an error if the container has ended.
        """
        ...


class ByteStream(Protocol):
    """A connection to an address that the cluster's runner reaches."""

    async def read(self) -> bytes:
        """Returns what has arrived, at least one byte; empty at the end. Not reading holds the other side back.
        Raises HopFailed if the connection was lost. Cancelling is safe.
        """

    async def write(self, data: bytes) -> None:
        """Sends bytes; waits while the buffers on the way are full. After the end: no error, no effect."""

    def write_eof(self) -> None:
        """Ends our direction: the other side reads end of file after what was written. `read` goes on."""

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """Calls `arrived` as soon as there is something to read, or the end, or whatever the connection leads to is not to be
        used for anything new; None: no more calls.
        """


class Dial(Protocol):
    """Opens connections that begin in the runner."""

    def __call__(self, address: str) -> AbstractAsyncContextManager[ByteStream]:
        """Connects to `tcp:HOST:PORT` or `unix:/PATH`, as the runner reaches it. Leaving closes the connection.
        Raises HopFailed.
        """


@dataclass(frozen=True)
class Stats:
    """What /metrics and /readyz show of a backend, each count under its label.

    `connections`: open connections and channels, who waits, the breaker. `leftovers`: sessions that may have left something
    in their pods, by what came of it. `orphans`: commands that outlived their session and were killed, so far, by who did it
    (`finish`: within `Limits.finish`; `lease`: what watches over them in the runner). `restarts`: the last defect of each task
    that was started again a moment ago, by the task's name. `reaching`: the hop that answers next, if there is no way.
    """

    connections: Mapping[str, int]
    leftovers: Mapping[str, int]
    orphans: Mapping[str, int]
    restarts: Mapping[str, str] = field(default_factory=dict)
    reaching: Hop | None = None


class Backend(Protocol):
    """A way to one cluster. What it can do is fixed for its life: an attribute that is None says that it cannot."""

    @property
    def kube(self) -> ClusterApi:
        """The client of the cluster's API server."""

    @property
    def resume(self) -> "Resume | None":
        """The part that keeps sessions beyond the gateway's link to them, and beyond the gateway itself."""

    @property
    def dial(self) -> Dial | None:
        """Opens connections from the runner to any address; where it is None, `kubectl get --raw` has to do."""

    async def namespace(self) -> str:
        """Returns the namespace for a pod that is named without a namespace: the cluster's setting, else that of the
        runner's current kubeconfig context; asking may cost a process in the runner. Raises HopFailed.
        """

    def exec(self, target: Target, command: Command) -> AbstractAsyncContextManager[Channel]:
        """Runs a command in the block. Entering starts the command, or raises HopFailed with the hop that refused.
        Leaving ends all that still runs between the gateway and the pod, and drops unread output, within
        `Limits.finish` seconds, also when cancelled. What a tracked command leaves in the pod is ended soon after, in
        the background.
        """

    def monitor(self, target: Target) -> PodMonitor:
        """Returns the monitor of the pod and container of a session at `target`."""

    async def check(self) -> list[HopCheck]:
        """Checks every hop in order, up to the first that does not answer; returns within `Limits.check` seconds."""

    def stats(self) -> Stats:
        """Returns the counts of this moment."""
