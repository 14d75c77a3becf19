"""The commands of `dap`, one module each."""
