"""Finds the gateway: DAP_GATEWAY_URL, else a local Unix socket where a gateway answers, else the TCP address of a gateway
that has proved to be this user's, else, without a cluster of one's own, the gateway of a login, else a gateway inside this
command.
"""

import fcntl
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway import garbage, unix_peer
from gateway.client import remote
from gateway.client.exit_status import UNREACHABLE, GatewayFailed
from gateway.client.proof import Unproved, prove
from gateway.dial import host_port
from gateway.errors import ConfigError, first
from gateway.masking import mask_url
from gateway.protocol.loopback import LOOPBACK, is_loopback
from gateway.settings import serving
from gateway.settings.config import Config, bearer_token, check_clusters
from gateway.settings.paths import socket_paths, state_dir

_KNOCK = 2.0  # seconds for the socket to take a connection

# Shows a message to the person; and: asks, with echo or without, for the answer, or None
Say = Callable[[str], None]
Ask = Callable[[str, bool], Awaitable[str | None]]


@dataclass(frozen=True)
class Endpoint:
    """Names a gateway and the credential for it. `url` starts with http:// or https:// and has no slash at
    its end. `socket`: connect to that Unix socket instead of TCP. `proves`: the listener is asked on each connection
    for a proof that it knows the token, before the token is sent. `ca`: the only authority that is trusted, in PEM; empty
    for those of the system. `login`: the public name of a token that `dap login` has got; empty for another token.
    """

    url: str
    socket: Path | None = None
    token: str = field(default="", repr=False)
    proves: bool = False
    ca: str = field(default="", repr=False)
    login: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Returns the header with the token; none without a token, as at the Unix socket, where the user of
        the process is the credential.
        """
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def local(self) -> bool:
        """True if the gateway is on this machine, where no proxy stands in between."""
        return self.socket is not None or is_loopback(urlsplit(self.url).hostname or "")

    def __str__(self) -> str:
        return str(self.socket or mask_url(self.url))


def running(config: Config) -> Endpoint | None:
    """Returns the gateway that the settings name, or that answers on a Unix socket, or at its TCP address with a proof, or
    that one is signed in to; None where there is none. Raises ConfigError for a URL of no use, or several logins.
    """
    if config.url:
        return _remote(config)
    started = serving.read(state_dir())
    for path in _sockets(started):
        if _answers(path):
            return Endpoint("http://localhost", path)
    token = config.token or _stored_token()
    for address, port in _listeners(config, started) if token else ():
        if _proves(address, port, token):
            return Endpoint(f"http://{host_port(address, port)}", token=token, proves=True)
    login = None if unreachable(config) else remote.only_login(config)
    return _endpoint(login.url, remote.of_login(config, login)) if login else None


def needed(config: Config) -> Endpoint:
    """Returns the running gateway, for what makes no sense with a gateway that ends with the command. Raises
    GatewayFailed where none is running, and ConfigError as `running`.
    """
    endpoint = running(config)
    if endpoint is None:
        raise GatewayFailed(UNREACHABLE, f"{missing(config)}: start one with dap serve")
    return endpoint


def missing(config: Config) -> str:
    """Returns why there is no gateway, for whoever needs one. `running` has returned None before."""
    return unreachable(config) or "no gateway is running"


def unreachable(config: Config) -> str:
    """Returns which gateway of this user lives and can be reached nowhere; empty where none does. `running` has returned
    None before.
    """
    started = serving.read(state_dir())
    for path in _sockets(started):
        if process := _holder(path):
            tcp = " nor, with a proof, at " + ", ".join(
                f"{address} port {port}" for address, port in _listeners(config, started)
            )
            return f"the gateway of process {process} answers neither at {path}{tcp}"
    return ""


@asynccontextmanager
async def gateway(
    config: Config,
    *,
    say: Say | None = None,
    warn: Say | None = None,
    ask: Ask | None = None,
    tls: bool = False,
) -> AsyncIterator[Endpoint]:
    """Yields the running gateway, or starts a gateway in this process that ends with the context.

    `say` receives the messages of a gateway that is started here, `warn` that it is a second one, `ask` the questions
    of its SSH logins, which fail without `ask` where they need an answer. `tls`: a gateway that is started here also
    listens with TLS, and the endpoint has its token. Starting a gateway configures the log of the
    process. Raises ConfigError, GatewayFailed.
    """
    endpoint = running(config)
    if endpoint is not None:
        yield endpoint
        return
    check_clusters(config)
    if (other := unreachable(config)) and warn:
        warn(f"{other}: this command runs a second one")
        say = None
    # these load the whole server, and most find one running
    from gateway.client.own_log import own_log  # noqa: PLC0415
    from gateway.server.run import embedded  # noqa: PLC0415

    garbage.look_as_usual()
    if say:
        say("no gateway is running, so this command runs its own (dap serve keeps one ready)")

    ended: BaseException | None = None
    try:
        with own_log(say):
            token = secrets.token_urlsafe(32) if tls else ""
            async with embedded(config, prompt=ask, token=token) as path:
                try:
                    yield Endpoint("http://localhost", path, token)
                except BaseException as error:
                    ended = error
                    raise
    except BaseExceptionGroup as errors:  # of the gateway's TaskGroups, around what ended the command
        raise (ended or first(errors)) from None


def _remote(config: Config) -> Endpoint:
    url = remote.gateway_url(config.url, "gateway.url")
    if found := remote.credential(config, url):
        return _endpoint(url, found)
    # the token in the state directory opens the gateway of this machine: it is for no other
    if is_loopback(urlsplit(url).hostname or "") and (token := _stored_token()):
        return Endpoint(url, token=token, ca=remote.authority(config))
    shown = mask_url(config.url)
    raise ConfigError(
        f"sign in with dap login {shown}, or set DAP_GATEWAY_TOKEN to the token of that gateway"
    )


def _endpoint(url: str, found: remote.Credential) -> Endpoint:
    return Endpoint(url, token=found.token, ca=found.ca, login=found.login)


def _stored_token() -> str:
    try:
        return bearer_token((state_dir() / "token").read_text("utf-8"), str(state_dir() / "token"))
    except (OSError, UnicodeError):
        return ""


def _sockets(started: serving.Address) -> list[Path]:
    """Returns where the Unix socket of a gateway may be: in its usual directories, and where the last one said."""
    paths = socket_paths()
    return [*paths, *([started.socket] if started.socket and started.socket not in paths else [])]


def _listeners(config: Config, started: serving.Address) -> list[tuple[str, int]]:
    """Returns the TCP addresses of this machine where a gateway may listen: where the last one said that it does, and
    where the settings have it listen.
    """
    host, _, port = config.listen.rpartition(":")
    names = LOOPBACK if host == "localhost" else (host.strip("[]"),)
    named = [(name, int(port)) for name in names if port.isdecimal()]
    return [
        (address, number)
        for address, number in dict.fromkeys([*started.listen, *named])
        if is_loopback(address) and 0 < number < 65536
    ]


def _proves(address: str, port: int, token: str) -> bool:
    try:
        with socket.create_connection((address, port), _KNOCK) as sock:
            prove(sock, token, _KNOCK)
    except (OSError, Unproved):
        return False
    return True


def _holder(path: Path) -> str:
    """Returns the number of the process that has the lock of the socket at `path`; empty where none has."""
    try:
        with path.with_name(f"{path.name}.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(20).decode("ascii", "replace").strip() or "?"
    except OSError:
        return ""
    return ""


def _answers(path: Path) -> bool:
    try:
        unix_peer.connect(path, _KNOCK).close()
    except BlockingIOError:  # a gateway is there: so many wait for it that no more may
        return True
    except OSError:
        return False
    return True
