"""`dap`: the commands, and what the process says and returns at the end of each."""

import os
import sys
import traceback
from dataclasses import replace
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import help_texts, options
from gateway.cli.commands import config as settings
from gateway.cli.commands import doctor, probe, serve, session, sessions
from gateway.cli.commands import open as ticket
from gateway.cli.console import safe, say
from gateway.cli.options import Cluster, Container, Json, Kill, Namespace, Pod, Quiet, Stdin, Tty, Verify
from gateway.client.exit_status import HOP_FAILED, USAGE, GatewayFailed
from gateway.client.http import why
from gateway.errors import ConfigError, DapError
from gateway.masking import mask
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target

app = typer.Typer(
    name="dap", rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(settings.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dap {__version__}")
        raise typer.Exit


@app.callback(help=help_texts.DAP, epilog=help_texts.EXIT_STATUS)
def dap(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    if context.obj is not None and context.invoked_subcommand not in ("shell", "exec", "run"):
        raise typer.BadParameter("only shell, exec and run take a command after --", context)


@app.command("serve", help=help_texts.SERVE)
def serve_(
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Default: localhost:8080.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="A make-believe cluster; its commands run on this machine.")
    ] = False,
    log: Annotated[
        serve.LogFormat, typer.Option("--log", help="How log lines look on stderr.")
    ] = serve.LogFormat.console,
) -> None:
    serve.run(listen, demo=demo, log=log)


@app.command(help=help_texts.SHELL, cls=options.WithCommand, context_settings=options.TAKES_COMMAND)
def shell(
    context: typer.Context,
    pod: Pod,
    namespace: Namespace = "",
    container: Container = None,
    cluster: Cluster = "default",
    quiet: Quiet = False,
) -> None:
    argv = options.command_line(context, needed=False)
    command = session.command("exec", argv, stdin=True, tty=True)
    target = Target.parse(cluster, namespace or None, pod, container)
    raise typer.Exit(session.run(target, command, quiet=quiet, resumable=True))


@app.command("exec", help=help_texts.EXEC, cls=options.WithCommand, context_settings=options.TAKES_COMMAND)
def exec_(  # noqa: PLR0913, PLR0917  # kubectl exec's options
    context: typer.Context,
    pod: Pod,
    namespace: Namespace = "",
    container: Container = None,
    stdin: Stdin = False,
    tty: Tty = False,
    kill: Kill = False,
    cluster: Cluster = "default",
    verify: Verify = False,
    quiet: Quiet = False,
) -> None:
    if verify and tty:
        raise typer.BadParameter("--verify is for commands without a terminal: leave out -t", context)
    command = session.command("exec", options.command_line(context), stdin=stdin, tty=tty)
    command = replace(command, kill=kill)
    target = Target.parse(cluster, namespace or None, pod, container)
    raise typer.Exit(session.run(target, command, quiet=quiet, verify=verify))


@app.command("run", help=help_texts.RUN, cls=options.WithCommand, context_settings=options.TAKES_COMMAND)
def run_(
    context: typer.Context,
    stdin: Stdin = False,
    tty: Tty = False,
    cluster: Cluster = "default",
    quiet: Quiet = False,
) -> None:
    argv = options.command_line(context)
    command = session.command("run", argv, stdin=stdin, tty=tty)
    raise typer.Exit(session.run(Target(cluster), command, quiet=quiet))


@app.command("probe", help=help_texts.PROBE)
def probe_(
    pod: Pod,
    namespace: Namespace = "",
    container: Container = None,
    cluster: Cluster = "default",
    json: Json = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="For all of it.")
    ] = 30,
    quiet: Quiet = False,
) -> None:
    target = Target.parse(cluster, namespace or None, pod, container)
    raise typer.Exit(probe.run(target, timeout, json=json, quiet=quiet))


@app.command("open", help=help_texts.OPEN)
def open_(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[POD | CLUSTER/NS/POD[/CONTAINER]]", help="What the page shows at once."),
    ] = None,
    namespace: Namespace = "",
    container: Container = None,
    cluster: Cluster = "default",
    whose: Annotated[
        str | None, typer.Option("--for", metavar="NAME", help="Somebody else, with sessions of their own.")
    ] = None,
) -> None:
    print(safe(ticket.link(ticket.target(target, cluster, namespace, container) if target else None, whose)))


@app.command("sessions", help=help_texts.SESSIONS)
def sessions_(json: Json = False) -> None:
    raise typer.Exit(sessions.show(as_json=json))


@app.command("attach", help=help_texts.ATTACH)
def attach_(
    name: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="As dap sessions lists it.")] = None,
) -> None:
    raise typer.Exit(sessions.attach(name))


@app.command("kill", help=help_texts.KILL)
def kill_(
    name: Annotated[str, typer.Argument(metavar="SESSION", help="As dap sessions lists it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What its user is told.")] = "",
) -> None:
    raise typer.Exit(sessions.kill(name, reason))


@app.command("doctor", help=help_texts.DOCTOR)
def doctor_(cluster: Cluster = "default", json: Json = False, quiet: Quiet = False) -> None:
    raise typer.Exit(doctor.run(cluster, json=json, quiet=quiet))


def main() -> None:
    """The entry point. Every error that is no defect of ours ends as one line and an exit status."""
    _fill_standard_descriptors()
    arguments, command = options.split(sys.argv[1:])
    try:
        app(arguments, prog_name="dap", obj=command)
    except (ConfigError, BadRequest) as error:
        say(str(error))
        status = USAGE
    except GatewayFailed as error:
        say(str(error.end))
        status = HOP_FAILED
    except DapError as error:
        say(f"{error.hop}: {error.message} ({error.code})")
        status = HOP_FAILED
    except OSError as error:
        say(f"client: {error.filename or 'input or output'}: {why(error)}")
        status = HOP_FAILED
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # noqa: BLE001  # a defect: told like everything else, in full with python -X dev
        if sys.flags.dev_mode:
            print(mask(traceback.format_exc()), file=sys.stderr)
        said = f"{type(error).__name__}: {mask(str(error))}"
        say(f"client: a defect of dap: {said} (python -X dev -m gateway shows where)")
        status = HOP_FAILED
    sys.exit(status)


def _fill_standard_descriptors() -> None:
    """A command started with stdin or stdout closed must not find a socket of ours in their place."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
