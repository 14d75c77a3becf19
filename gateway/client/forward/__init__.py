"""Forwards ports of this machine to pods."""
