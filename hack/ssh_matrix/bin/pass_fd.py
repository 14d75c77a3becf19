"""pass_fd HOST PORT: passes a connected socket over stdout, as ssh's ProxyUseFdpass wants it."""

import socket
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
with socket.socket(fileno=1) as stdout:
    socket.send_fds(stdout, [b"\0"], [connection.fileno()])
