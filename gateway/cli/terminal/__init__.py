"""The local terminal and pipes."""
