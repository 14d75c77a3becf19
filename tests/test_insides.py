"""What is used inside aiohttp and websockets is there under these names, and does what is built on it: look at both anew
before aiohttp's upper bound in pyproject.toml is raised. Of asyncssh: tests/backends/ssh/test_overrides.py.
"""

import inspect

from aiohttp import web
from websockets.asyncio.client import ClientConnection


def test_receive_answers_what_breaks_the_rules_with_close():
    """gateway/server/websocket/socket.py takes the code from there."""
    source = inspect.getsource(web.WebSocketResponse.receive)
    assert "except WebSocketError as exc:" in source
    assert "await self.close(code=exc.code)" in source


def test_any_byte_of_a_client_passes_one_method():
    """gateway/client/connection.py: a sign of life."""
    assert list(inspect.signature(ClientConnection.data_received).parameters) == ["self", "data"]
