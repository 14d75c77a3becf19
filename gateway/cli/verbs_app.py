"""Declares the verbs that people need beside a shell, as app.py does all other commands."""

from typing import Any

import click

from gateway.cli import complete_names, options, verb_texts
from gateway.cli.curl_app import curl_


@click.command("logs", help=verb_texts.LOGS, cls=options.WithOptionalCommand)
@click.argument("targets", nargs=-1, metavar="[TARGET…]", shell_complete=complete_names.pods)
@click.option(
    "--selector",
    "-l",
    "labels",
    metavar="LABELS",
    multiple=True,
    help="All pods that the labels select; repeat freely.",
)
@click.option("--all", "everything", is_flag=True, help="All pods of the namespace.")
@options.namespace
@options.container
@click.option("--all-containers", "every", is_flag=True, help="All containers of each pod.")
@options.cluster
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Go on with what comes, also from pods that join, until Ctrl-C or their end.",
)
@click.option("--since", type=options.Duration(), metavar="TIME", help="Not older, as in 90s, 5m, 1h30m, 2d.")
@click.option(
    "--tail",
    type=click.IntRange(min=-1),
    metavar="N",
    help="The last N lines of each; -1: all. Default: all of one pod, 10 of several, none with a command.",
)
@click.option(
    "--previous",
    "-p",
    is_flag=True,
    help="The container's run before this one, with -f also what came after it.",
)
@click.option("--timestamps", is_flag=True, help="Put the time of the node before each line.")
@click.option("--no-color", is_flag=True, help="No colours, as without a terminal.")
@click.option(
    "--sort",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    default=0.5,
    show_default=True,
    help="How long a line may wait for older ones of other pods.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0, 600),
    metavar="SECONDS",
    default=0.5,
    show_default=True,
    help="How long to go on after the command has ended.",
)
@options.quiet
def logs_(argv: tuple[str, ...], targets: tuple[str, ...], **given: Any) -> int:
    from gateway.cli.commands import logs

    return logs.run(targets, logs.Options(argv=argv, **given))


@click.command("cp", help=verb_texts.CP)
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DESTINATION")
@options.namespace
@options.container
@options.cluster
@click.option(
    "--timeout", "patience", type=options.Seconds(), metavar="SECONDS", default=300, show_default=True,
    help="For a lost hop to come back.",
)  # fmt: skip
@options.json
@options.quiet
def cp_(source: str, destination: str, **given: Any) -> int:
    from gateway.cli.commands import cp

    return cp.run(source, destination, cp.Options(**given))


@click.command("pods", help=verb_texts.PODS)
@click.option("--all-namespaces", "-A", "every", is_flag=True, help="Of every namespace.")
@click.option(
    "--selector", "-l", metavar="LABELS", default="", help="Only those with these labels, as in app=web."
)
@click.option("--wide", "-w", is_flag=True, help="All columns: addresses and nodes, too.")
@options.namespace
@options.cluster
@options.json
def pods_(every: bool, selector: str, wide: bool, namespace: str | None, cluster: str, json: bool) -> int:
    from gateway.cli.commands import pods

    return pods.run(cluster, namespace or "", selector, wide=wide, as_json=json, every=every)


COMMANDS = (logs_, cp_, pods_, curl_)
