"""Asks the Kubernetes API as a client, and interprets kubectl's texts and exit codes."""
