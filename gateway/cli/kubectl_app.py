"""Declares the commands of `dap` that are for kubectl, as app.py does all others."""

import click

from gateway.cli import help_texts, options


@click.command("kubeconfig", help=help_texts.KUBECONFIG)
@options.cluster
@click.option("--raw", is_flag=True, help="Print the kubeconfig itself and write no file.")
@click.option("--merge", is_flag=True, help="Merge it into the kubeconfig that kubectl uses already.")
def kubeconfig_(cluster: str, raw: bool, merge: bool) -> None:
    from gateway.cli.commands import kubeconfig

    if raw and merge:
        raise click.UsageError("--raw writes no file: leave out --merge")
    kubeconfig.run(cluster, raw=raw, merge=merge)


@click.command("token", help=help_texts.SHORT_CREDENTIAL)
def token_() -> None:
    from gateway.cli.commands import token

    token.show()
