"""Files of containers for the page: each transfer is a few commands in the container, every one a session of its own."""
