"""kubectl in the runner runs a credential plugin: whose words are whose, and what ends a plugin that waits; on each chain."""

import asyncio
import time

import pytest
from support.claims import each_holds
from support.exec_client import Access, Request, run
from support.repeated import again
from support.served import cluster_at, config_for, served

from gateway.protocol.subprotocols import OWN, V5
from gateway.settings.config import Limits

# As client-go does it: the plugin inherits stderr, its variable says who runs it, kubectl's words come last
KUBECTL = """#!/bin/sh
case " $* " in *" exec "*|*" get --raw "*) ;; *) exec "$0-here" "$@" ;; esac
KUBERNETES_EXEC_INFO='{}' "${0%/*}/plugin" >/dev/null || {
  echo "Unable to connect to the server: getting credentials: exec: executable plugin failed with exit code $?" >&2
  exit 1
}
exec "$0-here" "$@"
"""
CHATTER = "echo 'Using cached token' >&2; sleep 0.2; echo 'W0101 00:00:00.000000      77 x.go:1] expires soon' >&2; sleep 0.1"
FAILS = "echo 'Token has expired.' >&2; echo 'Run: aws sso login' >&2; sleep 0.1; exit 255"
ASKS = "echo 'Enter MFA code:' >&2; exec sleep 100"
BOTH = pytest.mark.parametrize("mode", ["plain", "relay"])
TTY, PIPES = ("stdin", "stdout", "tty"), ("stdout", "stderr")
WAYS = pytest.mark.parametrize(
    ("mode", "streams"),
    [("plain", PIPES), ("relay", TTY), again("plain", TTY), again("relay", PIPES)],
    ids=["plain-pipes", "relay-terminal", "plain-terminal", "relay-pipes"],
)


def program(path, text):
    path.write_text(text)
    path.chmod(0o700)


def with_plugin(demo, does, mode):
    kubectl = demo.directory / "bin" / "kubectl"
    kubectl.rename(kubectl.with_name("kubectl-here"))
    program(kubectl, KUBECTL)
    program(kubectl.with_name("plugin"), f"#!/bin/sh\n{does}\n")
    cluster = cluster_at(
        demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode, way="kubectl"
    )
    return config_for(cluster, limits=Limits(start=3.0, sessions_per_identity=0))


def request(*argv, streams=("stdout", "stderr")):
    return Request(argv, pod="bash-0", container="main", streams=streams)


@WAYS
async def test_a_plugin_that_fails_says_what_to_do(own_demo, tmp_path, mode, streams):
    async with served(with_plugin(own_demo, FAILS, mode), tmp_path) as gateway:
        access = Access(gateway.url, gateway.token)
        said = await run(access, request("true", streams=streams), row=OWN)
        checks = await gateway.gateway.backends["default"].check()

    end = said.controls[-1]
    assert (end["code"], end["hop"]) == ("runner_credentials", "runner")
    assert end["message"] == (
        "Token has expired. Run: aws sso login (exec: executable plugin failed with exit code 255)"
    )
    assert mode == "plain" or (said.stdout, said.stderr) == (b"", b"")
    assert checks[-1].outcome.code == "runner_credentials"


@BOTH
async def test_a_plugin_that_is_missing_is_told_too(own_demo, tmp_path, mode):
    config = with_plugin(own_demo, "", mode)
    words = "Unable to connect to the server: getting credentials: exec: executable aws not found\n\nIt looks like you are"
    program(own_demo.directory / "bin" / "kubectl", f"#!/bin/sh\necho '{words}\ntrying\n' >&2; exit 1\n")
    async with served(config, tmp_path) as gateway:
        said = await run(Access(gateway.url, gateway.token), request("true"), row=OWN)

    assert said.controls[-1]["code"] == "runner_credentials"
    assert "executable aws not found" in said.controls[-1]["message"]


