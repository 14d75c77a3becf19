"""What is replaced inside asyncssh is there under these names, and does what the replacement does: look at both anew
before asyncssh's upper bound in pyproject.toml is raised.
"""

import inspect

import pytest
from asyncssh import auth, connection


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("_recv_version", ["self._inpbuf.find(b'\\n'", "self._server_version = version", "self._send_kexinit()",
                           "self._kexinit_sent = True", "self._recv_handler = self._recv_pkthdr"]),
        ("send_packet", ["pkttype: int, *args: bytes"]),
        ("log_sent_packet", ["note: str = ''"]),
        ("log_received_packet", ["note: str = ''"]),
        ("process_packet", ["pkttype: int, pktid: int", "packet: SSHPacket"]),
        ("_send_kexinit", ["self.send_packet(MSG_KEXINIT, packet[1:])"]),
        ("data_received", ["data: bytes, datatype: DataType = None"]),
        ("_process_kexinit", ["self._strict_kex = True"]),
        ("_make_global_request", ["self, request: bytes,", "return await waiter"]),
        ("validate_server_host_key", ["key_data: bytes", "-> SSHKey", "HostKeyNotVerifiable"]),
    ],
)  # fmt: skip
def test_a_method_of_the_connection_that_is_replaced(method, words):
    source = inspect.getsource(getattr(connection.SSHClientConnection, method))
    assert [word for word in words if word not in source] == []


def test_the_handler_of_keyboard_interactive_that_is_replaced():
    usual = auth._ClientKbdIntAuth
    assert usual._packet_handlers == {auth.MSG_USERAUTH_INFO_REQUEST: usual._process_info_request}
    assert "self._receive_challenge(name, instruction," in inspect.getsource(usual._process_info_request)
    assert auth._client_auth_handlers[b"keyboard-interactive"].__mro__[1] is usual
