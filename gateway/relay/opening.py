"""Opens a WebSocket to the cluster's API through kubectl proxy: joins the proxy, connects, sends the handshake, and reads
the answer.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import handshake, websocket
from .frame_writer import FrameWriter
from .loop import OwnLoop, Timer
from .proxy import Generation, Proxies
from .remote_request import RemoteRequest

READ = 65536  # bytes
_FULL = 0.02  # seconds between attempts where many others want to connect too


class Opening:
    """Opens what `request` asks for, once `begin` is called, and calls `opened` with the bytes that came behind the answer,
    or `failed` with what EXIT says, at once or later. `writer` writes to the connection.
    """

    def __init__(
        self,
        loop: OwnLoop,
        proxies: Proxies,
        request: RemoteRequest,
        writer: FrameWriter,
        opened: Callable[[bytes], None],
        failed: Callable[[dict[str, Any]], None],
    ) -> None:
        self.socket: socket.socket | None = None
        self.protocol = ""  # the one that the server chose
        self._loop = loop
        self._proxies = proxies
        self._request = request
        self._writer = writer
        self._opened = opened
        self._failed = failed
        self._generation: Generation | None = None
        self._again = True  # where a proxy refuses
        self._closed = False
        self._key = websocket.new_key()
        self._came = b""  # of the answer's head; then of a refusal's body
        self._answer: handshake.Answer | None = None
        self._timer: Timer | None = None

    @property
    def generation(self) -> int:
        """Returns the number of the proxy's generation; 0 before there is one."""
        return self._generation.number if self._generation else 0

    @property
    def proxy_end(self) -> dict[str, Any]:
        """Returns `proxy`, how the proxy has ended; nothing where it runs."""
        result = self._generation.command.result if self._generation else None
        return {"proxy": result} if result else {}

    def begin(self) -> None:
        """Begins to connect."""
        late = {"error": f"no answer within {self._request.answer:g} s", "errno": errno.ETIMEDOUT}
        self._timer = self._loop.later(self._request.answer, lambda: self._failed(late))
        self._join()

    def close(self) -> None:
        """Closes the connection, or gives up opening one."""
        if self._timer:
            self._timer.cancel()
        self._disconnect()
        if self._generation:
            self._generation.leave(self)
        self._closed = True

    # what the proxy calls

    def reach(self, path: str) -> None:
        """Connects to the proxy, which listens on the socket `path`."""
        try:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:  # no descriptors left: it is nobody else's, whose proxy this is, too
            self._failed({"error": os.strerror(error.errno or errno.EIO), "errno": error.errno})
            return
        self.socket.setblocking(False)
        number = self.socket.connect_ex(path)
        if number == errno.EAGAIN:  # its backlog is full
            self._disconnect()
            self._loop.later(_FULL, lambda: None if self._closed else self.reach(path))
        elif number:
            self._disconnect()
            self._unreached(os.strerror(number))
        else:
            request = self._request
            head = handshake.request(request.path, request.protocols, request.headers, self._key)
            self._loop.readable(self.socket.fileno(), self._read)
            self._writer.open(self.socket.fileno(), head)

    def refuse(self, why: dict[str, Any]) -> None:
        """Takes the reason why the proxy does not listen."""
        self._failed({"error": "kubectl proxy does not listen", "proxy": why})

    def tell_replaced(self) -> None:
        """Does nothing: a command goes on in the cluster where it began."""

    def _join(self) -> None:
        generation = self._proxies.current(self._request.proxy)
        if self._request.generation not in (0, generation.number):
            self._failed({"error": "another proxy is there now", "other": generation.number})
            return
        self._generation = generation
        generation.join(self)

    def _unreached(self, why: str) -> None:
        """Tries the next proxy, once, where one has ended, which is not known yet."""
        generation, self._generation = self._generation, None
        if generation is None or not self._again:
            self.refuse({"error": why})
            return
        self._again = False
        generation.retire()
        generation.leave(self)
        self._join()

    # the answer

    def _read(self) -> None:
        assert self.socket
        try:
            data = self.socket.recv(READ)
            self._take(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed({"error": f"no answer: {os.strerror(error.errno or errno.EIO)}", "lost": True})
        except websocket.FrameError as error:
            self._failed({"error": str(error), "refused": 0, "body": ""})

    def _take(self, data: bytes) -> None:
        self._came += data
        if self._answer is None and (parsed := handshake.parse(self._came)):
            self._answer, self._came = parsed
        answer = self._answer
        if answer is None:
            if not data:
                self._failed({"error": "no answer: the connection was closed", "lost": True})
        elif answer.code == handshake.SWITCHING:
            self._switch(answer)
        elif not data or len(answer.body(self._came)) >= answer.most:
            body = answer.body(self._came).decode("utf-8", "replace")
            self._failed({"error": f"HTTP {answer.code}", "refused": answer.code, "body": body})

    def _switch(self, answer: handshake.Answer) -> None:
        problem = answer.problem(self._key, self._request.protocols)
        if problem:
            self._failed({"error": problem, "refused": answer.code, "body": ""})
            return
        if self._timer:
            self._timer.cancel()
        self.protocol = answer.protocol
        self._writer.begin()
        self._opened(self._came)

    def _disconnect(self) -> None:
        if self.socket:
            with suppress(OSError):
                self._loop.close(self.socket.detach())
            self.socket = None
