"""A WebSocket and the session that is attached to it."""
