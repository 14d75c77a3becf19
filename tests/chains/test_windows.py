"""A Windows container, as a kubectl that plays one shows it: exit codes of 32 bits, and no sh; on each chain."""

import pytest
from support.claims import each_holds
from support.exec_client import Access, Request, run
from support.served import cluster_at, config_for, served

from gateway.protocol.subprotocols import OWN, V5

CODE = 3221225786  # STATUS_CONTROL_C_EXIT
KUBECTL = """#!/bin/sh
for word; do last=$word; done
case $last in
lenient) printf err >&2; echo 'command terminated with exit code 3221225786' >&2; exit 58 ;;
strict) printf err >&2
  echo 'error: error stream protocol error: invalid exit code value "3221225786"' >&2; exit 1 ;;
*"exec bash"*) echo 'error: Internal error occurred: error executing command in container: failed to exec in container:' \
  'failed to start exec "0a": hcs::System::CreateProcess 0a: The system cannot find the file specified.: unknown' >&2; exit 1 ;;
esac
exec "$0-here" "$@"
"""


@pytest.fixture(params=["plain", "relay"])
async def access(request, own_demo, tmp_path):
    demo, kubectl = own_demo, own_demo.directory / "bin" / "kubectl"
    kubectl.rename(kubectl.with_name("kubectl-here"))
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o700)
    cluster = cluster_at(
        demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=request.param, way="kubectl"
    )
    async with served(config_for(cluster), tmp_path) as gateway:
        yield Access(gateway.url, gateway.token)


async def an_exit_code_of_32_bits_is_the_commands_and_no_word_of_kubectl_its_stderr(access):
    """In a terminal too."""
    for kind in ("lenient", "strict"):
        ours = await run(access, Request(("x", kind), pod="bash-0"), row=OWN)
        theirs = await run(access, Request(("x", kind), pod="bash-0", container="main"), row=V5)

        assert (ours.controls[-1]["code"], ours.controls[-1]["exitCode"]) == ("exited", CODE), kind
        for said in (ours, theirs):
            assert said.stderr == b"err"
            assert said.status.exit_code == CODE

    said = await run(
        access, Request(("x", "strict"), pod="bash-0", streams=("stdin", "stdout", "tty")), row=OWN
    )

    assert said.controls[-1]["exitCode"] == CODE


async def without_a_command_the_end_says_that_it_is_a_windows_container(access):
    said = await run(access, Request((), pod="bash-0", streams=("stdin", "stdout", "tty")), row=OWN)

    end = said.controls[-1]
    assert (end["code"], end["hop"]) == ("no_shell", "pod")
    assert "Windows" in end["message"]
    assert "powershell" in end["message"]


async def test_its_exit_codes_and_what_it_has_not_are_told(access, subtests):
    claims = (
        an_exit_code_of_32_bits_is_the_commands_and_no_word_of_kubectl_its_stderr,
        without_a_command_the_end_says_that_it_is_a_windows_container,
    )
    await each_holds(subtests, claims, lambda claim: claim(access))
