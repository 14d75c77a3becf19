"""Help, version, completion and wrong usage: what one sees before anything runs."""

import asyncio

import pytest
from support.fake_gateway import fake_gateway
from support.repeated import again

from gateway import __version__

NO_TEXT = b"\xff\xfe".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["shell", "--help"], ["exec", "-h"], ["run", "-h"], ["probe", "-h"],
                  ["open", "-h"], ["doctor", "-h"], ["serve", "-h"], ["config", "-h"], ["config", "init", "-h"]]
)  # fmt: skip
def test_help_teaches_with_an_example(called, arguments):
    done = called(*arguments)

    assert done.code == 0
    assert "  dap " in done.out.decode() or arguments[0] in ("config", "doctor")
    assert all(len(line) <= 80 for line in done.out.decode().splitlines())


def test_help_tells_the_exit_status(called):
    done = called("--help")

    assert b"125" in done.out
    assert b"130 after Ctrl-C" in done.out


async def test_version(home):
    assert (await home.dap("--version")).out.decode() == f"dap {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["shel"], ["shell"], ["shell", "web-0", "bash"], ["exec", "--frob", "web-0"], ["probe", "web-0", "--", "ls"],
     ["probe", "web-0", "--timeout", "0"], ["serve", "--log", "xml"], ["open", "a/b"], ["run", "ls"],
     ["probe", "web-0", "--timeout", "nan"], ["doctor", "extra"], ["shell", "web-0", "-n"],
     ["run", "--kill-on-disconnect", "--", "ls"]],
)  # fmt: skip
def test_wrong_usage_is_told_and_gives_2(called, arguments):
    done = called(*arguments)

    assert done.code == 2
    assert done.err
    assert "Traceback" not in done.err


async def test_completion_knows_commands_and_clusters(home, called):
    """Click's protocol: the words so far come in the environment."""
    directory = home.path / "config" / "dap"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text("[clusters.east]\n")

    def words(line):
        return {"_DAP_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}

    assert b"shell" in (await home.dap(env=words("dap sh"))).out
    assert b"east" in called(env=words("dap shell --cluster ea")).out


@pytest.mark.parametrize(
    ("shell", "start", "script"),
    [("bash", ".bashrc", ".bash_completions/dap.sh"), ("zsh", ".zshrc", ".zfunc/_dap"),
     ("fish", None, ".config/fish/completions/dap.fish")],
)  # fmt: skip
def test_completion_is_installed_for_the_current_shell(home, called, shell, start, script):
    """We are no shell: the login shell counts. A second time changes nothing, and what was in the file stays."""
    env = {"SHELL": f"/bin/{shell}"}
    if start:
        (home.path / start).write_text("# mine")
    shown = called("--show-completion", env=env)
    done = called("--install-completion", env=env)
    after = {path: path.read_text() for path in home.path.rglob("*") if path.is_file()}
    again = called("--install-completion", env=env)

    assert (shown.code, done.code, again.code) == (0, 0, 0)
    assert f"{shell} completion installed in {home.path / script}" in done.out.decode()
    assert after[home.path / script] == shown.out.decode()
    assert after == {path: path.read_text() for path in home.path.rglob("*") if path.is_file()}
    if start:
        assert after[home.path / start].startswith("# mine\n")


def test_an_unknown_shell_is_told(called):
    done = called("--show-completion", env={"SHELL": "/bin/tcsh"})

    assert (done.code, done.err) == (1, "Error: Shell tcsh is not supported.\n")


@pytest.mark.parametrize("quiet", [again([]), ["-q"]])
def test_without_a_gateway_and_without_settings_the_hop_is_named(called, quiet):
    """The gateway inside the command fails as a running one would: one line, 125."""
    env = {"DAP_RUNNER_SSH_HOST": "nobody@127.0.0.1:1", "DAP_RUNNER_MODE": "plain"}
    done = called("exec", *quiet, "web-0", "--", "ls", env=env)

    notice = "dap: no gateway is running, so this command runs its own (dap serve keeps one ready)"
    *before, last = done.err.splitlines()
    assert done.code == 125
    assert before == ([] if quiet else [notice])
    assert last.startswith("dap: ssh: ")


@pytest.mark.parametrize(
    "arguments",
    [["kill", "abc", "--reason", NO_TEXT], again(["kill", NO_TEXT]), again(["access", "revoke", NO_TEXT]),
     again(["attach", NO_TEXT]), again(["config", "init", "--ssh-host", NO_TEXT, "--vm", "x"]),
     again(["open", "web-0", "--for", NO_TEXT]), [NO_TEXT]],
)  # fmt: skip
async def test_bytes_that_are_no_text_are_wrong_usage(home, arguments):
    done = await home.dap(*arguments)

    assert (done.code, done.out) == (2, b"")
    assert done.err == "dap: '\\udcff\\udcfe' is not valid UTF-8: its bytes are no text\n"


@pytest.mark.parametrize("encoding", [again("ascii"), "latin-1", "ascii:strict"])
async def test_what_the_encoding_of_stdout_lacks_is_escaped(home, encoding):
    row = {
        "name": "aaaa", "identity": "größe 終", "cluster": "default", "namespace": "shop", "pod": "web-0",
        "container": None, "command": ["sh", "-c", "x" * 50], "tty": True, "opened": 0, "idle": 61.5, "attached": True,
        "resumable": True, "in": 12, "out": 1_500_000,
    }  # fmt: skip
    http = {"/gateway/v1/sessions": (200, {"sessions": [row]})}
    async with fake_gateway(nobody, home.socket, http=http):
        done = await home.dap("sessions", env={"PYTHONIOENCODING": encoding})

    assert (done.code, done.err) == (0, "")
    assert b"\\u2026" in done.out
    assert b"\\u7d42" in done.out


@pytest.mark.parametrize(
    "arguments",
    [["serve", "--demo", "--listen", "127.0.0.1:0"], ["config", "show"], again(["config", "show", "--json"]), ["doctor"],
     ["--version"], ["--help"], again(["shell", "--help"]), ["--show-completion"]],
    ids=" ".join,
)  # fmt: skip
async def test_a_full_disk_behind_stdout_is_said_in_one_line(home, arguments):
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123  # a device
        done = await home.dap(*arguments, stdout=full, env={"SHELL": "/bin/bash"})

    assert done.code == 125
    assert done.err.splitlines()[-1] == "dap: client: input or output: No space left on device"
    assert "Traceback" not in done.err
    assert "defect" not in done.err


@pytest.mark.parametrize("arguments", [["sessions"], ["logs", "web-0"]], ids=" ".join)
async def test_an_answer_that_is_nested_too_deeply_is_none_that_can_be_read(home, arguments):
    body = b"[" * 100_000

    async def deep(reader, writer):
        if await reader.readline():
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            await reader.read()
        writer.close()

    home.socket.parent.mkdir(exist_ok=True)
    async with await asyncio.start_unix_server(deep, home.socket):
        done = await home.dap(*arguments)

    assert (done.code, done.out) == (125, b"")
    assert "cannot be read: use a dap of the gateway's version" in done.err


async def nobody(client):
    raise AssertionError(client.path)
