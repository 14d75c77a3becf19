"""Declares the commands of `dap` and their options. A command imports its work when it runs, so that help starts fast."""

from typing import TYPE_CHECKING

import click

from gateway import __version__
from gateway.cli import access_app, forward_app, help_texts, kubectl_app, options, verbs_app
from gateway.cli.console import safe
from gateway.protocol.target import Target

if TYPE_CHECKING:
    from gateway.log import Format


class _Dap(click.Group):
    """Lists its commands in the order in which they stand here."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        return list(self.commands)


def _install_completion(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from gateway.cli import completion

        completion.install(context.command)
        context.exit()


def _show_completion(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from gateway.cli import completion

        completion.show(context.command)
        context.exit()


@click.group(
    "dap",
    cls=_Dap,
    help=help_texts.DAP,
    epilog=help_texts.EXIT_STATUS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="dap %(version)s", help="Print the version.")
@click.option(
    "--install-completion", is_flag=True, expose_value=False, callback=_install_completion,
    help="Install completion for the current shell.",
)  # fmt: skip
@click.option(
    "--show-completion", is_flag=True, expose_value=False, callback=_show_completion,
    help="Show completion for the current shell, to copy it or customize the installation.",
)  # fmt: skip
@click.pass_context
def dap(context: click.Context) -> None:
    if context.obj is not None and context.invoked_subcommand not in options.TAKE_COMMANDS:
        context.fail(f"only {', '.join(options.TAKE_COMMANDS)} take a command after --")


@dap.command("serve", help=help_texts.SERVE)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; default: localhost:8080.")
@click.option("--demo", is_flag=True, help="Serve a make-believe cluster; its commands run on this machine.")
@click.option(
    "--log", type=click.Choice(["console", "json"]), metavar="<console|json>", default="console",
    show_default=True, help="How log lines look on stderr.",
)  # fmt: skip
def serve_(listen: str | None, demo: bool, log: "Format") -> None:
    from gateway.cli.commands import serve

    serve.run(listen, demo=demo, log=log)


@dap.command("shell", help=help_texts.SHELL, cls=options.WithOptionalCommand)
@options.target
@click.option("--exact", is_flag=True, help="Drop and hold no output, whatever key is pressed.")
@options.quiet
def shell_(target: Target, argv: tuple[str, ...], exact: bool, quiet: bool) -> int:
    from gateway.cli.commands import session

    command = session.command("exec", argv, stdin=True, tty=True, exact=exact)
    return session.run(target, command, quiet=quiet, resumable=True)


@dap.command("exec", help=help_texts.EXEC, cls=options.WithCommand)
@options.target
@options.stdin
@options.tty
@click.option(
    "--kill-on-disconnect", "kill", is_flag=True,
    help="End the command in the pod too when dap ends before it. Needs sh in the container.",
)  # fmt: skip
@click.option(
    "--verify", is_flag=True,
    help="Prove exit code and length of the output (needs sh, tee, wc in the container).",
)  # fmt: skip
@options.quiet
def exec_(
    target: Target, argv: tuple[str, ...], stdin: bool, tty: bool, kill: bool, verify: bool, quiet: bool
) -> int:
    from gateway.cli.commands import session

    if verify and tty:
        raise click.UsageError("--verify is for commands without a terminal: leave out -t")
    command = session.command("exec", argv, stdin=stdin, tty=tty, kill=kill)
    return session.run(target, command, quiet=quiet, verify=verify)


@dap.command("run", help=help_texts.RUN, cls=options.WithCommand)
@options.stdin
@options.tty
@options.cluster
@options.quiet
def run_(argv: tuple[str, ...], stdin: bool, tty: bool, cluster: str, quiet: bool) -> int:
    from gateway.cli.commands import session

    return session.run(Target(cluster), session.command("run", argv, stdin=stdin, tty=tty), quiet=quiet)


@dap.command("probe", help=help_texts.PROBE)
@options.target
@options.json
@click.option(
    "--timeout",
    type=options.Seconds(),
    metavar="SECONDS",
    default=30,
    show_default=True,
    help="For all steps together.",
)
@options.quiet
def probe_(target: Target, timeout: float, json: bool, quiet: bool) -> int:
    from gateway.cli.commands import probe

    return probe.run(target, timeout, json=json, quiet=quiet)


@dap.command("open", help=help_texts.OPEN)
@click.argument(
    "target",
    required=False,
    metavar="[POD | CLUSTER/NS/POD[/CONTAINER]]",
    help="The pod that the page opens at once.",
)
@options.namespace
@options.container
@options.cluster
@click.option(
    "--for", "whose", metavar="NAME", help="Make the link for somebody else, with sessions of their own."
)
@click.option(
    "--group", metavar="G,…", default="", help="Their groups, for a cluster that is asked in their name."
)
def open_(
    target: str | None,
    namespace: str | None,
    container: str | None,
    cluster: str,
    whose: str | None,
    group: str,
) -> None:
    from gateway.cli.commands import open as ticket

    wanted = ticket.target(target, cluster, namespace, container) if target else None
    print(safe(ticket.link(wanted, whose, tuple(filter(None, group.split(","))))))


@dap.command("sessions", help=help_texts.SESSIONS)
@options.json
def sessions_(json: bool) -> int:
    from gateway.cli.commands import sessions

    return sessions.show(as_json=json)


@dap.command("attach", help=help_texts.ATTACH)
@click.argument("name", required=False, metavar="[SESSION]", help="As dap sessions lists it.")
def attach_(name: str | None) -> int:
    from gateway.cli.commands import sessions

    return sessions.attach(name)


@dap.command("kill", help=help_texts.KILL)
@click.argument("name", metavar="SESSION", help="As dap sessions lists it.")
@click.option("--reason", metavar="TEXT", default="", help="Shown to the session's user.")
def kill_(name: str, reason: str) -> int:
    from gateway.cli.commands import sessions

    return sessions.kill(name, reason)


dap.add_command(forward_app.port_forward_)
for one in (*verbs_app.COMMANDS, *kubectl_app.COMMANDS, access_app.access_, access_app.tokens_):
    dap.add_command(one)


@dap.command("doctor", help=help_texts.DOCTOR)
@options.cluster
@options.json
@options.quiet
def doctor_(cluster: str, json: bool, quiet: bool) -> int:
    from gateway.cli.commands import doctor

    return doctor.run(cluster, json=json, quiet=quiet)


@dap.group("config", help="Write and show settings.")
def config_() -> None:
    pass


@config_.command("init", help=help_texts.CONFIG_INIT)
@click.option("--ssh-host", metavar="[USER@]HOST[:PORT]", help="Management host.")
@click.option("--ssh-key", metavar="FILE", type=click.Path(), help="Private key.")
@click.option("--ssh-known-hosts", metavar="FILE", type=click.Path(), help="Trusted host keys.")
@click.option(
    "--ssh-config",
    metavar="FILE",
    type=click.Path(),
    help="OpenSSH's settings, as ssh -F FILE; none: no file.",
)
@click.option("--vm", metavar="NAME", help="Incus instance, the runner.")
@click.option("--incus-project", metavar="NAME", help="Its Incus project; default: incus' current one.")
@click.option("--kubectl", metavar="COMMAND", help="kubectl's command there, as in 'k3s kubectl'.")
@click.option("--kube-context", metavar="NAME", help="Context in the runner.")
@click.option("--namespace", metavar="NS", help="For pods named without one; default: the context's.")
@click.option("--mode", metavar="MODE", help="plain, relay, or auto: relay where python3 is.")
@click.option("--listen", metavar="HOST:PORT", help="Where dap serve listens.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init_(force: bool, **given: str | None) -> None:
    from gateway.cli.commands import config as settings

    settings.init(given, force=force)


@config_.command("show", help="Every setting, its value, and where that comes from. Secrets are not shown.")
@options.json
def show_(json: bool) -> None:
    from gateway.cli.commands import config as settings

    settings.show(as_json=json)
