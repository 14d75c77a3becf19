"""Declares `dap port-forward`, as app.py does all other commands."""

from typing import Any

import click

from gateway.cli import complete_names, help_texts, options


@click.command("port-forward", help=help_texts.PORT_FORWARD)
@click.argument(
    "words", nargs=-1, required=True, metavar="TARGET [LOCAL:]REMOTE…", shell_complete=complete_names.pods
)
@options.namespace
@options.cluster
@click.option(
    "--address", metavar="ADDRESS", default="localhost", show_default=True, help="Where to listen here."
)
@click.option(
    "--strict-port", is_flag=True, help="Fail where a local port is taken, instead of another port."
)
@click.option(
    "--timeout", type=options.Seconds(), metavar="SECONDS", default=60, show_default=True,
    help="For a pod to run and its port to answer, at first.",
)  # fmt: skip
@options.json
@options.quiet
def port_forward_(words: tuple[str, ...], namespace: str | None, cluster: str, **given: Any) -> int:
    from gateway.cli.commands import port_forward
    from gateway.client.forward import spec

    return port_forward.run(spec.parse(words, cluster, namespace), port_forward.Options(**given))
