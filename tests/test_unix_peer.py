"""Who is at the other end of a Unix socket, and that `dap` talks to nobody else's."""

import os
import pwd
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway import peer_credentials, unix_peer
from gateway.errors import ConfigError

LISTEN = """
import os, socket, sys
os.setgid({gid}); os.setuid({uid})
one = socket.socket(socket.AF_UNIX); one.bind(sys.argv[1]); one.listen()
print("listens", flush=True); sys.stdin.read()
"""


def test_the_kernel_tells_both_ends_of_each_other(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "one"))
        listening.listen()
        with unix_peer.connect(tmp_path / "one", 5) as here, listening.accept()[0] as there:
            for end in (here, there):
                assert (peer_credentials.peer_pid(end), peer_credentials.peer_uid(end)) == (
                    os.getpid(),
                    os.getuid(),
                )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can listen as somebody else")
def test_a_socket_of_somebody_elses_is_not_talked_to():
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as theirs:
        os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
        refuses(Path(theirs) / "gateway.sock", nobody)


def refuses(path, nobody):
    script = LISTEN.format(uid=nobody.pw_uid, gid=nobody.pw_gid)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as theirs:
        try:
            assert theirs.stdout.readline() == b"listens\n"
            with pytest.raises(ConfigError, match=f"a process of uid {nobody.pw_uid} listens there"):
                unix_peer.connect(path, 5)
        finally:
            theirs.stdin.close()
            theirs.wait(10)


def test_macos_has_calls_of_its_own(monkeypatch):
    """The kernel gives struct xucred, 76 bytes: version, uid, number of groups, sixteen groups (xnu, bsd/sys/ucred.h)."""
    asked = []

    def getsockopt(level, option, size=0):
        asked.append((level, option, size))
        return struct.pack("=Iih2x16i", 0, 501, 1, 20, *[0] * 15) if size else 4711

    monkeypatch.setattr(peer_credentials, "sys", SimpleNamespace(platform="darwin"))
    sock = SimpleNamespace(getsockopt=getsockopt)

    assert (peer_credentials.peer_uid(sock), peer_credentials.peer_pid(sock)) == (501, 4711)
    assert asked == [(0, 1, 76), (0, 2, 0)]
