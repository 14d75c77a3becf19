"""The ways to the cluster's API that are compared: kubectl at the end of the chain, straight at the API server, by way of
`kubectl proxy` alone, and through the gateway, over http and TLS.
"""

import os
import select
import shlex
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conversation import LIMIT, BenchError
from served import Served, serving
from support.lab import kubeconfig_access

DAP = Path(os.environ.get("VENV", Path(__file__).parents[2] / ".venv")) / "bin" / "dap"


@dataclass(frozen=True)
class ApiWay:
    """`kubectl`: the argument list that runs kubectl with these words; `env`: all that it sees; `url` and `tls`: where HTTP
    requests go, `lines`: the header lines that show a credential.
    """

    name: str
    kubectl: Callable[..., list[str]]
    env: dict[str, str]
    url: str = ""
    tls: ssl.SSLContext | None = None
    lines: str = ""

    def connect(self) -> socket.socket:
        """Opens a connection for HTTP requests."""
        place = urlsplit(self.url)
        sock = socket.create_connection((place.hostname or "", place.port or 0), LIMIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(sock, server_hostname=place.hostname) if self.tls else sock


@dataclass(frozen=True)
class Ways:
    """All of them, and the gateway itself. `secure`: the gateway over TLS, whose kubectl is that of `gateway`."""

    chain: ApiWay
    straight: ApiWay
    proxy: ApiWay
    gateway: ApiWay
    secure: ApiWay
    served: Served

    def all(self) -> tuple[ApiWay, ...]:
        """Those that run kubectl."""
        return self.chain, self.straight, self.proxy, self.gateway

    def http(self) -> tuple[ApiWay, ...]:
        """Those that take HTTP requests."""
        return self.straight, self.proxy, self.gateway, self.secure


@contextmanager
def ways() -> Iterator[Ways]:
    """Starts what has to run, for the length of the block."""
    program, config = _program()
    with (
        tempfile.TemporaryDirectory(prefix="dap-bench-kubectl-") as cache,
        _proxy([program, "--kubeconfig", str(config)]) as url,
        gateway() as (over_http, secure, served),
    ):
        env = {"HOME": cache, "PATH": os.environ["PATH"]}
        access = kubeconfig_access(str(config))
        yield Ways(
            ApiWay("chain", _chain, dict(os.environ)),
            ApiWay("straight", _words(program, "--kubeconfig", str(config)), env, access.url, access.tls),
            ApiWay("proxy", _words(program, "--server", url), env, url),
            over_http,
            secure,
            served,
        )


@contextmanager
def gateway() -> Iterator[tuple[ApiWay, ApiWay, Served]]:
    """Starts a gateway; yields the ways to it over http and over TLS. kubectl has what `dap kubeconfig` writes."""
    settings = {"DAP_GATEWAY_TLS_LISTEN": "localhost:0"}
    with serving("relay", "web-0", "main", "v5.channel.k8s.io", settings) as served:
        yield (
            *_gateway(served, _program()[0], {"HOME": str(served.directory), "PATH": os.environ["PATH"]}),
            served,
        )


def _program() -> tuple[str, Path]:
    """Returns the real chain's kubectl and kubeconfig."""
    config = Path(os.environ["DAP_LAB_KUBECONFIG"])
    return str(config.parents[1] / "bin" / "kubectl"), config


def _words(*begin: str) -> Callable[..., list[str]]:
    return lambda *words: [*begin, *words]


def _chain(*words: str) -> list[str]:
    inner = ["incus", "exec", os.environ.get("DAP_RUNNER_VM", "dap-runner"), "-T", "--", "bash", "-lc"]
    line = shlex.join([*inner, shlex.join(["kubectl", *words])])
    return ["ssh", "-F", os.environ["DAP_LAB_SSH_CONFIG"], "-T", "mgmt", line]


def _gateway(served: Served, program: str, env: dict[str, str]) -> tuple[ApiWay, ApiWay]:
    own = {f"XDG_{kind}_HOME": str(served.directory / kind.lower()) for kind in ("CONFIG", "STATE")}
    env = env | own | {"XDG_RUNTIME_DIR": str(served.directory)}
    done = subprocess.run(
        [DAP, "kubeconfig"], env=env, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode:
        raise BenchError(f"dap kubeconfig: {done.stderr}")
    env["KUBECONFIG"] = shlex.split(done.stdout)[1].partition("=")[2]
    raw = subprocess.run([program, "config", "view", "--raw", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"],
                         env=env, capture_output=True, text=True, timeout=LIMIT, check=True)  # fmt: skip
    tls = ssl.create_default_context(cafile=str(served.directory / "state" / "dap" / "tls" / "ca.pem"))
    lines = f"Authorization: Bearer {served.token}\r\n"
    run = _words(program)
    return (
        ApiWay("gateway", run, env, served.url, None, lines),
        ApiWay("gateway, TLS", run, env, raw.stdout, tls, lines),
    )


@contextmanager
def _proxy(begin: list[str]) -> Iterator[str]:
    """Runs `kubectl proxy` alone, as the relay has it, but on a port; yields its URL."""
    words = [*begin, "proxy", "--port=0", "--reject-paths=^$"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        if not select.select([process.stdout], [], [], LIMIT)[0]:
            raise BenchError("kubectl proxy did not start")
        yield f"http://{process.stdout.readline().split()[-1]}"
    finally:
        process.terminate()
        process.wait(LIMIT)
        process.stdout.close()


def older_kubectl() -> str | None:
    """Returns a kubectl that speaks SPDY, beside the one that the shell finds; None where there is none."""
    found = shutil.which("kubectl")
    path = Path(found).resolve().parent / "kubectl.1.29" if found else Path()
    return str(path) if path.is_file() else None
