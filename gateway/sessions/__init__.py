"""What lives from the first request of a command to its outcome."""
