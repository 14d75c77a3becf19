"""tcp HOST PORT: carries bytes between stdin, stdout and a TCP connection, as `nc` does."""

import os
import socket
import sys
import threading

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))


def copy() -> None:
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


threading.Thread(target=copy, daemon=True).start()
while data := connection.recv(65536):
    os.write(1, data)
