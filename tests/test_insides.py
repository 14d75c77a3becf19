"""What is used inside aiohttp and websockets is there under these names, and does what is built on it: look at both anew
before aiohttp's upper bound in pyproject.toml is raised. Of asyncssh: tests/backends/ssh/test_overrides.py.
"""

import inspect
import sys
from asyncio.sslproto import SSLProtocol, _SSLProtocolTransport
from pathlib import Path

from aiohttp import web
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.http_writer import StreamWriter
from websockets.asyncio.client import ClientConnection

import gateway


def test_receive_answers_what_breaks_the_rules_with_close():
    """gateway/server/websocket/socket.py takes the code from there."""
    source = inspect.getsource(web.WebSocketResponse.receive)
    assert "except WebSocketError as exc:" in source
    assert "await self.close(code=exc.code)" in source


def test_any_byte_of_a_client_passes_one_method():
    """gateway/client/connection.py: a sign of life."""
    assert list(inspect.signature(ClientConnection.data_received).parameters) == ["self", "data"]


def test_asyncio_counts_on_these_of_a_tls_protocol():
    """gateway/server/tls.py: the buffer's size is a class attribute, nobody need wait for the handshake, and a connection
    is told of its end only if it was told of its beginning.
    """
    source = inspect.getsource(SSLProtocol)
    assert "self._ssl_buffer = bytearray(self.max_size)" in source
    assert "if self._waiter is None:" in source
    assert "self._start_handshake()" in inspect.getsource(SSLProtocol.connection_made)


def test_an_answer_can_keep_its_head_for_its_body():
    """gateway/server/routes/kube_api.py: a short answer is one write."""
    assert web.StreamResponse._send_headers_immediately is True
    assert "if self._send_headers_immediately:" in inspect.getsource(web.StreamResponse._write_headers)
    assert "self._headers_buf = buf\n" in inspect.getsource(StreamWriter.write_headers)


def test_a_large_frame_has_a_head_of_its_own():
    """gateway/server/websocket/socket.py writes the two together, and otherwise as this does."""
    source = inspect.getsource(WebSocketWriter._write_websocket_frame)
    assert "first_byte = 0x80 | rsv | opcode" in source
    assert "elif msg_length > MSG_SIZE:\n            self.transport.write(header)" in source
    assert "self._output_size += header_len + msg_length" in source


def test_all_who_write_to_a_client_wait_for_one_future():
    """gateway/server/drain.py does the same with a future that nobody's cancellation reaches."""
    source = inspect.getsource(sys.modules["aiohttp.base_protocol"])
    assert (
        "            waiter = self._loop.create_future()\n            self._drain_waiter = waiter\n        await waiter\n"
        in source
    )
    assert "await self.protocol._drain_helper()" in inspect.getsource(WebSocketWriter.send_frame)
    assert "await protocol._drain_helper()" in inspect.getsource(StreamWriter.drain)


def test_nobody_writes_with_writelines():
    """Of Python 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1 it holds nobody back (CVE-2024-12254): what a slow client does not
    read fills the memory.
    """
    files = Path(gateway.__file__).parent.rglob("*.py")
    assert [file.name for file in files if "writelines(" in file.read_text()] == []


def test_what_comes_behind_a_body_waits_with_a_body_of_its_own():
    """gateway/server/broken_body.py: nothing can come behind a body that has not ended, unless it is broken."""
    source = inspect.getsource(sys.modules["aiohttp.web_protocol"].RequestHandler)
    assert "self._messages.append((msg, payload))" in source
    assert (
        "messages = [\n                    (_ErrInfo(status=400, exc=exc, message=exc.message), EMPTY_PAYLOAD)"
        in source
    )
    assert "self._current_request = request" in source


def test_a_second_close_with_tls_forgets_the_connection():
    """gateway/server/close_once.py: what the connection does not need, since its end forgets it, too."""
    assert "else:\n            self._ssl_protocol = None" in inspect.getsource(_SSLProtocolTransport)
    assert "self._app_transport = None" in inspect.getsource(SSLProtocol.connection_lost)
