"""The exec line of `incus exec`, and what incus says."""
