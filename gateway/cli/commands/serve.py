"""Does `dap serve`: runs the gateway in the foreground."""

import asyncio
import gc
import os
import select
import signal
import sys
import threading
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import arenas, garbage
from gateway.cli.terminal.tty import ask
from gateway.server import listen_names
from gateway.settings.config import Cluster, Config, check_clusters
from gateway.settings.loader import load

if TYPE_CHECKING:
    from gateway.demo import DemoSettings
    from gateway.log import Format
    from gateway.server.run import Serving


def run(listen: str | None, *, demo: bool, log: "Format") -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP. Raises ConfigError, for settings of no use before the servers are imported."""
    config = load(flags={"gateway.listen": listen} if listen else {})
    if config.listen != listen_names.OFF:
        listen_names.names(config.listen)
    if config.tls_listen != listen_names.OFF:
        listen_names.secure_names(config.tls_listen)
    listen_names.public_url(config.public_url)
    if not demo:
        check_clusters(config)
    asyncio.run(_serve(config, demo=demo, log=log))


async def _serve(config: Config, *, demo: bool, log: "Format") -> None:
    # here, since they load SSH and HTTP servers, which no other command needs
    from gateway import log as logs  # noqa: PLC0415
    from gateway.server.run import serve  # noqa: PLC0415

    gc.freeze()  # no later look goes through what the imports have made
    garbage.look_as_usual()
    arenas.share_one()
    logs.setup(log)
    _end_with_terminal()
    async with AsyncExitStack() as stack:
        if demo:
            from gateway.demo import WARNING, demo_chain  # noqa: PLC0415

            print(WARNING, file=sys.stderr, flush=True)
            config = demo_config(config, await stack.enter_async_context(demo_chain()))
        await serve(config, banner=_banner, prompt=_prompt, outlived=not demo)


def _end_with_terminal() -> None:
    """Sends this process SIGHUP once its terminal is gone: the kernel tells the leader of the session alone, and make, where
    a window was opened for it, waits for us instead of passing that on.
    """

    def wait() -> None:
        poll = select.poll()
        poll.register(0, 0)  # nothing but errors, which are always told
        if any(event & select.POLLHUP for _, event in poll.poll()):
            os.kill(os.getpid(), signal.SIGHUP)

    if os.isatty(0):
        threading.Thread(target=wait, name="terminal", daemon=True).start()


def demo_config(config: Config, demo: "DemoSettings") -> Config:
    """Returns the same settings with one cluster, `default`, which is the demo's."""
    cluster = Cluster(
        "default", demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, "", "auto",
        frozenset(["ssh_host", "ssh_key", "ssh_known_hosts", "ssh_config", "vm", "mode"]), "none",
    )  # fmt: skip
    return replace(config, clusters={"default": cluster})


def _banner(serving: "Serving") -> None:
    """Prints where the gateway is. A link that opens shells goes to a terminal only: a file of logs has readers of its own."""
    for url in serving.urls:
        print(f"dap: serving on {url}")
    if sys.stdout.isatty():
        print(f"dap: open in a browser (works once, for five minutes): {serving.link()}", flush=True)
    else:
        print("dap: for a link to open in a browser: dap open", flush=True)


async def _prompt(question: str, echo: bool) -> str | None:
    return await ask(question, echo)
