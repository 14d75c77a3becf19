"""What the differential suite says to both: one table of requests and scripts."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from support.exec_client import Conversation, Request, Script

from gateway.protocol.subprotocols import V4, V5, Subprotocol

BOTH = (V5, V4)
IN = ("stdin", "stdout", "stderr")
TERMINAL = ("stdin", "stdout", "tty")
EVERY_BYTE = bytes(range(256))
Step = Callable[[Conversation], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Case:
    """`differs`: a key of differences.CHANGES. `reference`: the script for the API server, where it is another."""

    name: str
    request: Request
    script: Script | None = None
    rows: tuple[Subprotocol, ...] = BOTH
    differs: str = ""
    reference: Script | None = None


def sh(text: str, *streams: str) -> Request:
    """A shell command in bash-0, by default with its two outputs."""
    return Request(("sh", "-c", text), streams=streams or ("stdout", "stderr"))


def play(*steps: Step) -> Script:
    """One after the other."""

    async def script(session: Conversation) -> None:
        for step in steps:
            await step(session)

    return script


def raw(*payloads: bytes | str) -> Script:
    """Whole messages."""

    async def script(session: Conversation) -> None:
        for payload in payloads:
            await session.raw(payload)

    return script


def fragments(*parts: bytes) -> Step:
    """One message in several frames."""
    return lambda session: session.raw(parts)


def stdin(data: bytes) -> Step:
    """Input for the command."""
    return lambda session: session.stdin(data)


def seen(marker: bytes) -> Step:
    """Waits for output."""
    return lambda session: session.seen(marker)


def resize(columns: int, rows: int) -> Step:
    """As kubectl says it."""
    return lambda session: session.resize(columns, rows)


def close(code: int) -> Step:
    """The client leaves, once it has seen enough to know that both servers are as far."""
    return lambda session: session.close(code)


async def half_close(session: Conversation) -> None:
    """The end of the input."""
    await session.half_close()


async def pause(_: Conversation) -> None:
    """For what shows by not happening."""
    await asyncio.sleep(1)


def streams() -> list[Case]:
    """All 16 combinations. A terminal without stdin on v4 is left out: the lab's kubelet often loses its output."""
    said = "echo out; echo err >&2; test -t 1 && echo terminal; exit 3"
    found = []
    for count in range(5):
        for names in combinations(("stdin", "stdout", "stderr", "tty"), count):
            tty = "tty" in names
            none = not ({"stdin", "stdout"} & set(names)) and (tty or "stderr" not in names)
            hello = names == ("stdin", "stderr", "tty")
            old = BOTH if none or not tty or "stdin" in names else (V5,)
            request = Request(("sh", "-c", said), streams=names)
            differs = "no-stream" if none else "terminal-stderr" if hello else ""
            rows = (V5,) if hello else old
            found.append(Case(f"streams {'+'.join(names) or 'none'}", request, None, rows, differs))
    return found


def ends() -> list[Case]:
    """Exit codes, signals, commands that cannot start, clients that leave."""
    codes = (0, 1, 2, 3, 126, 127, 130, 137, 143, 255)
    found = [Case(f"exit {code}", sh(f"exit {code}")) for code in codes]
    found += [
        Case(f"signal {name}", sh(f"kill -{name} $$")) for name in ("KILL", "TERM", "INT", "HUP", "SEGV")
    ]
    found += [
        Case(f"signal {name} in a terminal", sh(f"kill -{name} $$", *TERMINAL)) for name in ("KILL", "HUP")
    ]
    found += [
        Case(f"command {argv0 or 'empty'}", Request((argv0, "x")))
        for argv0 in ("foo", "/bin/foo", "/tmp", "")
    ]
    found += [Case(f"client closes {code}", Request(("cat",), streams=IN), play(stdin(b"x"), seen(b"x"), close(code)))
              for code in (1000, 1001)]  # fmt: skip
    return [
        *found,
        Case("no shell", Request(("sh",), pod="distroless-0")),
        Case("no command", Request(()), differs="command-missing"),
        Case("a kubectl's own last line", sh("echo 'command terminated with exit code 9' >&2; exit 3")),
        Case("a lie about the exit code", sh("printf 'command terminated with exit code 3' >&2; exit 0")),
    ]


def refusals() -> list[Case]:
    """What only the cluster knows, and what cannot be."""
    true = ("true",)
    return [
        Case("missing pod", Request(true, pod="nope")),
        Case("missing container", Request(true, container="nope")),
        Case("attach to a missing pod", Request((), pod="nope", verb="attach")),
        Case("attach to a missing container", Request((), container="nope", verb="attach")),
        Case("missing namespace", Request(true, namespace="nope")),
        Case("no container named", Request(true, pod="web-0")),
        Case("no container named to attach to", Request((), pod="web-0", verb="attach")),
        Case("container of another pod named", Request(true, pod="web-0", container="api")),
        Case("container named", Request(("sh", "-c", "ls /tmp"), pod="web-0", container="side")),
        Case("impossible name", Request(true, pod="Web_0"), differs="name-impossible"),
        Case("NUL in an argument", Request(("echo", "a\0b")), differs="argument-impossible"),
        Case("dry run", Request(true, extra=(("dryRun", "All"),))),
        Case("unknown parameters", Request(("echo", "x"), extra=(("pretty", "1"), ("stdout", "0")))),
    ]  # fmt: skip


