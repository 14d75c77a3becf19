"""Programs that draw, hostile output and a large paste, in a shell of the page, over the real chain."""

import asyncio
import hashlib
import os
import re
from pathlib import Path

import pytest
from support.real_page import real_gateway, real_tab

from gateway.protocol.messages import Stream

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
ROWS = "[...document.querySelectorAll('.xterm-rows > div')].map((row) => row.textContent.replaceAll('\\u00a0', ' ').trimEnd())"
MANY = 10_000_000
PAUSE = 400  # milliseconds
PROGRAMS = {  # what is typed, each part after a pause: vi takes an escape and the next key for one
    "vi /tmp/drawn": (["ifirst\rsecond", "\x1b", "kyyp"], r"firstfirst *second", ["\x1b", ":q!\r"]),
    "seq 500 | less": ([" ", " k", "G"], "500", ["q"]),
    "top": (["m"], "Mem|PID", ["q"]),
}


@pytest.fixture
async def tab(cluster, tmp_path):
    """A page with a shell in `web-0`; `frames` has what its WebSockets got."""
    assert cluster
    async with real_gateway(tmp_path) as serve, real_tab(serve) as opened:
        opened.frames = []
        opened.page.on("websocket", lambda socket: listen(socket, opened.frames))
        await opened.visit(f"#ticket={await serve.ticket()}&path=/default/default/web-0/main")
        await opened.state("connected")
        yield opened


def listen(socket, frames):
    socket.on("framereceived", lambda frame: frames.append(frame))  # noqa: PLW0108  # no method of a list's will do


async def drawn(tab) -> list[str]:
    """What xterm.js without a browser shows of the same output."""
    output = b"".join(
        frame[1:] for frame in tab.frames if isinstance(frame, bytes) and frame[0] == Stream.STDOUT
    )
    process = await asyncio.create_subprocess_exec(
        ROOT / "hack" / "node", "node", ROOT / "web" / "test" / "screen_of.mjs", *map(str, await tab.size()),
        env=os.environ, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    shown, _ = await process.communicate(output)
    assert process.returncode == 0
    return [row.rstrip() for row in shown.decode().splitlines()]


async def test_what_draws_looks_as_in_a_terminal_without_a_browser(tab):
    await tab.shows("#")
    for command, (keys, seen, leave) in PROGRAMS.items():
        await type_slowly(tab, [f"{command}\r", *keys])
        await tab.shows(re.compile(seen))
        for _ in range(10):  # a program may draw between the two looks
            mine, theirs = await tab.page.evaluate(ROWS), await drawn(tab)
            if mine == theirs:
                break
            await tab.page.wait_for_timeout(PAUSE)
        assert mine == theirs, command
        await type_slowly(tab, leave)
    await tab.keys("echo ba''ck\r")
    await tab.shows("back")


async def type_slowly(tab, parts):
    for part in parts:
        await tab.keys(part)
        await tab.page.wait_for_timeout(PAUSE)


async def test_a_paste_of_10_mb_arrives_byte_for_byte(tab):
    word = "0123456789 größe 😀 "
    text = word * (MANY // len(word.encode()))
    await tab.keys(f"stty raw -echo; echo rea''dy; head -c {len(text.encode())} | sha256sum; stty sane\r")
    await tab.shows("ready")
    await tab.paste(text)
    await tab.shows(hashlib.sha256(text.encode()).hexdigest())


async def test_hostile_output_does_nothing_to_the_page(tab):
    await tab.shows("#")
    title = await tab.page.title()
    evil = r"\033]0;evil\007\033]52;c;?\007\033Pevil\033\134\033[?2026h\033]0;"  # and no end of the last two
    await tab.keys(
        f"printf '{evil}'; head -c {MANY} /dev/zero | tr '\\0' e; printf '\\007'; echo still' 'here; cat\r"
    )
    await tab.shows("still here")
    assert await tab.page.title() == title
    await tab.keys("typed\r")
    await tab.shows(re.compile(r"typed *typed"))
