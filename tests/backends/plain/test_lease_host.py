"""The loop on the management host, whose lines whoever is root in the runner may write."""

import secrets
import subprocess
import time
from pathlib import Path

import pytest
from support import shorter

from gateway.backends.plain import lease_protocol


@pytest.fixture
def nonce():
    """One of this test alone: pkill looks at the whole machine."""
    return secrets.token_hex(12)


@pytest.fixture
def client(tmp_path, nonce):
    """A process with the words of an incus client of ours; a file in the working directory has its nonce for a name."""
    (tmp_path / nonce).touch()
    with subprocess.Popen(["sh", "-c", "sleep 30; :", "dap", nonce, "x"], cwd=tmp_path) as one:
        yield one
        one.kill()


def loop(text: str, directory: Path) -> str:
    line, out = lease_protocol._LOOP, {"capture_output": True, "text": True}
    return subprocess.run(["sh", "-c", line], input=text, cwd=directory, timeout=60, check=True, **out).stdout


def gone_within(process, seconds):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    return process.poll() is not None


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """It ends a client after half a second."""
    shorter.lease_pauses(monkeypatch)


def test_the_client_of_what_is_gone_is_ended(client, nonce, tmp_path):
    text = f"talk\ngone x {nonce}:kill y\n"
    assert loop(text, tmp_path) == text

    assert gone_within(client, 10)


def test_nothing_else_is_a_nonce(client, nonce, tmp_path):
    """No pattern, though a file has the name, and nothing longer or shorter."""
    pattern = f"{nonce[:-1]}[{nonce[-1]}]"
    words = ("*", "?" * 24, pattern, f"./{nonce}", f"{nonce}a", nonce[1:], ".*", nonce.replace(nonce[0], "A"))
    text = "".join(f"gone {word}\n" for word in words)
    assert loop(text, tmp_path) == text

    assert not gone_within(client, 1.5)


def test_many_lines_start_few_jobs(tmp_path):
    """Sixteen at a time, each of which takes half a second."""
    began = time.monotonic()
    text = "".join(f"gone {index:024x}:kill\n" for index in range(20))

    assert loop(text, tmp_path) == text
    assert time.monotonic() - began > 0.45
