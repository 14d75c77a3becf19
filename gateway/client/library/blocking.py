"""Is the face of the library that blocks: the same names, with the same arguments, made of the asynchronous ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.client.library.connect import Gateway, connect
from gateway.client.library.forwarded import Forwarded, State
from gateway.client.library.loop_thread import LoopThread
from gateway.client.library.pod import Place, Pod
from gateway.client.library.running import Input, Output, Running
from gateway.settings.config import Config


class BlockingInput:
    """Takes the input of a command; see `Input`."""

    def __init__(self, loop: LoopThread, one: Input) -> None:
        self.write = loop.blocking(one.write)
        self.close = loop.blocking(one.close)


class BlockingOutput:
    """Yields one stream of a command's output; see `Output`."""

    def __init__(self, loop: LoopThread, one: Output) -> None:
        self._loop, self._output = loop, one
        self.read = loop.blocking(one.read)

    def __iter__(self) -> Iterator[bytes]:
        return self._loop.iterated(aiter(self._output))


class BlockingRunning:
    """A command that runs; see `Running`."""

    def __init__(self, loop: LoopThread, one: Running) -> None:
        self.stdin = BlockingInput(loop, one.stdin)
        self.stdout = BlockingOutput(loop, one.stdout)
        self.stderr = BlockingOutput(loop, one.stderr)
        self.wait = loop.blocking(one.wait)


class BlockingPlace:
    """Runs commands; see `Place`."""

    def __init__(self, loop: LoopThread, one: Place) -> None:
        self.run = loop.blocking(one.run)
        self.exec = loop.entering(one.exec, lambda running: BlockingRunning(loop, running))


class BlockingPod(BlockingPlace):
    """A pod, or what leads to one; see `Pod`."""

    def __init__(self, loop: LoopThread, one: Pod) -> None:
        super().__init__(loop, one)
        self.logs = loop.iterating(one.logs)
        self.upload = loop.blocking(one.upload)
        self.download = loop.blocking(one.download)


class BlockingForwarded:
    """A port that leads to a pod; see `Forwarded`."""

    def __init__(self, loop: LoopThread, one: Forwarded) -> None:
        self._loop, self._forwarded = loop, one
        self.port, self.url = one.port, one.url

    def states(self) -> Iterator[State]:
        """Yields the changes, for ever."""
        return self._loop.iterated(self._forwarded.states())


class BlockingGateway:
    """A cluster behind a gateway; see `Gateway`."""

    def __init__(self, loop: LoopThread, one: Gateway) -> None:
        self._loop, self._gateway = loop, one
        self.kubectl = loop.blocking(one.kubectl)
        self.curl = loop.blocking(one.curl)
        self.get = loop.blocking(one.get)
        self.port_forward = loop.entering(one.port_forward, lambda port: BlockingForwarded(loop, port))

    def pod(self, name: str, *, namespace: str | None = None, container: str | None = None) -> BlockingPod:
        """Describes a pod, or what leads to one; see `Gateway.pod`."""
        return BlockingPod(self._loop, self._gateway.pod(name, namespace=namespace, container=container))

    @property
    def runner(self) -> BlockingPlace:
        """The runner itself; see `Gateway.runner`."""
        return BlockingPlace(self._loop, self._gateway.runner)


@contextmanager
def connect_sync(*, cluster: str = "default", config: Config | None = None) -> Iterator[BlockingGateway]:
    """Enters with the gateway that `dap` would use; see `connect`."""
    loop = LoopThread()
    try:
        with loop.entered(connect(cluster=cluster, config=config)) as gateway:
            yield BlockingGateway(loop, gateway)
    finally:
        loop.close()
