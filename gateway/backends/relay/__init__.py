"""Carries all sessions of a cluster over one `incus exec`, through a relay in the runner."""

from gateway.backends.relay.backend import RelayBackend

__all__ = ["RelayBackend"]
