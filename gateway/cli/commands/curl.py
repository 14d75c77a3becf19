"""Does `dap curl`: one HTTP request from the cluster's runner, with curl's options and exit codes."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import say
from gateway.cli.terminal import tty
from gateway.cli.terminal.stdio import OutputClosed, Sink, Source
from gateway.client.cluster import Cluster
from gateway.client.curl.exchange import Reply
from gateway.client.curl.failure import CA_FILE, HTTP_ERROR, READ, TIMEOUT, WRITE, CurlFailed
from gateway.client.curl.transfer import Asked, fetched
from gateway.client.curl.way import Trust, parse
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import Body
from gateway.errors import why
from gateway.protocol.errors import BadRequest
from gateway.settings.loader import load

_STDOUT = 1
_STDIN = ("-", ".")  # as names of a file that is sent


@dataclass(frozen=True)
class Options:
    """Holds what the command line says, under the names of curl's options."""

    url: str
    method: str
    headers: tuple[str, ...]
    data: tuple[str, ...]
    data_binary: str | None
    upload: str | None
    output: str
    include: bool
    head: bool
    fail: bool
    follow: bool
    user: str
    insecure: bool
    cacert: str
    resolve: tuple[str, ...]
    seconds: float
    silent: bool
    shown: bool
    namespace: str | None
    cluster: str


def run(options: Options) -> int:
    """Makes the request and returns curl's exit code. Raises GatewayFailed, ConfigError, BadRequest."""
    try:
        return signals.run(_limited(options))
    except CurlFailed as error:
        if options.shown or not options.silent:
            say(f"({error.exit_status}) {error}")
        return error.exit_status


async def _limited(options: Options) -> int:
    try:
        async with (
            asyncio.timeout(options.seconds or None),
            gateway(load(), quiet=options.silent) as endpoint,
        ):
            return await _run(endpoint, options)
    except TimeoutError:
        raise CurlFailed(TIMEOUT, f"no end of the answer within {options.seconds:g} s") from None
    except OutputClosed:
        raise CurlFailed(WRITE, "the reader of the output is gone") from None


async def _run(endpoint: Endpoint, options: Options) -> int:
    body = await _body(options)
    api = parse(options.url, options.namespace or "x").api
    asked = Asked(
        options.url,
        options.cluster,
        options.method or ("HEAD" if options.head else "PUT" if options.upload is not None else ""),
        options.headers,
        body,
        form=bool(options.data) or options.data_binary is not None,
        user=await _user(options.user),
        follow=options.follow,
        namespace=options.namespace
        or (await Cluster(endpoint, options.cluster).default_namespace() if api else ""),
        file="" if options.upload in (None, *_STDIN) else Path(options.upload).name,
        trust=_trust(options),
    )
    with closing(_Output(options)) as output:
        async with fetched(endpoint, asked, output.head) as reply:
            output.head(reply)
            if options.fail and reply.status >= 400:
                await output.drain()
                raise CurlFailed(HTTP_ERROR, f"the server answered: {reply.line}")
            await output.body(reply)
    return 0


