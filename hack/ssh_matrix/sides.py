"""The two sides of a row: `ssh`, and the gateway's login."""

import multiprocessing
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from gateway.backends.ssh.ask import parse_host
from ssh_matrix.home import Home
from ssh_matrix.ours import Login, run
from ssh_matrix.row import HANGS
from ssh_matrix.verdict import MARK, last, of_ours, of_ssh

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["ssh_matrix.ours"])


@dataclass(frozen=True)
class Side:
    """What a side says, and the words in which it says so."""

    verdict: str
    words: str = ""


def ssh(home: Home) -> Side:
    """Runs ssh, which can ask nobody unless the row has an answer."""
    line = ["ssh", "-tt" if home.row.terminal else "-T"]
    line += ["-F", str(home.config)] if home.config else []
    env = home.env()
    if home.row.answer:
        asked = home.directory / "askpass"
        asked.write_text(f"#!/bin/sh\necho '{home.row.answer}'\n")
        asked.chmod(0o700)
        env |= {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"}
    else:
        line += ["-o", "BatchMode=yes"]
    to = parse_host(home.host)
    line += (["-l", to.user] if to.user else []) + (["-p", str(to.port)] if to.port else [])
    output, words = _run(home, [*line, "--", to.host, f"echo {MARK}"], env)
    if output is None:
        return Side(HANGS)
    return Side(of_ssh(output, words), last(words))


def ours(home: Home) -> Side:
    """Runs the gateway's login in a process of its own, forked from one that has imported everything."""
    login = Login(
        home.host,
        str(home.config or ""),
        home.row.answer,
        home.row.terminal,
        home.directory,
        home.env(),
        home.mounts,
    )
    heard, told = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=run, args=(login, told), daemon=False)
    process.start()
    told.close()
    try:
        if not heard.poll(home.row.seconds):
            return Side(HANGS)
        output, code, message = heard.recv()
    except EOFError:
        output, code, message = "", "crash", "it ended without a word"
    finally:
        _kill(process.pid)
        process.join()
    return Side(of_ours(output, code, message), f"{code}: {message}" if code else "")


def _run(home: Home, line: list[str], env: dict[str, str]) -> tuple[str | None, str]:
    """stdout, which is None for who did not end in time, and stderr."""
    program = subprocess.Popen(
        home.inside(line), env=env, cwd=home.directory, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    try:
        return program.communicate(timeout=home.row.seconds)
    except subprocess.TimeoutExpired:
        _kill(program.pid)
        return None, program.communicate()[1]


def _kill(group: int | None) -> None:
    if group:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
