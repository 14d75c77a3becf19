"""The gateway inside the command, on the demo chain: no `dap serve` anywhere."""

import asyncio
import json
import os

import asyncssh
import pytest
from support.dap import on_a_terminal


@pytest.fixture
def chain(demo):
    """The environment that leads to a demo chain."""
    return {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance,
        "DAP_RUNNER_MODE": "plain",
    }  # fmt: skip


def test_a_command_runs_its_own_gateway_and_says_so(home, called, chain):
    """What that did is in a private file, the audit trail as that of `dap serve`, and nothing of it on the screen."""
    command = ("web-0", "-i", "--", "sh", "-c", "cat; echo err >&2; exit 4")
    done = asyncio.run(home.dap("exec", *command, data=b"in", env=chain))
    quiet = called("exec", "-q", "web-0", "--", "true", env=chain)

    assert (done.code, done.out) == (4, b"in")
    assert done.err == (
        "dap: no gateway is running, so this command runs its own (dap serve keeps one ready)\nerr\n"
    )
    assert (quiet.code, quiet.out, quiet.err) == (0, b"", "")
    log = home.path / "state" / "dap" / "gateway.log"
    assert log.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    opened = [line for line in lines if line["event"] == "session_opened"]
    assert [line["proof"] for line in opened] == ["uid", "uid"]
    assert all(line["target"].startswith("default/default/web-0") and "argv" not in line for line in opened)
    assert [line["exit_code"] for line in lines if line["event"] == "session_closed"] == [4, 0]


def test_without_a_place_for_its_log_it_works_and_says_so(home, called, chain):
    (home.path / "state").write_text("no directory")
    done = called("exec", "web-0", "--", "true", env=chain)

    assert done.code == 0
    _, told = done.err.splitlines()
    assert told.startswith("dap: this gateway has no log: ")


async def test_a_reader_that_goes_away_ends_it_quietly_here_too(home, chain):
    """And with -q nothing is said of a log that has no place."""
    (home.path / "state").write_text("no directory")
    process = await home.start("exec", "-q", "web-0", "--", "yes", env=chain)
    assert await process.stdout.read(2) == b"y\n"
    process.stdout._transport.close()
    err = await process.stderr.read()

    assert (await process.wait(), err) == (141, b"")


@pytest.mark.repetition
async def test_input_that_cannot_be_read_is_no_end_of_it(home, chain):
    fd = os.open("/proc/self/mem", os.O_RDONLY)  # a file whose beginning is an error
    try:
        done = await home.dap("exec", "-q", "web-0", "-i", "--", "cat", env=chain, stdin=fd)
    finally:
        os.close(fd)

    assert (done.code, done.out, done.err) == (
        125, b"", "dap: client: input or output: Input/output error\n"
    )  # fmt: skip


def test_probe_through_it(called, chain):
    assert called("probe", "web-0", env=chain).code == 0


async def test_a_passphrase_is_asked_on_the_terminal(home, chain, tmp_path):
    """The terminal is lent to the question: no echo, and lines again; then it is the command's."""
    key = asyncssh.read_private_key(chain["DAP_RUNNER_SSH_KEY"])
    locked = tmp_path / "locked"
    locked.write_bytes(key.export_private_key("pkcs8-pem", passphrase="sesame"))
    locked.chmod(0o600)
    locked.with_suffix(".pub").write_bytes(key.export_public_key())
    env = chain | {"DAP_RUNNER_SSH_KEY": str(locked)}
    async with on_a_terminal(
        home, "shell", "web-0", "--", "sh", "-c", "read x; echo got-$x; exit 6", env=env
    ) as screen:
        await screen.until(b"assphrase")
        screen.type(b"sesame\n")
        await screen.until(b"\n")
        screen.type(b"word\r")
        shown = await screen.until(b"got-word")
        code = await screen.ended()

    assert code == 6
    assert b"sesame" not in shown
    assert screen.restored
