"""Reaches a cluster with one kubectl in the runner for each session."""
