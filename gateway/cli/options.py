"""Declares the options that several commands share, and the command after `--`."""

import math
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from gateway.cli import complete_names
from gateway.errors import ConfigError
from gateway.protocol.target import Target


def _clusters(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from gateway.settings.loader import load  # noqa: PLC0415  # only completion asks here

    try:
        return [name for name in load().clusters if name.startswith(incomplete)]
    except ConfigError:
        return []


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
TAKE_COMMANDS = ("shell", "exec", "run", "with", "kubectl", "logs")  # after --
pod = click.argument(
    "pod", metavar="POD", shell_complete=complete_names.pods,
    help="A pod's name, or deploy/NAME, svc/NAME, sts/NAME.",
)  # fmt: skip
namespace = click.option(
    "--namespace", "-n", metavar="NS", shell_complete=complete_names.namespaces,
    help="Default: the cluster's setting, else kubectl's in the runner.",
)  # fmt: skip
container = click.option(
    "--container", "-c", metavar="NAME", shell_complete=complete_names.containers,
    help="Which container, if the pod has several.",
)  # fmt: skip
cluster = click.option(
    "--cluster", metavar="NAME", default="default", show_default=True, shell_complete=_clusters,
    help="A cluster of config.toml.",
)  # fmt: skip
stdin = click.option("--stdin", "-i", is_flag=True, help="Pass our stdin to the command.")
tty = click.option("--tty", "-t", is_flag=True, help="Give the command a terminal.")
quiet = click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
json = click.option("--json", is_flag=True, help="One JSON object instead of lines.")


class Seconds(click.FloatRange):
    """Takes a number of seconds, 1 or more."""

    name = "number of seconds"  # as messages call it

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuses `nan` too, which is not below any number. Raises BadParameter (exit 2)."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return seconds


class Duration(click.ParamType[float]):
    """Takes a time such as 90s, 5m, 1h30m or 2d as seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns seconds. Raises BadParameter (exit 2)."""
        if isinstance(value, (int, float)):
            return float(value)
        parts = re.findall(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])", value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no time: write it as in 90s, 5m, 1h30m or 2d.", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


def target(command: Callable[..., int]) -> Callable[..., int]:
    """Declares POD and the options that say where it is; the command gets them as one Target. Raises BadRequest."""

    @pod
    @namespace
    @container
    @cluster
    @wraps(command)
    def located(
        *, pod: str, namespace: str | None, container: str | None, cluster: str, **others: object
    ) -> int:
        return command(target=Target.parse(cluster, namespace or None, pod, container), **others)

    return located


class WithCommand(click.Command):
    """Takes a command after `--`, which click never sees, and passes it on as `argv`."""

    # an unknown -x may be the command's, where somebody forgot the `--`: _command_line tells them apart
    allow_extra_args = True
    ignore_unknown_options = True
    command_needed = True

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Adds the command, as kubectl does: exec [OPTIONS] POD -- CMD…."""
        return [*super().collect_usage_pieces(ctx), "-- CMD…" if self.command_needed else "[-- CMD…]"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Adds `argv` to the parameters. Raises UsageError (exit 2)."""
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:  # as completion parses what is not complete
            ctx.params["argv"] = _command_line(ctx, needed=self.command_needed)
        return rest


class WithOptionalCommand(WithCommand):
    """Takes a command after `--`, or none."""

    command_needed = False


def split(arguments: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """Returns our arguments and the command's: everything after the first `--`, untouched. None where there is no `--`."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], tuple(arguments[at + 1 :])


def _command_line(context: click.Context, *, needed: bool) -> tuple[str, ...]:
    """Returns the command after `--`. Raises UsageError where it is missing or stands in the wrong place."""
    command: tuple[str, ...] | None = context.obj
    extra = context.args
    for word in [context.params.get("pod", ""), *context.params.get("targets", ()), *extra[:1]]:
        if word.startswith("-"):
            known = [name for option in context.command.params for name in option.opts]
            raise click.NoSuchOption(word, possibilities=known, ctx=context)
    if extra and command is not None:
        context.fail(f"no such argument: {extra[0]}")
    if extra:
        context.fail(f"put -- before the command: … {' '.join(['--', *extra])}")
    if needed and not command:
        context.fail(f"name the command after --, as in: {context.command_path} … -- ls -l")
    return command or ()
