"""Composition: settings in, a running gateway out."""

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway import fd_limits
from gateway.access.hosts import AllowedHosts
from gateway.access.identity import Identity, owner
from gateway.access.page_tokens import PageFile
from gateway.access.tokens import Tokens
from gateway.backends.ssh import Prompt
from gateway.errors import ConfigError
from gateway.private_directory import private_directory
from gateway.relay.writer import Writer
from gateway.server import listen, listen_names
from gateway.server.accept import Accept, doors
from gateway.server.app import create_app
from gateway.server.connection import MAX_LINE
from gateway.server.connections import Connections
from gateway.server.gateway import Gateway, running
from gateway.server.local_socket import LocalSocket
from gateway.server.tls import TlsListener, tls_listener
from gateway.settings import serving
from gateway.settings.config import Config, bearer_token
from gateway.settings.paths import SOCKET, passed_over, socket_paths, state_dir
from gateway.supervision import supervise

log = structlog.get_logger()
_CLIENTS_FAULT = (HttpProcessingError, web.RequestPayloadError)
_library = logging.getLogger("gateway.aiohttp")
_library.addFilter(
    # what a client got wrong is answered; the log would show its words, a token among them
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], _CLIENTS_FAULT))
)
LEAST = 16  # characters of a token that opens shells
_LOST = "sign-ins of pages, and sessions, end with this process"
_IDLE = 120.0  # seconds that a connection without a request stays open; clients in Go reuse one for 90


@dataclass(frozen=True)
class Serving:
    """Tells where a gateway listens. `link` makes a link that opens the page once."""

    urls: tuple[str, ...]
    link: Callable[[], str]
    socket: Path | None


async def serve(
    config: Config, *, banner: Callable[[Serving], None], prompt: Prompt | None = None, outlived: bool = True
) -> None:
    """Runs `dap serve` until SIGTERM, SIGINT or SIGHUP, then ends every session with a reason. Raises ConfigError.
    `outlived`: False where no relay is there for the next process (a demo ends its own).
    """
    if config.token and len(config.token) < LEAST:
        raise ConfigError(
            f"gateway.token ({config.origins['gateway.token']}) has fewer than {LEAST} characters: leave it out, and the "
            "first start makes one"
        )
    fd_limits.raise_limit()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    public = listen_names.public_url(config.public_url)
    with ExitStack() as stack:
        plain = config.listen != listen_names.OFF
        sockets = stack.enter_context(listen.loopback(config.listen)) if plain else []
        tls = stack.enter_context(tls_listener(config, state_dir() / "tls"))
        local = stack.enter_context(_local_socket(sockets))
        names = listen_names.hosts(config.listen, sockets) if plain else []
        urls = (*(f"http://{host}" for host in names), *tls.urls)
        places = AllowedHosts(names, public, config.allowed_hosts, config.allowed_origins, tls.hosts)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, stopped.set)
        tokens = Tokens(config.token or token(state_dir()), file=PageFile(state_dir(), put=Writer().put))
        async with running(config, tokens, places, prompt, state_dir() if outlived else None) as gateway:
            gateway.links.base = public or next(iter(urls), gateway.links.base)
            gateway.tls, gateway.links.pin = tls, tls.pin(gateway.links.base)
            async with listening(gateway, sockets) as accept, _kept(local, accept):
                own = Identity(owner(), "uid")
                banner(Serving(urls, lambda: gateway.links.url(tokens.ticket(own)), local.path))
                log.info("serving", urls=urls, socket=str(local.path), clusters=list(gateway.backends))
                await stopped.wait()
                log.info("stopping", sessions=len(gateway.registry.sessions))
                gateway.relayed.end_all()
                await gateway.registry.stop()
        await tokens.saved()
    log.info("stopped")


