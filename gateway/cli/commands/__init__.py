"""Holds the commands of `dap`, one module each."""
