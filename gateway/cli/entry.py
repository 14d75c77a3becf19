"""Starts `dap`. `dap token` runs for every kubectl and begins here without what only other commands need."""

import sys

from gateway import garbage


def main() -> None:
    """Runs the command line and exits the process."""
    garbage.look_seldom()
    try:
        _run()
    finally:
        garbage.look_no_more()


def _run() -> None:
    if sys.argv[1:] == ["token"]:
        from gateway.cli import token  # noqa: PLC0415  # each starts without the other

        if token.print_fast():
            return
    from gateway.cli import main as every  # noqa: PLC0415

    every.main()
