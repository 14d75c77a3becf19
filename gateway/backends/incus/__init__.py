"""The command line of `incus exec`, and the messages of incus."""
