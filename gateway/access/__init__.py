"""Decides who asks and what they may do; no HTTP server is known here."""
