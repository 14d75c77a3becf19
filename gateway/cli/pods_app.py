"""Declares `dap pods`, as app.py does all other commands."""

import click

from gateway.cli import options

_HELP = """\
List a cluster's pods, as kubectl get pods does.

\b
dap pods
dap pods -n shop -l app=web
dap pods -A --wide
"""


@click.command("pods", help=_HELP)
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
