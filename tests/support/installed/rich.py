"""Stands before the rich that a tool of this repository brings along: `dap` as people install it has none, and structlog
would import it at each start.
"""

raise ImportError("not where dap is installed by itself")