class _Output:
    """Writes headers and body where the options say, without ever blocking the event loop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sink = Sink()
        self._fd = _STDOUT

    def head(self, reply: Reply) -> None:
        """Writes the answer's status line and headers, if they are wanted."""
        if self._options.include or self._options.head:
            lines = [reply.line, *(f"{name}: {value}" for name, value in reply.headers), "", ""]
            self._sink.put(self._open(), "\r\n".join(lines).encode("latin-1"))

    async def drain(self) -> None:
        """Waits until all is written. Raises CurlFailed, OutputClosed."""
        try:
            await self._sink.drain()
        except OSError as error:
            raise CurlFailed(WRITE, f"cannot write to {self._options.output}: {why(error)}") from None

    async def body(self, reply: Reply) -> None:
        """Writes the body as it comes. Raises CurlFailed, OutputClosed."""
        fd, begun = self._open(), False
        try:
            async for part in reply.body:
                if not begun:
                    _check_terminal(fd, part)
                begun = True
                await self._sink.write(fd, part)
            await self._sink.drain()
        except CurlFailed:
            await self._sink.drain()  # what came before is kept, as by curl
            raise
        except OSError as error:
            raise CurlFailed(WRITE, f"cannot write to {self._options.output}: {why(error)}") from None

    def close(self) -> None:
        """Lets the writing thread end."""
        self._sink.close()

    def _open(self) -> int:
        if self._options.output != "-" and self._fd == _STDOUT:
            try:
                self._fd = os.open(self._options.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            except OSError as error:
                raise CurlFailed(WRITE, f"cannot write to {self._options.output}: {why(error)}") from None
        return self._fd


def _check_terminal(fd: int, part: bytes) -> None:
    """Raises CurlFailed for a body that a terminal would take for commands of its own."""
    if b"\0" in part and os.isatty(fd):
        raise CurlFailed(WRITE, "the body is binary, which would mess up the terminal: -o FILE keeps it")


def _trust(options: Options) -> Trust:
    found = {}
    for word in options.resolve:
        host, _, rest = word.partition(":")
        port, _, address = rest.partition(":")
        if not (host and port.isdecimal() and address):
            raise BadRequest(f"--resolve {word!a}: write HOST:PORT:ADDRESS")
        found[host.lower(), int(port)] = address.strip("[]")
    trust = Trust(options.insecure, options.cacert, found)
    if options.cacert:
        try:
            trust.context()
        except OSError as error:
            raise CurlFailed(CA_FILE, f"--cacert {options.cacert}: {why(error)}") from None
    return trust


async def _user(given: str) -> str:
    if not given or ":" in given:
        return given
    password = await tty.ask(f"Password for {given}: ", echo=False)
    if password is None:
        raise BadRequest(f"-u {given} has no password: write NAME:PASSWORD where no terminal can be asked")
    return f"{given}:{password}"


async def _body(options: Options) -> Body | None:
    """Returns what is sent. Raises CurlFailed for a file that cannot be read, BadRequest for two kinds of body at once."""
    kinds = [bool(options.data), options.data_binary is not None, options.upload is not None, options.head]
    if sum(kinds) > 1:
        raise BadRequest("-d, --data-binary, -T and -I exclude each other: give one of them")
    if options.upload is not None:
        return _file(options.upload)
    if options.data_binary is not None:
        given = options.data_binary
        if given.startswith("@") and _regular(given[1:]):
            return _file(given[1:])
        return Body.of(await _content(given[1:]) if given.startswith("@") else os.fsencode(given))
    return Body.of(b"&".join([await _field(one) for one in options.data])) if options.data else None


async def _field(given: str) -> bytes:
    """Returns one -d: of a file its content without line ends and NUL, as curl takes it."""
    if not given.startswith("@"):
        return os.fsencode(given)
    return (await _content(given[1:])).translate(None, b"\r\n\0")


async def _content(name: str) -> bytes:
    return b"".join([part async for part in _read(name)])


def _regular(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # whoever reads it says why
        return False


def _file(name: str) -> Body:
    """Returns a body that is read while it is sent. Of stdin and pipes nobody knows the length."""
    if name in _STDIN:
        return Body(lambda: _read("-"), None, again=False)
    try:
        status = os.stat(name)  # noqa: PTH116  # a name as curl takes it
        if regular := stat.S_ISREG(status.st_mode):
            os.close(os.open(name, os.O_RDONLY))  # before anything is asked
    except OSError as error:
        raise CurlFailed(READ, f"cannot read {name}: {why(error)}") from None
    return Body(lambda: _read(name), status.st_size if regular else None, again=regular)


async def _read(name: str) -> AsyncIterator[bytes]:
    """Yields what is in a file, `-` is stdin. Waiting for a pipe can be cancelled."""
    try:
        # a named pipe that nobody writes to yet is waited for below, and opened once: its writer is gone with its reader
        fd = 0 if name == "-" else os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            source = Source(fd)
            while part := await source.read():
                yield part
        finally:
            if fd:
                os.close(fd)
    except OSError as error:
        raise CurlFailed(READ, f"cannot read {name}: {why(error)}") from None
