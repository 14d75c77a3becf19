"""Defines which settings there are, and finds where each value came from."""
