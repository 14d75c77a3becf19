"""The same command at the gateway and straight at the API server, outcome by outcome: streams, copies and long lists."""

import asyncio
import hashlib
import json
import os
import re
import secrets
from contextlib import contextmanager, suppress
from time import perf_counter

import pytest
from support import lab as chain
from support.many import make_config_maps
from support.real_kubectl import RACE, programs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
# SPDY and WebSocket; those between only repeat
NAMES = [
    pytest.param(name, marks=[] if name in ("1.27", "1.37", "own") else pytest.mark.repetition)
    for name in ("1.27", "1.29", "1.33", "1.37", "own")
    if name in programs()
]
SCRIPT = "cat; echo out; echo err >&2; exit %d"
ENDS = (
    ("exec", "bash-0", "--", "sh", "-c", "kill -9 $$"),
    ("exec", "web-0", "-c", "side", "--", "sh", "-c", "exit 255"),
    ("exec", "web-0", "-c", "none", "--", "true"),
    ("exec", "nope", "--", "true"),
    ("exec", "distroless-0", "--", "sh"),
    ("exec", "-n", "nope", "web-0", "--", "true"),
    ("exec", "deploy/api", "--", "echo", "here"),
    ("exec", "-q", "bash-0", "--", "true"),
    ("attach", "nope"),
    ("attach", "web-0", "-c", "none"),
    ("cp", "nope:/etc/passwd", "/tmp/nothing"),
)


async def _at_both(both, *words, **more):
    """Returns the outcome of one command at the gateway, which has to be that straight at the API server."""

    async def outcome(one):
        code, out, err = await one(*words, **more)
        return code, out, re.sub(rb"[0-9a-f]{64}", b"ID", RACE.sub(b"", err))

    ours, straight = await asyncio.gather(*map(outcome, both))
    assert ours == straight, words
    return ours


@pytest.mark.parametrize("name", NAMES)
async def test_exec_in_every_combination_of_streams(both, name):
    """Runs them: kubectl always asks for stdout; a terminal has no stderr of its own, and none is given without stdin."""
    for one in both:
        one.program = programs()[name]
    given = b"given\n"

    async def outcome(flags, code):
        command = ("bash-0", "--", "sh", "-c", SCRIPT % code)
        return await _at_both(both, "exec", *flags, *command, given=given)

    for flags in ((), ("-i",)):
        well, badly = await asyncio.gather(*(outcome(flags, code) for code in (0, 3)))
        assert well == (0, (given if flags else b"") + b"out\n", b"err\n")
        assert badly == (3, well[1], b"err\ncommand terminated with exit code 3\n")
    ours, straight = await asyncio.gather(*(_in_terminal(one, SCRIPT % 3) for one in both))
    assert ours == straight
    assert ours[0] == 3


