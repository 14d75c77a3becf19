"""Copies files between this machine and containers: `download`, `upload`. `container` reads and writes bytes alone."""