@contextmanager
def _local_socket(sockets: Iterable[socket.socket]) -> Iterator[LocalSocket]:
    """Yields the Unix socket, and stores where the gateway listens until the block ends. Raises ConfigError."""
    listening = tuple(bound.getsockname()[:2] for bound in sockets)

    def store(path: Path | None) -> bool:
        try:
            serving.write(state_dir(), serving.Address(path, listening))
        except OSError:
            return False
        return True

    local = LocalSocket(socket_paths(), store)
    try:
        local.open(passed_over())
        if not store(local.path):
            log.warning("state_not_kept", directory=str(state_dir()), lost=_LOST)
        yield local
    finally:
        local.close()
        serving.remove(state_dir())


@asynccontextmanager
async def _kept(local: LocalSocket, accept: Accept) -> AsyncIterator[None]:
    """Takes connections on the local socket, and makes it again where it is removed, for as long as the block runs."""
    await local.serve(accept)
    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(supervise("local_socket", lambda: local.keep(accept), {}))
        try:
            yield
        finally:
            keeper.cancel()


@asynccontextmanager
async def embedded(config: Config, *, prompt: Prompt | None = None, token: str = "") -> AsyncIterator[Path]:
    """Runs a gateway inside this process and yields the path of its Unix socket, in a private directory. `token`: opens the
    gateway at a free port of this machine, with TLS; empty for the socket alone.
    """
    with _private() as directory, ExitStack() as stack:
        path = directory / SOCKET
        unix = stack.enter_context(listen.unix(path))
        where = "localhost:0" if token else listen_names.OFF
        own = replace(config, tls_listen=where, tls_cert="", tls_key="", origins={}, allowed_hosts=())
        tls = stack.enter_context(tls_listener(own, None))
        places = AllowedHosts([], "", (), (), tls.hosts)
        async with running(config, Tokens(token or secrets.token_urlsafe(32)), places, prompt) as gateway:
            gateway.tls = tls
            async with listening(gateway, [unix]):
                yield path


@contextmanager
def _private() -> Iterator[Path]:
    """Yields a private directory. Raises ConfigError where there is no directory for temporary files."""
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(private_directory())
        except OSError as error:
            raise ConfigError(
                f"cannot make a private directory: {error.strerror or error}; set TMPDIR"
            ) from None
        yield directory


def token(directory: Path) -> str:
    """Returns the token of this user's gateways, made at the first start and kept 0600. Raises ConfigError."""
    path = directory / "token"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others: run 'chmod 600 {path}'")
        text = bearer_token(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot use {path}: {error}; or set DAP_GATEWAY_TOKEN") from None
    if len(text) < LEAST:
        raise ConfigError(f"{path} holds no token: remove it, and the next start makes one")
    return text


@asynccontextmanager
async def listening(gateway: Gateway, sockets: Iterable[socket.socket]) -> AsyncIterator[Accept]:
    """Serves the gateway's routes on these sockets for as long as the block runs. Yields what adds a socket."""
    runner = web.AppRunner(
        create_app(gateway),
        handle_signals=False,
        access_log=None,
        logger=_library,
        shutdown_timeout=1.5,
        max_line_size=MAX_LINE,
        max_field_size=64 * 1024,
        auto_decompress=False,
        keepalive_timeout=_IDLE,
        lingering_time=1.0,
    )
    await runner.setup()
    assert runner.server
    connections = Connections(
        runner.server, gateway.config.limits, gateway.metrics.refused, gateway.access.proxies
    )
    try:
        quota = gateway.registry.quota
        async with (
            doors(sockets, connections, lambda: quota.sessions) as accept,
            _with_tls(gateway.tls, accept),
        ):
            yield accept
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _with_tls(tls: TlsListener, accept: Accept) -> AsyncIterator[None]:
    """Takes connections with TLS, and keeps their certificate good, for as long as the block runs."""
    for bound in tls.sockets:
        await accept(bound, tls)
    async with asyncio.TaskGroup() as tasks:
        if tls.certificates is None:
            yield
            return
        keeper = tasks.create_task(supervise("tls_certificate", tls.certificates.keep, {}))
        try:
            yield
        finally:
            keeper.cancel()
