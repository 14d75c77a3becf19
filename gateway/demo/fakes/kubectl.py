"""Stands in for kubectl 1.36: `exec` in an invented cluster runs the command on this machine."""
# ruff: noqa: SIM105 - contextlib is slow to import

import os
import signal
import sys

from .arguments import Arguments, UsageError
from .cluster import RefusedError, find_container, find_pod
from .config import config, namespace
from .container import Container, StartError, exit_code

_RUNTIME = (
    "error: Internal error occurred: Internal error occurred: error executing command in container: "
    'failed to exec in container: failed to start exec "{exec_id}": OCI runtime exec failed: exec failed: '
    "unable to start container process: {why}: unknown"
)
_NO_TERMINAL = "Unable to use a TTY - input is not a terminal or the right kind of file"
_NOT_SUPPORTED = (
    "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n"
    "See 'kubectl exec -h' for help and examples"
)
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str], pods: str, programs: str) -> int:
    """Runs kubectl and returns its exit status. `pods` and `programs` are the demo's directories of these
    names.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return _run(Arguments(arguments), pods, programs)
    except (RefusedError, UsageError) as error:
        _say(str(error))
    except StartError as error:
        _say(_RUNTIME.format(exec_id=os.urandom(32).hex(), why=error))
    return 1


def _say(words: str) -> None:
    os.write(2, f"{words}\n".encode(errors="surrogateescape"))


def _run(arguments: Arguments, pods: str, programs: str) -> int:
    verb = arguments.words[0] if arguments.words else ""
    if verb == "exec":
        return _exec(arguments, pods, programs)
    if verb == "attach":
        return _attach(arguments)
    if verb == "get":
        from .get import get  # noqa: PLC0415 - a session need not wait for json

        sys.stdout.write(get(arguments))
        return 0
    if verb == "config":
        sys.stdout.write(config(arguments))
        return 0
    if verb == "proxy":
        from .proxy import serve  # noqa: PLC0415 - nor for a web server

        serve(arguments.value("--unix-socket"), arguments.value("--accept-paths", "^.*"), (pods, programs))
        return 0
    if verb == "version":
        print("Client Version: v1.36.0-demo\nServer Version: v1.36.0-demo")  # noqa: T201
        return 0
    raise RefusedError(f'Error: unknown command "{verb}" for "kubectl"')


def _exec(arguments: Arguments, pods: str, programs: str) -> int:
    _, reference, *more = [*arguments.words, "", ""]
    if not reference:
        raise RefusedError("error: pod, type/name or --filename must be specified")
    if more[0] and arguments.command is None:
        raise RefusedError(_NOT_SUPPORTED)
    command = [word for word in more if word] + (arguments.command or [])
    if not command:
        raise RefusedError("error: you must specify at least one command for the container")
    pod = find_pod(namespace(arguments), reference)
    container = Container(pod, find_container(pod, arguments.value("--container")), pods, programs)
    stdin = arguments.switch("--stdin")
    terminal = stdin and arguments.switch("--tty")  # kubectl gives no terminal without input
    if terminal and not os.isatty(0):
        terminal = False
        if not arguments.switch("--quiet"):
            _say(_NO_TERMINAL)
    code = _in_terminal(container, command) if terminal else _on_pipes(container, command, stdin=stdin)
    if code is None:
        return 1
    if code:
        _say(f"command terminated with exit code {code}")
    return code


def _in_terminal(container: Container, command: list[str]) -> int | None:
    """Returns the exit code, or None when the terminal has hung up or a signal has ended us: no message then."""
    from .terminal import HangupError, run_in_terminal  # noqa: PLC0415 - nor for this, without a terminal

    try:
        return run_in_terminal(container, command)
    except HangupError:
        return None


def _on_pipes(container: Container, command: list[str], *, stdin: bool) -> int:
    """Runs the command with our own stdin, stdout and stderr, so that we are in nobody's way; returns its
    exit code.
    """
    source = 0 if stdin else os.open(os.devnull, os.O_RDONLY)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until the command can be told
    pid = container.start(command, (source, 1, 2), terminal=False)

    def end(number: int, _frame: object) -> None:
        try:
            os.killpg(pid, signal.SIGHUP)
        except ProcessLookupError:
            pass
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in _ENDING:
        signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    _, status = os.waitpid(pid, 0)
    return exit_code(status)


def _attach(arguments: Arguments) -> int:
    _, reference, *_ = [*arguments.words, ""]
    if not reference:
        raise RefusedError("error: at least 1 argument is required for attach")
    pod = find_pod(namespace(arguments), reference)
    name = arguments.value("--container") or pod.default
    if name not in pod.containers:
        raise RefusedError(
            f"error: cannot attach to the container: container {name} not found in pod {pod.name}"
        )
    if arguments.switch("--tty"):
        raise RefusedError(f"error: Unable to use a TTY - container {name} did not allocate one")
    raise RefusedError("error: Internal error occurred: the demo's containers have no process to attach to")