async def _in_terminal(one, script):
    """Returns exit code and output of `exec -it`: `given`, Ctrl-D, in a terminal."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        one.program, "--kubeconfig", one.config, "exec", "-it", "bash-0", "--", "sh", "-c", f"test -t 0 && echo terminal; {script}",
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    output = b""
    with suppress(OSError):  # EIO: nobody has the other side open any more
        while data := await asyncio.to_thread(os.read, ours, 4096):
            if b"terminal" in output + data and b"terminal" not in output:  # the command runs
                os.write(ours, b"given\n\x04")
            output += data
    os.close(ours)
    return await process.wait(), output


@pytest.mark.parametrize("name", NAMES)
async def test_exit_codes(both, name):
    for one in both:
        one.program = programs()[name]

    async def code(number):
        return (await _at_both(both, "exec", "bash-0", "--", "sh", "-c", f"exit {number}"))[0]

    for some in ((0, 1, 3, 126), (127, 137, 255)):
        assert await asyncio.gather(*map(code, some)) == [*some]


@pytest.mark.parametrize("name", NAMES)
async def test_debug_makes_a_copy_of_a_pod_with_another_container(both, space, name):
    pod = chain.kubectl("get", "pods", "-n", space, "-o", "jsonpath={.items[0].metadata.name}")

    async def debugged(one, copy):
        one.program = programs()[name]
        extra = ("--container=extra", "--image=docker.io/lab/busybox:1", "--image-pull-policy=Never")
        made = await one(
            "debug", "-n", space, pod, f"--copy-to={copy}", *extra, "--attach=false", "--", "sleep", "60"
        )
        chain.kubectl("wait", "-n", space, "--for=condition=Ready", f"pod/{copy}", "--timeout=60s")
        return made, await one("exec", "-n", space, copy, "-c", "extra", "--", "ps", "-o", "args")

    ours, straight = await asyncio.gather(*map(debugged, both, (f"ours-{name}", f"straight-{name}")))
    assert ours == straight
    assert (ours[0][0], ours[1][0]) == (0, 0)
    assert b"sleep 60" in ours[1][1]


async def test_ends_of_another_kind(both):
    for at in range(0, len(ENDS), 4):
        batch = ENDS[at : at + 4]
        await asyncio.gather(*(_at_both(both, *words) for words in batch))


@pytest.mark.parametrize("name", NAMES)
async def test_attach(both, name):
    """A pod of its own for each: attach has what the container writes from now on, and its exit."""
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "stdin": True,
            "stdinOnce": True, "command": ["sh", "-c", "cat; echo err >&2; exit 3"],
        }]},
    }  # fmt: skip
    pods = [{**pod, "metadata": {"name": which}} for which in ("ours", "straight")]

    async def attached(one, which):
        one.program = programs()[name]
        code, out, err = await one("attach", "-i", which, "-n", space, given=b"given\n" * 1000)
        return code, out, RACE.sub(b"", err).replace(b"straight", b"ours")

    with _namespace() as space:
        chain.kubectl("create", "-n", space, "-f", "-", given="\n---\n".join(map(json.dumps, pods)))
        chain.kubectl(
            "wait", "-n", space, "--for=condition=Ready", "pod/ours", "pod/straight", "--timeout=60s"
        )
        ours, straight = await asyncio.gather(*map(attached, both, ("ours", "straight")))

    assert ours[:2] == (0, b"given\n" * 1000)
    assert ours == straight


@contextmanager
def _namespace():
    name = f"dap-outcomes-{secrets.token_hex(4)}"
    with chain.namespace(name):
        yield name


@pytest.mark.parametrize("size", [4, pytest.param(256, marks=pytest.mark.repetition)])
async def test_cp_of_1000_small_files_and_a_big_one(both, space, tmp_path, size):
    """There and back by way of the gateway; what is in the pod is compared straight at the API server."""
    ours, straight = both
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    for number in range(1000):
        (source / f"{number}").write_bytes(b"%d\n" % number * 10)
    (source / "big").write_bytes(os.urandom(size << 20))
    pod = chain.kubectl("get", "pods", "-n", space, "-o", "jsonpath={.items[0].metadata.name}")
    there = f"{space}/{pod}:/tmp/copied"

    assert (await ours("cp", source, there))[:2] == (0, b"")
    code, out, _ = await straight("exec", "-n", space, pod, "--", "sh", "-c", "cd /tmp/copied && sha256sum *")
    assert (code, _sums(out)) == (0, _of(source))
    code, _, err = await ours("cp", there, back)
    assert code == 0, err
    assert _of(back) == _of(source)


def _sums(text):
    return {line.split()[1]: line.split()[0] for line in text.decode().splitlines()}


def _of(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.repetition)])
async def test_a_long_list(both, api, count):
    """In pages, in one piece, as a table and as names: byte for byte what the API server says."""
    with _namespace() as space:
        await asyncio.to_thread(make_config_maps, api, space, count)
        await _lists(both, space, count)


async def _lists(both, space, count):
    where = ("get", "configmaps", "-n", space)
    _, names, _ = await _at_both(both, *where, "-o", "name")
    assert len(names.splitlines()) in (count, count + 1)  # the cluster's own CA is one of 1.20's
    for words in (
        ("--chunk-size=0", "-o", "json"),
        (f"--chunk-size={count // 3}", "-o", "custom-columns=N:.metadata.name,D:.data"),
    ):
        began = perf_counter()
        code, _, err = await _at_both(both, *where, *words)
        assert (code, err) == (0, b"")
        print(f"{count} {words}: {perf_counter() - began:.2f} s for both")  # noqa: T201 - read with -s
    raw = f"/api/v1/namespaces/{space}/configmaps?limit={count // 2}"
    assert (await _at_both(both, "get", "--raw", raw))[0] == 0
