"""Handles the local terminal and pipes."""
