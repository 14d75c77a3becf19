"""The whole way through a management host whose user has another login shell than sh."""

import shutil

import pytest
from support.exec_client import Access, Request, run
from support.served import cluster_at, config_for, served

from gateway.demo import demo_chain
from gateway.protocol.subprotocols import OWN


@pytest.mark.parametrize("shell", ["zsh", "ksh", "tcsh", "fish"])
async def test_sessions_are_the_same_through_any_login_shell(shell, tmp_path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no login shell of that kind here: {shell}")
    async with demo_chain(shell=program) as demo:
        where = (demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance)
        for mode in ("plain", "relay"):
            async with served(config_for(cluster_at(*where, mode=mode)), tmp_path / mode) as gateway:
                access = Access(gateway.url, gateway.token)
                pipes = Request(
                    ("sh", "-c", "echo 'out!'; echo err\\\\ >&2; cat; exit 3"),
                    streams=("stdin", "stdout", "stderr"),
                )
                terminal = Request(("sh", "-c", "stty size; tty; exit 4"), streams=("stdin", "stdout", "tty"))

                async def end(talk):
                    await talk.stdin(b"in\n")
                    await talk.half_close()

                said = await run(access, pipes, end, row=OWN)
                assert (said.stdout, said.stderr) == (b"out!\nin\n", b"err\\\n")
                assert said.controls[-1]["exitCode"] == 3
                shown = await run(access, terminal, row=OWN)
                assert b"/dev/pts/" in shown.stdout
                assert shown.controls[-1]["exitCode"] == 4
