"""A gateway in a container: a read-only root, a uid that passwd does not know, HOME=/, the token from the environment."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import private_directory as private
from gateway.private_directory import private_directory

INSIDE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
cd /
exec unshare -U --map-user=12345 --map-group=12345 env -i HOME=/ PATH="$PATH" PYTHONPATH="$PYTHONPATH" \
  PYTHONDONTWRITEBYTECODE=1 DAP_GATEWAY_TOKEN=a-token-of-the-test DAP_GATEWAY_LISTEN=127.0.0.1:PORT sh -ec "$1" sh "$2"
"""
COMMANDS = """
python=$1
! touch /x 2>/dev/null
id -u
"$python" -m gateway serve --demo >/tmp/out 2>/tmp/err & gateway=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  grep -qs serving /tmp/out && break; sleep 0.5
done
"$python" -m gateway exec web-0 -- echo hello
"$python" -m gateway doctor
kill -KILL $gateway
cat /tmp/err
ls /tmp
"""


def usable():
    """True where namespaces can be made."""
    if os.getuid() != 0 or not shutil.which("unshare"):
        return False
    words = ("unshare", "-m", "unshare", "-U", "--map-user=1", "true")
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.timeout(90)
@pytest.mark.skipif(not usable(), reason="no namespaces can be made here")
async def test_it_starts_without_the_socket_and_says_what_is_lost():
    port = 20000 + os.getpid() % 10000
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    words = ("unshare", "-m", "sh", "-c", INSIDE.replace("PORT", str(port)), "sh", COMMANDS, sys.executable)
    process = await asyncio.create_subprocess_exec(
        *words, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()

    assert process.returncode == 0, said
    lines = said.splitlines()
    assert lines[:2] == ["12345", "hello"], said
    assert "FAIL" not in said
    for hop in ("ssh", "incus", "runner", "cluster"):
        assert re.search(rf"^PASS {hop} ", said, re.MULTILINE), said
    (socket,) = [line for line in lines if "no_local_socket" in line]
    assert "Read-only file system" in socket
    assert "TCP address" in socket
    (state,) = [line for line in lines if "state_not_kept" in line]
    assert "sign-ins of pages, and sessions, end with this process" in state


def test_what_a_killed_process_left_goes_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(private, "check_path", lambda _: None)
    script = (
        "import os, signal, tempfile\nfrom gateway import private_directory as private\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\nprivate.check_path = lambda _: None\n"
        "with private.private_directory('demo-') as made:\n"
        "  (made / 'more').mkdir(); print(made, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    left = Path(done.stdout.strip())
    assert (left / "more").is_dir()

    mine = tmp_path / "dap-database"  # somebody's own, that has the form of a name
    mine.mkdir(mode=0o700)
    old = time.time() - 3600
    os.utime(mine, (old, old))
    with private_directory() as living:
        assert left.exists(), "it might be starting"
        os.utime(left, (old, old))
        os.utime(living, (old, old))
        with private_directory("ssh-") as second:
            assert sorted(tmp_path.iterdir()) == sorted([mine, living, second])
    assert list(tmp_path.iterdir()) == [mine]
