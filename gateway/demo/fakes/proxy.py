"""Serves as `kubectl proxy` on a Unix socket: the invented cluster's API, as far as the gateway reads it."""

import http.server
import json
import os
import re
import select
import signal
import socketserver
import sys
from urllib.parse import parse_qs

from . import websocket
from .api import answer, parameters
from .cluster import RefusedError, pod_named
from .container import Container
from .logs import log
from .portforward import PROTOCOL, Forwarding
from .remote import PROTOCOLS, Remote
from .table import table, wanted
from .watch import BOOKMARK, Watch

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from .objects import Object

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_LOG = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log")
_REMOTE = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/(exec|attach)")
_FORWARD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/portforward")
_CODES = {"BadRequest": 400, "NotFound": 404, "MethodNotAllowed": 405}
_WORDS = re.compile(r"Error from server \((\w+)\): (?:(?P<kind>\S+) \"(?P<name>[^\"]+)\" not found)?(.*)")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    accepted = re.compile("")
    places = ("", "")  # where the containers' directories and the stand-ins are

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if not self.accepted.match(path):
            self._say(403, "text/plain", b"Forbidden\n")
            return
        try:
            if named := _LOG.fullmatch(path):
                self._log(named[1], named[2], parameters(query))
            elif named := _REMOTE.fullmatch(path):
                self._remote(named[1], named[2], named[3], query)
            elif "watch=true" in query or "watch=1" in query:
                self._watch(Watch(self.path, self._shown))
            else:
                self._answer()
        except RefusedError as error:
            self._refuse(error)

    def do_POST(self) -> None:
        if named := _FORWARD.fullmatch(self.path):
            try:
                self._forward(named[1], named[2])
            except RefusedError as error:
                self._refuse(error)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != _REVIEW:
            self._refuse(RefusedError("Error from server (MethodNotAllowed): the demo's cluster is as it is"))
            return
        self._say_json(201, {**json.loads(body), "status": {"allowed": True}})

    def log_message(self, *_: object) -> None:
        """Logs nothing: nobody reads it."""

    def address_string(self) -> str:
        return ""

    def _shown(self, value: "Object") -> "Object":
        """Returns an object or list in the form that the client asked for."""
        return table(value) if wanted(self.headers.get("Accept", "")) else value

    def _answer(self) -> None:
        found = answer(self.path)
        if isinstance(found, str):
            self._say(200, "text/plain", found.encode())
        else:
            self._say_json(200, self._shown(found))

    def _log(self, namespace: str, name: str, query: "dict[str, str]") -> None:
        """Sends a container's log; of one that is followed no more comes."""
        text = log(namespace, name, query).encode()
        if query.get("follow") != "true":
            self._say(200, "text/plain", text)
            return
        self._begin("text/plain")
        self._part(text)
        self._gone(None)

    def _remote(self, namespace: str, name: str, verb: str, query: str) -> None:
        """Runs a command in a container, over WebSocket."""
        pod, asked = pod_named(namespace, name), parse_qs(query, keep_blank_values=True)
        container, choice = asked.get("container", [""])[0], " ".join(pod.containers)
        if not container and len(pod.containers) > 1:
            raise _bad(f"a container name must be specified for pod {name}, choose one of: [{choice}]")
        if container not in ("", *pod.containers):
            raise _bad(f"container {container} is not valid for pod {name}")
        offered = re.split(r",\s*", self.headers.get("Sec-WebSocket-Protocol", ""))
        spoken = next((one for one in offered if one in PROTOCOLS), None)
        if self.headers.get("Upgrade", "").lower() != "websocket" or not spoken:
            raise _bad("Upgrade request required")
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept(self.headers["Sec-WebSocket-Key"]))
        self.send_header("Sec-WebSocket-Protocol", spoken)
        self.end_headers()
        wanted = {one for one in ("stdin", "stdout", "stderr", "tty") if asked.get(one) == ["true"]}
        remote = Remote(self.connection, wanted)
        if verb == "exec":
            remote.run(Container(pod, container or pod.default, *self.places), asked["command"])
        else:
            remote.fail("the demo's containers have no process to attach to")

    def _forward(self, namespace: str, name: str) -> None:
        """Forwards ports to the same ones of this machine."""
        answer(f"/api/v1/namespaces/{namespace}/pods/{name}")
        if self.headers.get("Upgrade") != PROTOCOL:
            raise RefusedError(f"Error from server (BadRequest): ports are forwarded with {PROTOCOL}")
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", PROTOCOL)
        self.send_header("Connection", "Upgrade")
        self.send_header("X-Stream-Protocol-Version", "portforward.k8s.io")
        self.end_headers()
        Forwarding(self.connection, name).run()

    def _watch(self, watch: Watch) -> None:
        """Sends the events of a watch until its time is over or the client has seen enough."""
        self._begin("application/json")
        for event in watch.begin():
            self._part(_json(event))
        left = watch.seconds
        while left is None or left > 0:
            pause = min(filter(None, (left, BOOKMARK)))
            if self._gone(pause):
                return
            left = left - pause if left else None
            if watch.bookmarks:
                self._part(_json(watch.bookmark()))
        self._part(b"")

    def _begin(self, kind: str) -> None:
        """Begins an answer whose length nobody knows."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _part(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _gone(self, seconds: "float | None") -> bool:
        """Waits until the client has left. False after these seconds without that."""
        return bool(select.select([self.connection], [], [], seconds)[0])

    def _refuse(self, error: RefusedError) -> None:
        words = str(error)
        found = _WORDS.match(words)
        code = _CODES.get(found[1], 500) if found else 500
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        message = words.partition("): ")[2] or words
        status |= {"message": message, "reason": found[1] if found else "InternalError"}
        details = {"name": found["name"], "kind": found["kind"]} if found and found["name"] else {}
        self._say_json(code, {**status, **({"details": details} if details else {}), "code": code})

    def _say_json(self, code: int, body: object) -> None:
        self._say(code, "application/json", _json(body))

    def _say(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _bad(why: str) -> RefusedError:
    return RefusedError(f"Error from server (BadRequest): {why}")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def serve(path: str, accepted: str, places: "tuple[str, str]") -> None:
    """Serves the paths that match the expression `accepted` until a signal ends it; like kubectl, it leaves its socket
    behind, and outlives a client that closes in the middle of an answer. Raises RefusedError.
    """
    if not path:
        raise RefusedError("error: the demo's kubectl listens on a Unix socket only")
    if os.path.exists(path):  # noqa: PTH110
        os.unlink(path)  # noqa: PTH108
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as in Go, for all but stdout and stderr
    _Handler.accepted, _Handler.places = re.compile(accepted), places
    mask = os.umask(0o077)
    server = _Server(path, _Handler)
    os.umask(mask)
    sys.stdout.write(f"Starting to serve on {path}\n")
    sys.stdout.flush()
    server.serve_forever()
