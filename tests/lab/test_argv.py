"""Any argv reaches a program in a pod, and in the runner, as it is: through every shell and every terminal on the way."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.backends.plain.backend import PlainBackend
from gateway.protocol.messages import Stream
from gateway.protocol.target import Command, Target
from gateway.settings.config import Cluster, Limits

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

POD, RUNNER = Target("default", "default", "bash-0"), Target("default")
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["", " ", "\n", "\n\n", "'", '"', "$(id)", "`id`", "$HOME", "-n", "--", "-c", "-i", "--context", "*", "\\", "a\rb", "\x03",
     "\x04", "\x1a", "\x01", "\x7f", "\x1c", "\x11\x13", "é", "\u2028", "\U0001f600", "!", "'; exit 1 #", "\ufeff", "{{.}}"]
)  # fmt: skip
argvs = st.lists(words, min_size=1, max_size=12).map(tuple)
LARGE = tuple(letter * 60_000 for letter in "abcde")


async def printed(chain: PlainBackend, target: Target, argv: tuple[str, ...], *, tty: bool) -> bytes:
    """What a program there was given, each argument with a NUL behind it."""
    raw = "stty raw; " if tty else ""
    command = Command(
        ("sh", "-c", raw + "printf '%s\\0' \"$@\"", "sh", *argv),
        "exec" if target.pod else "run", stdin=tty, stdout=True, tty=tty,
    )  # fmt: skip
    out = b""
    async with chain.exec(target, command) as channel:
        channel.write_eof()
        async for stream, data in channel.output():
            assert stream is Stream.STDOUT, data
            out += data
        outcome = await channel.wait()
    assert outcome.exit_code == 0, outcome
    return out


async def all_of_them(
    cluster: Cluster, target: Target, batch: list[tuple[str, ...]], *, tty: bool
) -> list[bytes]:
    chain = PlainBackend(cluster, Limits())
    async with chain.running():
        return await asyncio.gather(*(printed(chain, target, argv, tty=tty) for argv in batch))


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
@pytest.mark.parametrize("target", [POD, RUNNER], ids=["exec", "run"])
def test_argv_arrives_exactly(cluster, target, tty):
    """Four at a time over one connection."""

    @settings(max_examples=6, deadline=None, database=None)
    @given(batch=st.lists(argvs, min_size=4, max_size=4))
    @example(batch=[("", "-n", "a\rb\x03\x1a\x1c\x04", "\n", "$(id)`id`'\"", "\x01\x7f\x11\x13", ""), LARGE])
    def check(batch):
        for argv, got in zip(batch, asyncio.run(all_of_them(cluster, target, batch, tty=tty)), strict=True):
            assert got == b"".join(word.encode() + b"\0" for word in argv)

    check()
