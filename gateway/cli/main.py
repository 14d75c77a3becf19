"""Runs `dap`: prints each command's last message and exits with its status."""

import io
import os
import sys
import traceback

import click

from gateway.cli import options
from gateway.cli.app import dap
from gateway.cli.console import say
from gateway.client.exit_status import HOP_FAILED, USAGE
from gateway.errors import ConfigError, DapError, first, why
from gateway.masking import mask
from gateway.protocol.errors import BadRequest

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line and exits the process. Every error that is no defect of ours ends as one line and
    an exit status.
    """
    _fill_standard_descriptors()
    _escape_what_no_encoding_has()
    arguments, command = options.split(sys.argv[1:])
    try:
        _check_text(arguments)
        status = dap.main(arguments, prog_name="dap", obj=command, standalone_mode=False) or 0
    except BaseExceptionGroup as errors:  # of the server's tasks
        status = _explain(first(errors))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # a defect too is told like everything else
        status = _explain(error)
    sys.exit(_flushed(status))


def _flushed(status: int) -> int:
    """Writes what stdout still holds, and returns the exit status: another one where that fails and `status` was 0.
    Python would try again at its end, and exit with a status of its own.
    """
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or _explain(error)
    return status


def _explain(error: BaseException) -> int:
    """Prints what ended the command, and returns its exit status."""
    status = HOP_FAILED
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case ConfigError() | BadRequest():
            said, status = str(error), USAGE
        case DapError():
            said = f"{error.hop}: {error.message} ({error.code})"
        case OSError():
            said = f"client: {error.filename or 'input or output'}: {why(error)}"
        case (
            KeyboardInterrupt() | click.Abort()
        ):  # click makes an Abort of Ctrl-C, and of Ctrl-D at a question
            return _INTERRUPTED
        case _:
            said = _defect(error)
    say(said)
    return status


def _defect(error: BaseException) -> str:
    """Returns the line about a defect of ours. Prints it in full with python -X dev."""
    if sys.flags.dev_mode:
        print(mask("".join(traceback.format_exception(error))), file=sys.stderr)
    said = f"{type(error).__name__}: {mask(str(error))}"
    return f"client: a defect of dap: {said} (python -X dev -m gateway shows where)"


def _check_text(arguments: list[str]) -> None:
    """Raises BadRequest for an argument of ours whose bytes are no UTF-8: names, reasons and settings are text."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{argument!a} is not valid UTF-8: its bytes are no text") from None


def _escape_what_no_encoding_has() -> None:
    """Makes stdout write what its encoding lacks as an escape, as stderr does, where a list would fail of a name."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fill_standard_descriptors() -> None:
    """Opens /dev/null for each of descriptors 0 to 2 that is closed: a command started so must not find a
    socket of ours in their place.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
