"""One suite for every chain: what a user does and sees, through the gateway's edge, on the demo and on the lab."""

import asyncio
import hashlib
import itertools
import json
import os

import pytest
from support.claims import each_holds
from support.exec_client import Access, Request, run, slow_reader
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN, V4, V5
from gateway.server import lookup
from gateway.settings.config import Limits

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_relay")]


@pytest.fixture
def access(gateway):
    return Access(gateway.url, gateway.token)


def sh(script: str, *streams: str, **more) -> Request:
    return Request(("sh", "-c", script), streams=streams or ("stdout", "stderr"), pod="bash-0", **more)


async def hello_is_echoed(access):
    """Output, Success, close 1000."""
    said = await run(access, Request(("echo", "hello")))

    assert said.stdout == b"hello\n"
    assert said.status.exit_code == 0
    assert said.close_code == 1000
    assert said.hello == [1]
    assert said.late == []


async def exit_code_is_the_commands(access):
    async def one(code: int):
        said = await run(access, sh(f"echo out; echo err >&2; exit {code}"))
        assert (said.stdout, said.stderr, said.status.exit_code) == (b"out\n", b"err\n", code)

    async with asyncio.TaskGroup() as tasks:
        for code in (0, 1, 2, 3, 125, 126, 127, 128, 130, 137, 143, 255):
            tasks.create_task(one(code))


async def words_like_kubectls_are_the_commands_own(access):
    """Not one byte is lost to the search for kubectl's own words."""
    text = "error: mine\ncommand terminated with exit code 3\nError from server: no"
    said = await run(access, sh(f"printf '%s' '{text}' >&2; exit 3"))

    assert said.stderr == text.encode()
    assert said.status.exit_code == 3


@pytest.mark.parametrize("size", [1 << 20, pytest.param(64 << 20, marks=pytest.mark.repetition)])
async def test_binary_each_way(access, size):
    """Random bytes through cat come back equal."""
    data = os.urandom(1 << 20) * (size >> 20)

    async def script(talk):
        await talk.stdin(data)
        await talk.half_close()

    said = await run(
        access, Request(("cat",), streams=("stdin", "stdout"), pod="bash-0"), script, seconds=100
    )

    assert hashlib.sha256(said.stdout).digest() == hashlib.sha256(data).digest()
    assert said.status.exit_code == 0
    assert said.largest <= 32768


async def resize_is_seen_in_the_pod(access):
    async def script(talk):
        await talk.resize(200, 50)
        await talk.stdin(b"sleep 0.2; stty size; exit 7\n")

    said = await run(access, Request(("sh",), streams=("stdin", "stdout", "tty"), pod="bash-0"), script)

    assert b"50 200" in said.stdout
    assert said.status.exit_code == 7


async def the_last_of_a_storm_of_resizes_wins(access):
    async def script(talk):
        await talk.stdin(b"PS1=; echo rea''dy\n")
        await talk.seen(b"ready")
        for number in range(1000):
            await talk.resize(20 + number % 100, 10 + number % 50)
        await talk.resize(123, 45)
        await asyncio.sleep(0.5)
        await talk.stdin(b"stty size; exit\n")

    said = await run(access, Request(("sh",), streams=("stdin", "stdout", "tty"), pod="bash-0"), script)

    assert b"45 123" in said.stdout


async def every_combination_of_streams(access):
    """All 16 of stdin, stdout, stderr, tty."""
    async with asyncio.TaskGroup() as tasks:
        for wanted in itertools.product([False, True], repeat=4):
            tasks.create_task(these_streams(access, *wanted))


