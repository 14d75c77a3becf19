"""`python -m gateway` is `dap`."""

from gateway.cli.entry import main

main()
