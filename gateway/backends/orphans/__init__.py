"""Finds and ends what a session left in its container."""
