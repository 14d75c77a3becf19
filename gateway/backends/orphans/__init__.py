"""What a session left behind: found and ended."""
