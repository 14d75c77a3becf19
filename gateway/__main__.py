"""`python -m gateway` is `dap`."""

from gateway.cli.main import main

main()
