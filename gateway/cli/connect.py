"""Connects a command to its gateway: what a gateway of its own says and asks goes to this terminal."""

from contextlib import AbstractAsyncContextManager

from gateway.cli.console import say
from gateway.cli.terminal import tty
from gateway.client import endpoint
from gateway.client.endpoint import Endpoint
from gateway.settings.config import Config


def gateway(
    config: Config, *, quiet: bool, terminal: tty.Terminal | None = None, tls: bool = False
) -> AbstractAsyncContextManager[Endpoint]:
    """Returns the context of the running gateway, or of one that lives as long as the context.

    `quiet` drops its messages, but for the one that it is a second gateway, and not its questions. `terminal` is lent to a question while it is asked. `tls`: as of `endpoint.gateway`.
    """

    async def ask(question: str, echo: bool) -> str | None:
        return await tty.ask(question, echo, terminal)

    return endpoint.gateway(config, say=None if quiet else say, warn=say, ask=ask, tls=tls)
