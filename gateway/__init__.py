"""Shells in pods that your machine cannot reach, through SSH and Incus."""

__version__ = "0.1.0"
