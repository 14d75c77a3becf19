"""Copies files between this machine and containers, which `copying` reads and writes: `download`, `upload`."""
