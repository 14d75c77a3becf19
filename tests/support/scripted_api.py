"""An API server behind a kubectl proxy that does what the query of a request says, or what a file beside the program has
for its path or the proxy's socket: what no real one does on demand.
"""

import json
import struct
from base64 import urlsafe_b64encode
from typing import Any

# Steps: ["open"] answers 101; ["send", hex]; ["tell"] sends what has come of the client's frames as output; ["await", n]
# reads until n frames have come; ["sleep", seconds]; ["end"] closes. The last one without "end" waits for the client.
PROGRAM = """#!{python} -IS
import base64, hashlib, json, os, socket, struct, sys, threading, time
path = sys.argv[-1].partition("=")[2]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
print("Starting to serve on", path, flush=True)
class Peer:
    def __init__(self, one):
        self.one, self.data, self.frames = one, b"", []
    def more(self):
        data = self.one.recv(65536)
        self.data += data
        return data
    def take(self):
        while len(self.data) >= 6:
            first, size, at = self.data[0], self.data[1] & 127, 2
            for mark, length in ((126, 2), (127, 8)):
                if self.data[1] & 127 == mark:
                    size, at = int.from_bytes(self.data[2 : 2 + length], "big"), 2 + length
            if len(self.data) < at + 4 + size:
                return
            key, body = self.data[at : at + 4], self.data[at + 4 : at + 4 + size]
            self.frames.append([first, self.data[1] >> 7, key.hex(), body.hex()])
            self.data = self.data[at + 4 + size :]
    def until(self, count):
        while len(self.frames) < count and self.more():
            self.take()
    def send(self, channel, body):
        body = bytes([channel]) + body
        size = bytes([len(body)]) if len(body) < 126 else b"\\x7e" + struct.pack(">H", len(body))
        self.one.sendall(b"\\x82" + size + body)
def serve(one):
    peer = Peer(one)
    while b"\\r\\n\\r\\n" not in peer.data and peer.more():
        pass
    head, _, peer.data = peer.data.partition(b"\\r\\n\\r\\n")
    path, _, query = head.split(b" ")[1].partition(b"?")
    if os.path.exists(sys.argv[0] + ".json"):
        known = json.load(open(sys.argv[0] + ".json"))
        steps = next(known[name] for name in known if name.encode() in path or name in sys.argv[-1])
    else:
        steps = json.loads(base64.urlsafe_b64decode(query))
    fields = dict(line.partition(b": ")[::2] for line in head.split(b"\\r\\n")[1:])
    for name, *words in steps:
        if name == "open":
            key = base64.b64encode(hashlib.sha1(fields[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            first = fields[b"Sec-WebSocket-Protocol"].split(b",")[0]
            one.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: "
                        + key + b"\\r\\nSec-WebSocket-Protocol: " + (words[0].encode() if words else first) + b"\\r\\n\\r\\n")
        elif name == "send":
            one.sendall(bytes.fromhex(words[0]))
        elif name == "await":
            peer.until(words[0])
        elif name == "tell":
            peer.send(1, json.dumps(peer.frames).encode())
        elif name == "head":
            peer.send(1, head)
        elif name == "sleep":
            time.sleep(words[0])
        elif name == "die":
            os._exit(1)
        elif name == "end":
            one.close()
            return
    try:
        while one.recv(65536):
            pass
    except OSError:
        pass
    one.close()
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
SUCCESS = b'{"metadata":{},"status":"Success"}'


def path(*steps: list[Any]) -> str:
    """The path of a request that is answered with these steps."""
    return "/api?" + urlsafe_b64encode(json.dumps(steps).encode()).decode()


def frame(body: bytes, *, first: int = 0x82) -> bytes:
    """A server's frame."""
    size = len(body)
    if size < 126:
        return bytes([first, size]) + body
    long = struct.pack(">BH", 126, size) if size < 1 << 16 else struct.pack(">BQ", 127, size)
    return bytes([first]) + long + body


def send(*frames: bytes) -> list[str]:
    """The step that sends these bytes."""
    return ["send", b"".join(frames).hex()]


def status(text: bytes = SUCCESS) -> bytes:
    """The end of a command: its Status, and a close."""
    return frame(b"\3" + text) + frame(b"\x03\xe8", first=0x88)
