"""Declares the commands of `dap` for kubectl and for signing in elsewhere, as app.py does all others."""

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


@click.command("login", help=help_texts.LOGIN)
@click.argument("link", metavar="URL", help="A link of dap open, or the gateway's URL.")
def login_(link: str) -> None:
    from gateway.cli.commands import login

    login.log_in(link)


@click.command("logout", help=help_texts.LOGOUT)
@click.argument(
    "url", required=False, metavar="[URL]", help="The gateway, where you are signed in to several."
)
def logout_(url: str | None) -> int:
    from gateway.cli.commands import login

    return login.log_out(url)


@click.command("with", help=help_texts.WITH, cls=options.WithCommand)
@options.cluster
@options.quiet
def with_(argv: tuple[str, ...], cluster: str, quiet: bool) -> int:
    from gateway.cli.commands import with_kubeconfig

    return with_kubeconfig.run(argv, cluster, quiet=quiet)


@click.command(
    "kubectl", help=help_texts.KUBECTL,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)  # fmt: skip
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="ARGS…")
@click.pass_obj
def kubectl_(command: tuple[str, ...] | None, words: tuple[str, ...]) -> int:
    from gateway.cli.commands import kubectl

    return kubectl.run(words, () if command is None else ("--", *command))


COMMANDS = (kubeconfig_, token_, with_, kubectl_, login_, logout_)  # in the order in which help lists them