def inputs() -> list[Case]:
    """Binary data, half-close, odd messages."""
    three = sh("head -c 3; echo; echo done; exit 4", *IN)
    cat = Request(("cat",), streams=IN)
    odd: dict[str, tuple[bytes | str, ...]] = {
        "text": ("\0abc",), "text on two bytes": ("\0ü\n",), "unknown 7": (b"\x07x", b"\0abc"), "on stdout": (b"\x01x", b"\0abc"),
        "on stderr": (b"\x02x", b"\0abc"), "on 3": (b"\x03x", b"\0abc"), "unknown 5": (b'\x05{"type":"x"}', b"\0abc"),
        "unknown 254": (b"\xfex", b"\0abc"), "empty": (b"", b"\0abc"), "empty text": ("", b"\0abc"), "empty stdin": (b"\0", b"\0abc"),
        "too much": (b"\0abc", b"\0" + b"d" * 1000), "half-close as text": ("\u00ff\0", b"\0abc"),
    }  # fmt: skip
    malformed = {"ff": b"\xff", "ff 00 00": b"\xff\0\0", "ff 05": b"\xff\5", "ff ff": b"\xff\xff"}
    return [
        *(Case(f"odd: {name}", three, raw(*payloads)) for name, payloads in odd.items()),
        *(Case(f"half-close {name}", three, raw(said, b"\0abc"), (V5,), "half-close-malformed") for name, said in malformed.items()),
        *(Case(f"half-close {name} before v5", three, raw(said, b"\0abc"), (V4,)) for name, said in malformed.items()),
        *(Case(f"half-close of {stream}", three, raw(bytes([255, stream]), b"\0abc"), (V5,)) for stream in (1, 2, 3, 4)),
        Case("half-close", cat, play(stdin(EVERY_BYTE * 100), half_close), (V5,)),
        Case("half-close at once", cat, half_close, (V5,)),
        Case("half-close twice, and input after it", cat, raw(b"\0x", b"\xff\0", b"\xff\0", b"\0late"), (V5,)),
        Case("half-close without stdin", sh("echo done"), half_close, (V5,)),
        Case("stdin that was not asked for", sh("head -c 3; echo done"), stdin(b"abc")),
        Case("every byte", sh("head -c 25600", *IN), stdin(EVERY_BYTE * 100)),
        Case("every byte out", sh("printf '" + "".join(f"\\{byte:03o}" for byte in EVERY_BYTE) + "'")),
        Case("1 MiB each way", cat, play(stdin(EVERY_BYTE * 4096), half_close), (V5,)),
        Case("fragments", three, fragments(b"\0ab", b"", b"c"), differs="fragmented", reference=stdin(b"abc")),
        Case("33 MiB in one message", sh("cat >/dev/null; sleep 2", *IN), raw(b"\0" * (33 << 20)), (V5,), "message-too-big"),
        Case("long arguments", Request(("sh", "-c", 'printf %s "$1" | md5sum', "sh", "ü'\"$(id)\n\\ " * 5000))),
    ]  # fmt: skip


def terminals() -> list[Case]:
    """Sizes, with and without a terminal, and the attachment to a process."""
    wait = sh(
        'echo ready; until [ "$(stty size 2>/dev/null)" = "40 120" ]; do sleep 0.1; done; echo right',
        *TERMINAL,
    )
    size = sh('echo ready; read x; echo "[$(stty size 2>/dev/null)]"', *TERMINAL)
    said: dict[str, bytes | str] = {
        "text": '\4{"Width":120,"Height":40}', "other case": b'\4{"width":120,"HEIGHT":40}',
        "two in one": b'\4{"Width":9,"Height":9}{"Width":120,"Height":40}\n', "space": b'\4 { "Height" : 40 , "Width" : 120 }',
    }  # fmt: skip
    bad = {
        "zero": b'\4{"Width":0,"Height":0}', "70000": b'\4{"Width":70000,"Height":40}', "float": b'\4{"Width":80.0,"Height":40}',
        "negative": b'\4{"Width":-1,"Height":40}', "text": b'\4{"Width":"80","Height":"40"}', "one": b'\4{"Width":120}', "bad": b"\4{bad}",
    }  # fmt: skip
    good = resize(120, 40)
    three = sh("head -c 3", *IN)
    attach = Request((), streams=("stdout", "stderr"), verb="attach")
    return [
        Case("resize", wait, good),
        Case("storm of resizes", wait, play(*(resize(20 + n, 20) for n in range(100)), good)),
        Case("split resize", wait, raw(b'\4{"Width":12', b'\x040,"Height":40}')),
        *(Case(f"resize as {name}", wait, raw(payload)) for name, payload in said.items()),
        *(Case(f"resize {name}", size, play(seen(b"ready"), raw(payload), pause, stdin(b"\r")), differs="terminal-size")
          for name, payload in bad.items()),
        *(Case(f"resize {name}, then well", wait, play(raw(payload), good), differs="resize-malformed", reference=good)
          for name, payload in bad.items() if name != "zero"),
        Case("no size", size, play(seen(b"ready"), pause, stdin(b"\r")), differs="terminal-size"),
        Case("resizes without a terminal", three, play(good, good, stdin(b"abc")), differs="resize-without-terminal", reference=stdin(b"abc")),
        Case("keys", sh("read x; echo got $x", *TERMINAL), stdin(b"hello\r")),
        Case("^C", sh("trap 'echo caught; exit 5' INT; echo ready; sleep 9", *TERMINAL), play(seen(b"ready"), stdin(b"\x03"))),
        Case("^D", sh("cat; echo end", *TERMINAL), stdin(b"x\r\x04")),
        Case("attach", attach, play(pause, close(1000))),
        Case("attach with stdin", Request((), streams=IN, verb="attach"), play(pause, stdin(b"x"), close(1000)), (V5,)),
    ]  # fmt: skip


CASES = [*streams(), *ends(), *refusals(), *inputs(), *terminals()]
