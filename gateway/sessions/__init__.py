"""Runs sessions: a session lives from the request for a command to the command's outcome."""
