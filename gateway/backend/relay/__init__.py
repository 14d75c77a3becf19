"""The chain through a relay: all sessions of a cluster over one `incus exec`."""

from gateway.backend.relay.chain import RelayChain

__all__ = ["RelayChain"]
