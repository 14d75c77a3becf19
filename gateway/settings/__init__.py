"""Which settings there are, and where each value came from."""
