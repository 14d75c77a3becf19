"""Runs `dap`: prints each command's last message and exits with its status."""

import os
import sys
import traceback

import click

from gateway.cli import options
from gateway.cli.app import dap
from gateway.cli.console import say
from gateway.client.exit_status import HOP_FAILED, USAGE, GatewayFailed
from gateway.errors import ConfigError, DapError, why
from gateway.masking import mask
from gateway.protocol.errors import BadRequest


def main() -> None:
    """Runs the command line and exits the process. Every error that is no defect of ours ends as one line and
    an exit status.
    """
    _fill_standard_descriptors()
    arguments, command = options.split(sys.argv[1:])
    try:
        status = dap.main(arguments, prog_name="dap", obj=command, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        status = error.exit_code
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
    except (KeyboardInterrupt, click.Abort):  # click makes an Abort of Ctrl-C, and of Ctrl-D at a question
        status = 130
    except Exception as error:  # noqa: BLE001  # a defect: told like everything else, in full with python -X dev
        if sys.flags.dev_mode:
            print(mask(traceback.format_exc()), file=sys.stderr)
        said = f"{type(error).__name__}: {mask(str(error))}"
        say(f"client: a defect of dap: {said} (python -X dev -m gateway shows where)")
        status = HOP_FAILED
    sys.exit(status)


def _fill_standard_descriptors() -> None:
    """Opens /dev/null for each of descriptors 0 to 2 that is closed: a command started so must not find a
    socket of ours in their place.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
