"""SSH agents: absent, broken, slow; and agents that ask a person, who may refuse."""

import asyncio
import hashlib
import os
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from support.ssh_login import Waiting, login, settings_of, ssh_agent
from support.sshd import sshd

from gateway.backends.ssh.identities import IdentityLimits, identities
from gateway.backends.ssh.passphrase import Passphrase

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def answering(folder: Path, answer):
    """A program that listens like an agent. Yields its socket and an event: somebody who had connected is gone."""
    gone = asyncio.Event()

    async def serve(reader, writer):
        while message := await reader.read(4096):
            writer.write(answer(message))
        gone.set()
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "answering")
    try:
        yield str(folder / "answering"), gone
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "did not answer within 0.2 s"),
        (b"\0\0\0\1\5", "lists no keys"),
        (b"\0\0\0\5\x0c\0\0\0\7", "lists no keys"),
        (b"HTTP/1.1 400 Bad Request", "did not answer within 0.2 s"),
        (b"\0\0\0\0", "lists no keys"),
    ],
    ids=["nothing", "failure", "fewer keys than it says", "another program", "an empty message"],
)
async def test_an_agent_that_cannot_be_used_is_no_agent(keys, tmp_path, answer, words):
    async with answering(tmp_path, lambda _: answer) as (path, gone):
        settings = settings_of(0, "me", identity_files=(keys / "a",), agent=path)
        async with identities(settings, Passphrase(None), patience=IdentityLimits(agent=0.2)) as offered:
            assert await offered.next()
            assert words in "".join(offered.remarks)
        await gone.wait()


@pytest.mark.parametrize("there", [True, False])
async def test_an_agent_that_has_ended_is_no_agent(keys, tmp_path, there):
    with ssh_agent(tmp_path) as ended:
        pass
    if not there:
        os.unlink(tmp_path / "agent")  # noqa: PTH108
    settings = settings_of(0, "me", identity_files=(keys / "a",), agent=ended.socket)
    async with identities(settings, Passphrase(None)) as offered:
        assert await offered.next()
        assert "cannot be reached" in "".join(offered.remarks)


async def test_the_agent_is_left_when_a_login_is_cancelled(tmp_path):
    async with answering(tmp_path, lambda _: b"\0\0\0\5\x0c\0\0\0\0") as (path, gone):
        entered = asyncio.Event()

        async def hold():
            async with identities(settings_of(0, "me", agent=path), Passphrase(None)):
                entered.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(hold())
            await entered.wait()
            task.cancel()
        await gone.wait()


@pytest.fixture
def confirming(tmp_path):
    """An agent that asks a person: what a test writes to `tmp_path`/answer is the exit status of the question."""
    os.mkfifo(tmp_path / "answer")
    script = tmp_path / "askpass"
    script.write_text(f"#!/bin/sh\nread code <{tmp_path}/answer\nexit $code\n")
    script.chmod(0o700)
    with ssh_agent(tmp_path, SSH_ASKPASS=str(script), SSH_ASKPASS_REQUIRE="force") as running:
        yield running


@pytest.mark.parametrize("code", [0, 1])
async def test_an_agent_may_ask_a_person_who_may_refuse(keys, tmp_path, confirming, code):
    """Then the next key is offered, as in ssh."""
    confirming.add(keys / "a", options=("-c",))
    confirming.add(keys / "b")
    waiting = Waiting()
    async with sshd(*(asyncssh.read_private_key(keys / name) for name in "ab")) as server:
        settings = settings_of(server.port, "me", agent=confirming.socket)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(login(settings, waiting=waiting))
            await waiting.begun[1].wait()
            assert server.logins == []
            await asyncio.to_thread((tmp_path / "answer").write_text, f"{code}\n")
        let_in, remarks = task.result()
    assert let_in
    assert waiting.seen == ["the SSH agent", ""] * (1 + code)
    assert ("the key a was left out: the SSH agent refused to sign" in remarks) == bool(code)


async def test_a_person_has_so_many_seconds_to_confirm(keys, tmp_path, confirming):
    """After that the agent is asked nothing more, since its late answer would be taken for another one."""
    confirming.add(keys / "a", keys / "b", options=("-c",))
    async with sshd(*(asyncssh.read_private_key(keys / name) for name in "abc")) as server:
        settings = settings_of(server.port, "me", agent=confirming.socket, identity_files=(keys / "c",))
        let_in, remarks = await login(settings, patience=IdentityLimits(signature=0.2))
        await asyncio.to_thread((tmp_path / "answer").write_text, "0\n")
    assert let_in
    assert "the key a was left out: the SSH agent did not sign within 0.2 s" in remarks
    assert "the key b was left out: the SSH agent has not answered before" in remarks


async def test_the_key_of_a_hardware_token_signs_in_the_agent(tmp_path):
    """The token is played: it signs as a FIDO token would (OpenSSH's PROTOCOL.u2f)."""
    token = asyncssh.generate_private_key("ssh-ed25519")
    blob = string(b"sk-ssh-ed25519@openssh.com") + token.public_data[15:] + string(b"ssh:")

    def answer(message: bytes) -> bytes:
        if message[4] == 11:  # SSH_AGENTC_REQUEST_IDENTITIES
            return string(b"\x0c" + (1).to_bytes(4, "big") + string(blob) + string(b"token"))
        data = message[5 + 4 + len(blob) + 4 : -4]
        touched = b"\1" + (7).to_bytes(4, "big")
        signed = hashlib.sha256(b"ssh:").digest() + touched + hashlib.sha256(data).digest()
        raw = token.sign(signed, b"ssh-ed25519")[15:]
        return string(b"\x0e" + string(string(b"sk-ssh-ed25519@openssh.com") + raw + touched))

    public = asyncssh.import_public_key(b"sk-ssh-ed25519@openssh.com " + b64encode(blob))
    (tmp_path / "id_sk.pub").write_bytes(public.export_public_key())
    async with sshd(public) as server, answering(tmp_path, answer) as (path, _):
        settings = settings_of(server.port, "me", identity_files=(tmp_path / "id_sk",), identities_only=True)
        assert await login(replace(settings, agent=path)) == (True, "")
        let_in, remarks = await login(settings)
        assert not let_in
        assert "id_sk was left out: it needs its hardware" in remarks


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