async def these_streams(access, stdin, stdout, stderr, tty):
    asked = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "tty": tty}
    names = tuple(name for name, on in asked.items() if on)

    async def script(talk):
        if stdin:
            await talk.stdin(b"typed\n" + (b"\x04" if tty else b""))
            if not tty:
                await talk.half_close()

    request = Request(
        ("sh", "-c", "read line; echo out-$line; echo err-$line >&2; exit 5"),
        streams=names, pod="bash-0",
    )  # fmt: skip
    if not (stdin or stdout or (stderr and not tty)):
        said = await run(access, request)
        assert said.refusal.code == 400, names
        return
    if tty and not stdin:
        return  # nothing ends its `read`: the terminal is its input, as in a cluster

    said = await run(access, request, script)

    assert said.status.exit_code == 5, names
    typed = b"typed" if stdin else b""
    if tty:
        assert (b"out-typed\r\nerr-typed\r\n" in said.stdout) == stdout, names
        assert said.stderr == b"", names
    else:
        assert said.stdout == (b"out-" + typed + b"\n" if stdout else b""), names
        assert said.stderr == (b"err-" + typed + b"\n" if stderr else b""), names


async def keys_sent_before_the_prompt_arrive_once(access):
    """No hop but the pod's own terminal echoes them."""

    async def script(talk):
        await talk.stdin(b"echo a$((1+1))b; exit 4\r")

    said = await run(access, Request(("sh",), streams=("stdin", "stdout", "tty"), pod="bash-0"), script)

    assert said.stdout.count(b"a2b") == 1
    assert (
        said.stdout.count(b"echo a$((1+1))b") <= 2
    )  # the kernel's echo before the shell, the shell's own after
    assert said.status.exit_code == 4


async def control_keys_sent_early_reach_the_pod(access):
    """On an outer terminal ^C or ^Z would end or stop the chain. In the pod ^C may end a shell that is just starting."""

    async def script(talk):
        await talk.stdin(b"\x03\x1a\x03")
        await asyncio.sleep(1)
        await talk.stdin(b"echo still-$((40+2)); exit 0\r")

    said = await run(access, Request(("sh",), streams=("stdin", "stdout", "tty"), pod="bash-0"), script)

    assert b"still-42" in said.stdout or said.status.exit_code == 130


async def half_close_ends_input_and_nothing_else(access):
    async def script(talk):
        await talk.stdin(b"abc")
        await talk.half_close()
        await talk.half_close()
        await talk.stdin(b"late")

    said = await run(
        access, Request(("sh", "-c", "cat; echo done"), streams=("stdin", "stdout"), pod="bash-0"), script
    )

    assert said.stdout == b"abcdone\n"
    assert said.status.exit_code == 0


UNKNOWN = (
    (Request(("ls",), pod="nope"), 404, 'pods "nope" not found'),
    (Request(("ls",), pod="web-0", container="nope"), 400, "container nope is not valid for pod web-0"),
    (Request(("ls",), pod="web-0", namespace="nowhere"), 404, 'pods "web-0" not found'),
    (Request(("ls",), pod="web-0"), 400, "for pod web-0, choose one of: [side main]"),
)


async def what_only_the_cluster_knows_is_refused_before_the_upgrade(access):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "VERIFY", 60.0)  # the gateway's patience is not what is tried
        for request, code, message in UNKNOWN:
            said = await run(access, request)

            assert said.refusal.code == code
            assert message in json.loads(said.refusal.body)["message"]


async def our_own_clients_hear_of_it_in_band(access):
    said = await run(access, Request(("ls",), pod="nope"), row=OWN)

    assert said.controls[-1]["code"] == "pod_not_found"
    assert (said.status.code, said.status.message) == (404, 'pods "nope" not found')
    assert said.close_code == 1000


async def a_workload_is_one_of_its_pods(access):
    said = await run(access, Request(("echo", "hi"), pod="deploy/api"), row=OWN)

    assert said.stdout == b"hi\n"
    assert said.controls[0]["target"]["pod"].startswith("api-")
    assert said.controls[0]["target"]["container"] == "api"


async def a_command_that_is_not_there_is_an_internal_error(access):
    """Headlamp and Rancher look for exactly this."""
    said = await run(access, Request(("no-such-program",), pod="bash-0"))

    assert (said.status.reason, said.status.code) == ("InternalError", 500)
    assert 'exec: "no-such-program": executable file not found in $PATH' in said.status.message
    assert said.stderr == b""


