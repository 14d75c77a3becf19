"""The chain through a relay: all sessions of a cluster over one `incus exec`."""

from gateway.backends.relay.backend import RelayBackend

__all__ = ["RelayBackend"]
