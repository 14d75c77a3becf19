"""Declares `dap access` and `dap tokens`, as app.py does all other commands."""

import re
from typing import Any

import click

from gateway.cli import help_texts, options

_UNITS = {"m": 60, "h": 3600, "d": 24 * 3600}


class Span(click.ParamType[int]):
    """Takes a time such as 30d, 12h or 10m as seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns seconds. Raises BadParameter (exit 2)."""
        if isinstance(value, int):
            return value
        if not (found := re.fullmatch(r"([0-9]{1,6})([mhd])", value)):
            self.fail(
                f"{value!r} is no time: write days, hours or minutes as in 30d, 12h or 10m.", param, ctx
            )
        return int(found[1]) * _UNITS[found[2]]


@click.group("access", help=help_texts.ACCESS, invoke_without_command=True)
@options.json
@click.pass_context
def access_(context: click.Context, json: bool) -> int:
    from gateway.cli.commands import access

    return 0 if context.invoked_subcommand else access.show(as_json=json)


@access_.command("revoke", help="Revoke a ticket or a tab, and end what it opened.")
@click.argument("name", metavar="NAME", help="As dap access lists it.")
def revoke_(name: str) -> int:
    from gateway.cli.commands import access

    return access.revoke(name)


@click.group("tokens", help=help_texts.TOKENS, invoke_without_command=True)
@options.json
@click.pass_context
def tokens_(context: click.Context, json: bool) -> int:
    from gateway.cli.commands import tokens

    return 0 if context.invoked_subcommand else tokens.show(as_json=json)


@tokens_.command("create", help=help_texts.TOKENS_CREATE)
@click.argument("name", metavar="NAME")
@click.option("--cluster", metavar="C,…", default="", help="Clusters; default: all.")
@click.option("-n", "--namespace", metavar="NS,…", default="", help="Namespaces; default: all.")
@click.option("--verbs", metavar="V,…", default="", help="As get,list,watch,exec; default: all.")
@click.option("--group", default="", metavar="G,…", help="Groups, for a cluster that is asked in its name.")
@click.option(
    "--expires", type=Span(), metavar="TIME", default="30d", show_default=True, help="At most 400d."
)
def create_(name: str, cluster: str, namespace: str, verbs: str, group: str, expires: int) -> int:
    from gateway.cli.commands import tokens

    return tokens.create(name, _names(cluster), _names(namespace), _names(verbs), _names(group), expires)


@tokens_.command("revoke", help="Revoke a token, and end what it opened.")
@click.argument("name", metavar="NAME", help="As dap tokens lists it.")
def revoke_token_(name: str) -> int:
    from gateway.cli.commands import tokens

    return tokens.revoke(name)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))
