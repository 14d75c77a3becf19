"""The plain backend: one kubectl for each session."""
