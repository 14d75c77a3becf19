"""The Python client of a gateway, which `dap` stands on."""
