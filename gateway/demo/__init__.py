"""Runs the embedded default: a whole chain on this machine, without a cluster.

A real SSH server on loopback and stand-ins for `incus` and `kubectl` behind it. See WARNING.
"""

from gateway.demo.chain import WARNING, DemoSettings, demo_chain

__all__ = ["WARNING", "DemoSettings", "demo_chain"]