@WAYS
async def test_the_start_limit_holds_while_a_plugin_asks(own_demo, tmp_path, mode, streams):
    async with served(with_plugin(own_demo, ASKS, mode), tmp_path) as gateway:
        began = time.monotonic()
        said = await run(Access(gateway.url, gateway.token), request("true", streams=streams), row=OWN)

    assert time.monotonic() - began < 9
    end = said.controls[-1]
    assert (end["code"], end["hop"]) == ("runner_credentials", "runner")
    assert "Enter MFA code:" in end["message"]


KEYS = (b"\x03", b"\x1c", b"\r~.", b"~.")


@pytest.mark.parametrize(
    ("mode", "keys"),
    [("relay", KEYS[:1]), ("plain", KEYS), again("relay", KEYS[1:])],
    ids=["relay", "plain", "relay-others"],
)
async def test_a_key_ends_it_too(own_demo, tmp_path, subtests, mode, keys):
    async with served(with_plugin(own_demo, ASKS, mode), tmp_path) as gateway:
        access = Access(gateway.url, gateway.token)
        for key in keys:
            with subtests.test(key=key):
                await a_key_ends_it(access, key)


async def a_key_ends_it(access, key):
    async def script(talk):
        await asyncio.sleep(0.7)
        await talk.stdin(key)

    began = time.monotonic()
    said = await run(access, request("true", streams=TTY), script, row=OWN)

    assert time.monotonic() - began < 2.9
    assert said.controls[-1]["code"] == "runner_credentials"


async def chatter_before_the_start_is_no_stderr_of_the_command(access):
    """Only a relay sees who writes."""
    for row in (OWN, V5):
        said = await run(access, request("sh", "-c", "echo out; echo err >&2; exit 3"), row=row)

        assert (said.stdout, said.stderr, said.status.exit_code) == (b"out\n", b"err\n", 3), row


async def a_key_is_the_commands_once_it_runs(access):
    async def script(talk):
        await asyncio.sleep(1.0)
        await talk.stdin(b"~.\r")
        await asyncio.sleep(0.3)
        await talk.stdin(b"\x03")

    words = "trap 'echo INT; exit 7' INT; read x; echo got $x; sleep 5 & wait"
    said = await run(access, request("sh", "-c", words, streams=TTY), script, row=OWN)

    assert b"got ~." in said.stdout
    assert said.controls[-1]["exitCode"] == 7


async def test_what_a_plugin_says_and_is_typed_before_the_start_is_not_the_commands(
    own_demo, tmp_path, subtests
):
    claims = (
        chatter_before_the_start_is_no_stderr_of_the_command,
        a_key_is_the_commands_once_it_runs,
    )
    async with served(with_plugin(own_demo, CHATTER, "relay"), tmp_path) as gateway:
        access = Access(gateway.url, gateway.token)
        await each_holds(subtests, claims, lambda claim: claim(access))


KLOG = r"""printf 'E0728 12:00:00.123456 %%7d memcache.go:265] "Unhandled Error" err="x"\n' %s >&2
"""


@BOTH
async def test_klog_lines_are_kubectls_behind_a_wrapper_that_does_not_become_kubectl(
    own_demo, tmp_path, mode
):
    config = with_plugin(own_demo, "", mode)
    programs = own_demo.directory / "bin"
    program(programs / "kubectl", '#!/bin/bash\n"$0-there" "$@"\nexit $?\n')
    program(
        programs / "kubectl-there",
        f'#!/bin/sh\nsleep 0.2\n{KLOG % "$$"}sleep 0.3\nexec "${{0%-there}}-here" "$@"\n',
    )
    async with served(config, tmp_path) as gateway:
        script = request("sh", "-c", KLOG % "1" + "echo err >&2; exit 3")
        said = await run(Access(gateway.url, gateway.token), script, row=OWN)

    theirs = b'E0728 12:00:00.123456       1 memcache.go:265] "Unhandled Error" err="x"\n'
    assert (said.stderr, said.controls[-1]["exitCode"]) == (theirs + b"err\n", 3)
