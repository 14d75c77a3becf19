"""Does `dap kubectl`: runs the kubectl of this machine, or, where it has none, the one in the runner."""

import asyncio
import os
import shutil
from dataclasses import replace
from urllib.parse import quote

from gateway.cli import kubectl_words
from gateway.cli.commands import session, with_kubeconfig
from gateway.cli.console import say
from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import End, GatewayFailed
from gateway.protocol.errors import BadRequest
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target
from gateway.settings.config import DEFAULT

_NONE = "this machine has no kubectl"
_CONTEXT = "dap-"  # how a context of ours begins: then comes its cluster, and its gateway behind an @


def run(words: tuple[str, ...], rest: tuple[str, ...]) -> int:
    """Runs kubectl and returns its exit status. `rest`: the words from `--` on. Raises GatewayFailed, ConfigError, OSError."""
    if shutil.which("kubectl"):
        return with_kubeconfig.run(("kubectl", *words, *rest), DEFAULT, quiet=False)
    try:
        return _run_elsewhere(words, rest)
    except BadRequest as error:
        end = End("bad_request", Hop.CLIENT, f"{_NONE}, and the runner's cannot do this: {error}")
        say(str(end))
        return end.exit_status


def _run_elsewhere(words: tuple[str, ...], rest: tuple[str, ...]) -> int:
    found = kubectl_words.for_runner(words)
    cluster = _cluster(found.context)
    terminal = os.isatty(0) and os.isatty(1)
    wanted = session.command("run", (*found.argv, *rest), stdin=terminal or found.reads, tty=terminal)
    return session.run(Target(cluster), wanted, quiet=False, settle=_Settle(words, cluster))


class _Settle:
    """Puts the words before a command that make it the runner's kubectl, for the cluster, in the right name."""

    def __init__(self, words: tuple[str, ...], cluster: str) -> None:
        self._words = words
        self._path = f"/gateway/v1/clusters/{quote(cluster, safe='')}/kubectl"

    async def __call__(self, endpoint: Endpoint, command: Command) -> Command:
        """Returns the command. Raises GatewayFailed where the gateway refuses, BadRequest for words that its answer rules out."""
        try:
            answer = await asyncio.to_thread(http.answered, endpoint, "GET", self._path, 200)
        except GatewayFailed as error:
            raise GatewayFailed(error.end.code, f"{_NONE}, and {error}") from None
        begin, impersonates = tuple(answer["argv"]), bool(answer["impersonates"])
        kubectl_words.for_runner(self._words, impersonates=impersonates)
        return replace(command, argv=(*begin, *command.argv))


def _cluster(context: str) -> str:
    """Returns the cluster that a context of ours names. Raises BadRequest for another context."""
    if not context:
        return DEFAULT
    if not context.startswith(_CONTEXT):
        raise BadRequest(f"no context {context!r}: the contexts of dap are {_CONTEXT}CLUSTER")
    return context.removeprefix(_CONTEXT).partition("@")[0]