async def our_own_subprotocol_names_hello_start_and_end(way, access):
    said = await run(access, sh("echo hi; exit 3"), row=OWN)

    kinds = [body["type"] for body in said.controls]
    assert kinds == ["hello", "started", "end"]
    assert said.controls[1]["way"] == way
    assert said.controls[-1]["code"] == "exited"
    assert said.controls[-1]["exitCode"] == 3
    assert said.controls[0]["target"]["pod"] == "bash-0"
    assert said.status.exit_code == 3


async def a_session_without_a_command_gets_a_shell(access):
    async def script(talk):
        await talk.stdin(b"echo $((6*7)); exit\n")

    said = await run(access, Request((), pod="bash-0", streams=("stdin", "stdout", "tty")), script, row=OWN)

    assert b"42" in said.stdout
    assert said.status.exit_code == 0


async def test_a_terminal_has_its_keys_and_its_size(access, subtests):
    """Also before there is a prompt."""
    claims = (
        resize_is_seen_in_the_pod,
        the_last_of_a_storm_of_resizes_wins,
        keys_sent_before_the_prompt_arrive_once,
        control_keys_sent_early_reach_the_pod,
        a_session_without_a_command_gets_a_shell,
    )
    await each_holds(subtests, claims, lambda claim: claim(access))


async def v4_has_no_half_close(access):
    async def script(talk):
        await talk.stdin(b"x\n")
        await talk.raw(b"\xff\x00")
        await talk.stdin(b"y\n")

    said = await run(
        access, Request(("head", "-n", "2"), streams=("stdin", "stdout"), pod="bash-0"), script, row=V4
    )

    assert said.stdout == b"x\ny\n"


async def test_a_client_that_pauses_loses_nothing(cluster, tmp_path):
    """A pause under 20 MB that is longer than an end may take (6 s, 20 of 20 on the real chain: DAP_PAUSES=20). Four at
    a time: a chain that is slower than the pod makes kubectl itself lose the tail, whoever reads it.
    """
    size, times = 20_000_000, int(os.environ.get("DAP_PAUSES", "2"))
    pause = 6.0 if "DAP_PAUSES" in os.environ else 2.0
    limits = Limits(finish=pause * 5 / 6, sessions_per_identity=0)

    turns = asyncio.Semaphore(4)

    async def one(access):
        request = Request(("head", "-c", str(size), "/dev/zero"), pod="bash-0")
        async with turns, asyncio.timeout(60), slow_reader(access, request, pause=pause) as read:
            return await read()

    async with served(config_for(cluster, limits=limits), tmp_path) as gateway:
        access = Access(gateway.url, gateway.token)
        for got, code in await asyncio.gather(*(one(access) for _ in range(times))):
            assert (got, code) == (size, 0)


async def echo_many_times_without_a_lost_output(access):
    """Close never overtakes output (1,000 times on the real chain: DAP_ECHO=1000)."""
    times = int(os.environ.get("DAP_ECHO", "10"))
    turns = asyncio.Semaphore(8)

    async def one(number: int):
        async with turns:
            said = await run(access, Request(("echo", str(number)), pod="bash-0"), row=V5)
            assert (said.stdout, said.status and said.status.exit_code) == (b"%d\n" % number, 0), said

    async with asyncio.TaskGroup() as tasks:
        for number in range(times):
            tasks.create_task(one(number))


async def test_with_pipes_every_byte_and_the_exit_code_are_the_commands(cluster, access, subtests):
    """Of a command, a workload's, one that is not there, and on each subprotocol."""
    claims = (
        hello_is_echoed,
        exit_code_is_the_commands,
        words_like_kubectls_are_the_commands_own,
        every_combination_of_streams,
        half_close_ends_input_and_nothing_else,
        what_only_the_cluster_knows_is_refused_before_the_upgrade,
        our_own_clients_hear_of_it_in_band,
        a_workload_is_one_of_its_pods,
        a_command_that_is_not_there_is_an_internal_error,
        v4_has_no_half_close,
        echo_many_times_without_a_lost_output,
    )
    await each_holds(subtests, claims, lambda claim: claim(access))
    with subtests.test(our_own_subprotocol_names_hello_start_and_end.__name__):
        await our_own_subprotocol_names_hello_start_and_end(cluster.exec, access)
