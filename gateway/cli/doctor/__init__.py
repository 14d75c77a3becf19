"""Holds the checks of `dap doctor` that need no gateway."""
