"""`--verify`: what arrives is what the command wrote, or it is said that it is not."""

import asyncio
import os
import random
import shutil
import subprocess

import pytest
from support.beside import beside
from support.fake_gateway import fake_gateway

from gateway.client.exit_status import End
from gateway.client.verify import Verification
from gateway.protocol.outcome import Outcome

SHELLS = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]]
HERE = [shell for shell in SHELLS if shutil.which(shell[0])]


def run(shell, proof, data=b"", env=None):
    program, *options = shell
    command = [shutil.which(program), *options, *proof.argv[1:]]
    return subprocess.run(command, input=data, capture_output=True, check=False, env=env)


def through(proof, done, cut=None):
    """(stdout, stderr, the verdict) as they come out, in pieces of random sizes."""
    out, err, rest = b"", b"", done.stderr
    while rest:
        size = cut or random.randrange(1, 20)
        err += proof.take(2, rest[:size])
        rest = rest[size:]
    out += proof.take(1, done.stdout)
    return out, err + proof.rest(), proof.judge(End("exited", "pod", "", done.returncode))


@pytest.mark.parametrize("shell", HERE, ids=" ".join)
def test_in_every_shell_the_command_is_itself(shell):
    """Bytes of all streams, arguments and exit code; nothing of ours is left."""
    data = os.urandom(300_000)
    proof = Verification(("sh", "-c", 'cat; echo "$0 $1" >&2; exit 7', "a b", "*"))
    done = run(shell, proof, data)
    out, err, end = through(proof, done)

    assert (out, err, end.exit_status) == (data, b"a b *\n", 7)


@pytest.mark.parametrize("shell", HERE, ids=" ".join)
@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("true",), 0, b""),
        (("sh", "-c", "kill -9 $$"), 137, b""),
        (("nope",), 127, b"not found"),
        (("/",), 126, b""),
    ],
)
def test_other_ends(shell, argv, code, words):
    proof = Verification(argv)
    out, err, end = through(proof, run(shell, proof), cut=3)

    assert (out, end.exit_status) == (b"", code)
    assert words in err
    assert b"dap-end" not in err
    assert words or code == 126 or not err


def test_a_container_without_tee_is_told():
    proof = Verification(("true",))
    out, err, end = through(proof, run(["dash"], proof, env={"PATH": "/nowhere"}))

    assert (out, err) == (b"", b"")
    assert (end.code, end.exit_status) == ("start_failed", 126)
    assert "tee" in end.message


def test_a_shell_s_own_command_is_none():
    """`exit` is no program: what would run without --verify runs with it, and nothing else."""
    proof = Verification(("exit", "3"))
    _, _, end = through(proof, run(["dash"], proof))

    assert end.exit_status == 127


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda out, err: (out[:-1], err), "the command wrote 100 bytes to stdout, 99 arrived"),
        (lambda out, err: (out + b"x", err), "101 arrived"),
        (lambda out, err: (out, err[:-1]), "the end mark of the command is missing"),
        (lambda out, _: (out, b""), "the end mark of the command is missing"),
    ],
)
def test_what_is_lost_is_found(loss, words):
    proof = Verification(("sh", "-c", "printf '%100s' x"))
    done = run(["sh"], proof)
    done.stdout, done.stderr = loss(done.stdout, done.stderr)
    end = through(proof, done)[2]

    assert (end.code, end.exit_status) == ("output_incomplete", 125)
    assert words in end.message


def test_a_false_exit_code_is_found():
    proof = Verification(("sh", "-c", "exit 3"))
    done = run(["sh"], proof)
    done.returncode = 0
    end = through(proof, done)[2]

    assert end.message == "the command ended with exit code 3, 0 arrived"
    assert end.exit_status == 125


def test_what_looks_like_a_mark_is_the_command_s():
    proof = Verification(("sh", "-c", "echo dap-end-00 0 0 >&2; printf dap-en >&2"))
    _, err, end = through(proof, run(["sh"], proof), cut=1)

    assert err == b"dap-end-00 0 0\ndap-en"
    assert end.exit_status == 0


def test_a_failed_hop_stays_what_it_is():
    lost = End("ssh_lost", "ssh", "gone")

    assert Verification(("ls",)).judge(lost) == lost


async def test_dap_exec_proves_what_arrived_and_says_when_it_is_not_all(home):
    """The gateway runs what it is told here, and once keeps back a byte."""

    async def script(client):
        await client.hello()
        data = await client.input()
        done = await asyncio.to_thread(
            subprocess.run, client.argv, input=data, capture_output=True, check=False
        )
        await client.out(done.stdout[: len(done.stdout) - missing])
        await client.out(done.stderr, 2)
        await client.end(done.returncode)

    command = ("exec", "--verify", "-i", "web-0", "--", "sh", "-c", "cat; echo warn >&2; exit 4")
    async with fake_gateway(script, home.socket):
        missing = 0
        good = await home.dap(*command, data=b"12345")
        missing = 1
        bad = await home.dap(*command, data=b"12345")

    assert (good.code, good.out, good.err) == (4, b"12345", "warn\n")
    assert (bad.code, bad.out) == (125, b"1234")
    assert bad.err == (
        "warn\ndap: cluster: the command wrote 5 bytes to stdout, 4 arrived (output_incomplete)\n"
    )


def test_without_a_shell_it_is_refused_in_words(home, called):
    async def script(client):
        await client.refuse(Outcome("start_failed", 'exec: "sh": executable file not found in $PATH'))

    with beside(fake_gateway(script, home.socket)):
        none = called("exec", "--verify", "web-0", "--", "/app")

    assert none.code == 127
    assert "--verify needs sh in the container" in none.err


def test_with_a_terminal_it_is_refused_in_words(called):
    terminal = called("exec", "--verify", "-it", "web-0", "--", "top")

    assert terminal.code == 2
    assert "leave out -t" in terminal.err
