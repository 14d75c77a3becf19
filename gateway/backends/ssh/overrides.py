"""Makes asyncssh 2.24 accept text of a host that is not ASCII or UTF-8, and spend less on each packet.

Each override of a method does what the method of asyncssh that it replaces does, but for the decoding.
"""

import asyncssh
from asyncssh import auth
from asyncssh.packet import SSHPacket, SSHPacketLogger

_LONGEST = 255  # bytes of a version line (RFC 4253, 4.2)


def take_any_version(conn: asyncssh.SSHClientConnection) -> None:
    """Makes the connection accept a version line with any bytes, as sshd's VersionAddendum may have: asyncssh decodes
    the line as ASCII, for a name that is only shown.
    """
    usual = conn._recv_version

    def recv_version() -> bool:
        line, end, rest = conn._inpbuf.partition(b"\n")
        line = line.removesuffix(b"\r")
        if not (end and line.startswith(b"SSH-2.0-")) or line.isascii() or len(line) > _LONGEST:
            return usual()
        conn._inpbuf, conn._server_version = rest, line
        conn.set_extra_info(server_version=line.decode("utf-8", "replace"))
        conn._send_kexinit()
        conn._kexinit_sent = True
        conn._recv_handler = conn._recv_pkthdr
        return True

    conn._recv_handler = recv_version


def say_nothing_of_packets(handler: SSHPacketLogger) -> None:
    """Makes a connection or a channel leave out its words on each packet, which asyncssh composes for a level of its log
    that no gateway has: a tenth of what a packet costs.
    """
    handler.log_sent_packet = handler.log_received_packet = _nothing  # type: ignore[method-assign, assignment]


def _nothing(*_: object) -> None:
    pass


class _KeyboardInteractive(auth._ClientKbdIntAuth):
    """Keyboard-interactive whose questions may be any bytes (RFC 4256, 3.2, says UTF-8; PAM modules do not ask)."""

    def _process_info_request(self, _kind: int, _id: int, packet: SSHPacket) -> None:
        name, instructions, language = (packet.get_string().decode("utf-8", "replace") for _ in range(3))
        prompts = []
        for _ in range(packet.get_uint32()):
            question = packet.get_string().decode("utf-8", "replace")
            prompts.append((question, packet.get_boolean()))
        self.create_task(self._receive_challenge(name, instructions, language, prompts))

    _packet_handlers = {auth.MSG_USERAUTH_INFO_REQUEST: _process_info_request}  # noqa: RUF012  # as asyncssh has it


auth._client_auth_handlers[b"keyboard-interactive"] = _KeyboardInteractive
