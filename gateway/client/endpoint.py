"""Finds the gateway: DAP_GATEWAY_URL, else the local Unix socket if a gateway answers there, else a gateway
inside this command.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway import unix_peer
from gateway.client.exit_status import UNREACHABLE, GatewayFailed, first
from gateway.errors import ConfigError
from gateway.masking import mask_url
from gateway.settings.config import Config, bearer_token, check_clusters, socket_path, state_dir

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KNOCK = 2.0  # seconds for the socket to take a connection

# Shows a message to the person; and: asks, with echo or without, for the answer, or None
Say = Callable[[str], None]
Ask = Callable[[str, bool], Awaitable[str | None]]


@dataclass(frozen=True)
class Endpoint:
    """Names a gateway and the credential for it. `url` starts with http:// or https:// and has no slash at
    its end. `socket`: connect to that Unix socket instead of TCP.
    """

    url: str
    socket: Path | None = None
    token: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Returns the header with the token; none without a token, as at the Unix socket, where the user of
        the process is the credential.
        """
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def local(self) -> bool:
        """True if the gateway is on this machine, where no proxy stands in between."""
        return self.socket is not None or urlsplit(self.url).hostname in _LOOPBACK

    def __str__(self) -> str:
        return str(self.socket or mask_url(self.url))


def running(config: Config) -> Endpoint | None:
    """Returns the gateway that the settings name, or that answers on the Unix socket; None without either.
    Raises ConfigError for a URL of no use.
    """
    if config.url:
        return _remote(config)
    path = socket_path()
    return Endpoint("http://localhost", path) if _answers(path) else None


def needed(config: Config) -> Endpoint:
    """Returns the running gateway, for what makes no sense with a gateway that ends with the command. Raises
    GatewayFailed where none is running, and ConfigError as `running`.
    """
    endpoint = running(config)
    if endpoint is None:
        raise GatewayFailed(UNREACHABLE, "no gateway is running: start one with dap serve")
    return endpoint


@asynccontextmanager
async def gateway(
    config: Config, *, say: Say | None = None, ask: Ask | None = None
) -> AsyncIterator[Endpoint]:
    """Yields the running gateway, or starts a gateway in this process that ends with the context.

    `say` receives the messages of a gateway that is started here, `ask` the questions of its SSH logins, which fail
    without `ask` where they need an answer. Starting a gateway configures structlog for the process. Raises
    ConfigError, GatewayFailed.
    """
    endpoint = running(config)
    if endpoint is not None:
        yield endpoint
        return
    check_clusters(config)
    # here, since it loads the whole server, and most commands find a gateway running
    import structlog  # noqa: PLC0415

    from gateway.server.run import embedded  # noqa: PLC0415

    # the screen is the command's: what went wrong is said once, at the end
    def waits(_: object, __: str, event: structlog.typing.EventDict) -> str:
        if event["event"] == "ssh_login_waits" and say:
            say(f"waiting for {event['waiting_for']}")
        raise structlog.DropEvent

    structlog.configure([waits], structlog.make_filtering_bound_logger(logging.WARNING))

    if say:
        say("no gateway is running, so this command runs its own (dap serve keeps one ready)")

    ended: BaseException | None = None
    try:
        async with embedded(config, prompt=ask) as path:
            try:
                yield Endpoint("http://localhost", path)
            except BaseException as error:
                ended = error
                raise
    except BaseExceptionGroup as errors:  # of the gateway's TaskGroups, around what ended the command
        raise (ended or first(errors)) from None


def _remote(config: Config) -> Endpoint:
    shown = mask_url(config.url)
    try:
        parts = urlsplit(config.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"gateway.url is {shown!r}: use a URL such as https://dap.example.com")
    local = host in _LOOPBACK
    if scheme == "http" and not local:
        raise ConfigError(f"gateway.url is {shown!r}: beyond this machine use https, for the token's sake")
    # the token in the state directory opens the gateway of this machine: it is for no other
    token = config.token or (_stored_token() if local else "")
    if not token:
        raise ConfigError(f"set DAP_GATEWAY_TOKEN to the token of the gateway at {shown}")
    return Endpoint(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}", token=token)


def _stored_token() -> str:
    try:
        return bearer_token((state_dir() / "token").read_text("utf-8"), str(state_dir() / "token"))
    except (OSError, UnicodeError):
        return ""


def _answers(path: Path) -> bool:
    try:
        unix_peer.connect(path, _KNOCK).close()
    except BlockingIOError:  # a gateway is there: so many wait for it that no more may
        return True
    except OSError:
        return False
    return True
