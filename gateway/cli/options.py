"""The options that several commands share, and the command after `--`."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gateway.errors import ConfigError
from gateway.settings.loader import load

# -x that we do not know may be the command's, where somebody forgot the `--`: command_line tells
TAKES_COMMAND = {"allow_extra_args": True, "ignore_unknown_options": True}


class WithCommand(TyperCommand):
    """Shows in the usage line what stands after `--`, which Typer never sees."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """As in kubectl's: exec [OPTIONS] POD -- CMD…."""
        ours = [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]
        return [*ours, "[-- CMD…]" if self.name == "shell" else "-- CMD…"]


def _clusters(incomplete: str) -> list[str]:
    try:
        return [name for name in load().clusters if name.startswith(incomplete)]
    except ConfigError:
        return []


Pod = Annotated[str, typer.Argument(metavar="POD", help="A pod's name, or deploy/NAME, svc/NAME, sts/NAME.")]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", metavar="NS", help="Default: the cluster's setting, or kubectl's there."
    ),
]
Container = Annotated[
    str | None,
    typer.Option("--container", "-c", metavar="NAME", help="Which container, if the pod has several."),
]
Cluster = Annotated[
    str,
    typer.Option("--cluster", metavar="NAME", help="A cluster of config.toml.", autocompletion=_clusters),
]
Stdin = Annotated[bool, typer.Option("--stdin", "-i", help="Pass our stdin to the command.")]
Tty = Annotated[bool, typer.Option("--tty", "-t", help="Give the command a terminal.")]
Kill = Annotated[
    bool,
    typer.Option(
        "--kill-on-disconnect",
        help="End the command in the pod too when this ends before it. Needs sh there.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Prove exit code and length of the output (needs sh, tee, wc there).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


def split(arguments: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """Ours and the command's: everything after the first `--`, untouched. None where there is no `--`."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], tuple(arguments[at + 1 :])


def command_line(context: typer.Context, *, needed: bool = True) -> tuple[str, ...]:
    """The command after `--`. Raises BadParameter (exit 2) where it is missing or stands in the wrong place."""
    command: tuple[str, ...] | None = context.obj
    extra = context.args
    if extra and (extra[0].startswith("-") or command is not None):
        kind = "option" if extra[0].startswith("-") else "argument"
        raise typer.BadParameter(f"no such {kind}: {extra[0]}", context)
    if extra:
        example = " ".join(["--", *extra])
        raise typer.BadParameter(f"put -- before the command: … {example}", context)
    if needed and not command:
        raise typer.BadParameter(
            f"name the command after --, as in: {context.command_path} … -- ls -l", context
        )
    return command or ()


def no_command(context: typer.Context) -> None:
    """For commands that take none. Raises BadParameter (exit 2)."""
    if context.obj is not None:
        raise typer.BadParameter("this command takes nothing after --", context)
