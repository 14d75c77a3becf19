"""Serves as `kubectl proxy` on a Unix socket: the invented cluster's API, as far as the gateway reads it."""

import http.server
import json
import os
import re
import signal
import socketserver
import sys

from .cluster import RefusedError
from .get import answer

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WORDS = re.compile(r"Error from server \((\w+)\): (?:(?P<kind>\S+) \"(?P<name>[^\"]+)\" not found)?(.*)")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    accepted = re.compile("")

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if not self.accepted.match(path):
            self._say(403, "text/plain", b"Forbidden\n")
        elif "watch=true" in query:
            self._watch()
        else:
            self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != _REVIEW:
            self._refuse(
                RefusedError("Error from server (MethodNotAllowed): the demo's cluster is as it is"), 405
            )
            return
        self._say_json(201, {**json.loads(body), "status": {"allowed": True}})

    def log_message(self, *_: object) -> None:
        """Logs nothing: nobody reads it."""

    def address_string(self) -> str:
        return ""

    def _answer(self) -> None:
        try:
            found = answer(self.path)
        except RefusedError as error:
            self._refuse(error, 404)
            return
        if isinstance(found, str):
            self._say(200, "text/plain", found.encode())
        else:
            self._say_json(200, found)

    def _watch(self) -> None:
        """Answers a watch without events, since nothing happens to the demo's pods, until the client has seen
        enough.
        """
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.flush()
        self.connection.recv(1)

    def _refuse(self, error: RefusedError, code: int) -> None:
        words = str(error)
        found = _WORDS.match(words)
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        message = words.partition("): ")[2] or words
        status |= {"message": message, "reason": found[1] if found else "InternalError"}
        details = {"name": found["name"], "kind": found["kind"]} if found and found["name"] else {}
        self._say_json(code, {**status, **({"details": details} if details else {}), "code": code})

    def _say_json(self, code: int, body: object) -> None:
        self._say(code, "application/json", json.dumps(body, separators=(",", ":")).encode() + b"\n")

    def _say(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(path: str, accepted: str) -> None:
    """Serves the paths that match the expression `accepted` until a signal ends it; like kubectl, it leaves its socket
    behind, and outlives a client that closes in the middle of an answer. Raises RefusedError.
    """
    if not path:
        raise RefusedError("error: the demo's kubectl listens on a Unix socket only")
    if os.path.exists(path):  # noqa: PTH110
        os.unlink(path)  # noqa: PTH108
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as in Go, for all but stdout and stderr
    _Handler.accepted = re.compile(accepted)
    mask = os.umask(0o077)
    server = _Server(path, _Handler)
    os.umask(mask)
    sys.stdout.write(f"Starting to serve on {path}\n")
    sys.stdout.flush()
    server.serve_forever()
