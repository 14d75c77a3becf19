"""deaf ADDRESS PORT READY: a listener whose queue is full, so that no connection to it is answered."""

import socket
import sys
import time
from pathlib import Path

address = (sys.argv[1], int(sys.argv[2]))
listener = socket.create_server(address, backlog=0)
waiting = []
for _ in range(4):
    waiting.append(socket.socket())
    waiting[-1].setblocking(False)
    waiting[-1].connect_ex(address)
time.sleep(0.2)
Path(sys.argv[3]).touch()
time.sleep(120)
