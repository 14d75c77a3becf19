"""Compares the algorithms that both sides of a key exchange offer (RFC 4253, 7.1).

sshd closes a connection without a word where it has nothing in common with the client, and asyncssh may see the end
of the connection first: only the two offers tell why.
"""

from asyncssh.packet import PacketDecodeError, SSHPacket

from gateway.backends.ssh.foreign_text import shown

KEXINIT = 20  # SSH_MSG_KEXINIT
_COOKIE = 16  # bytes
_MOST = 1000  # characters of a list of the host's
_LISTS = ("key exchange method", "type of host key", "cipher", "cipher", "MAC", "MAC")
_WITH_MAC = ("gcm", "poly1305")  # ciphers that need no separate MAC


def nothing_in_common(ours: bytes, theirs: bytes) -> str:
    """Returns the first kind of algorithm that two KEXINIT payloads, without their first byte, have none of in
    common, and what the host has of that kind; empty where every kind matches or a payload cannot be read.
    """
    try:
        mine, others = _lists(ours), _lists(theirs)
    except PacketDecodeError:
        return ""
    for name, sent, received in zip(_LISTS, mine, others, strict=True):
        chosen = next((one for one in sent if one in received), "")
        if not chosen:
            return (
                f"no {name} in common with your ssh settings: the host has {shown(','.join(received), _MOST)}"
            )
        if name == "cipher" and any(part in chosen for part in _WITH_MAC):
            break
    return ""


def _lists(payload: bytes) -> list[list[str]]:
    packet = SSHPacket(payload)
    packet.get_bytes(_COOKIE)
    return [[name.decode("ascii", "replace") for name in packet.get_namelist()] for _ in _LISTS]
