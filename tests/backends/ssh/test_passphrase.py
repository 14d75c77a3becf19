"""Private keys with a passphrase, asked for once and when it is needed; and the key that the gateway's settings name."""

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from support import openssh
from support.ssh_login import Waiting, login, settings_of
from support.sshd import sshd

from gateway.backends.ssh.identities import identities
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.settings import SshSettings
from gateway.errors import HopFailed

pytestmark = pytest.mark.timeout(60)


class Prompt:
    """Answers one after the other, each when `typed` is set; what was asked is in `asked`."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.typed = asyncio.Event()
        self.typed.set()

    async def __call__(self, question: str, echo: bool) -> str | None:
        assert not echo
        self.asked.append(question)
        await self.typed.wait()
        return self.answers.pop(0) if self.answers else None


FORMS = [("openssh", True), ("openssh", False), ("pkcs8-pem", True), ("pkcs8-pem", False)]
forms = pytest.mark.parametrize(("form", "public"), FORMS)


def lock(path: Path, form: str = "openssh", *, public: bool = True) -> asyncssh.SSHKey:
    """Puts a passphrase on a key file."""
    key = asyncssh.read_private_key(path)
    if form == "openssh":
        openssh.lock(path, "secret")
    else:
        path.write_bytes(key.export_private_key(form, "secret"))
    if not public:
        Path(f"{path}.pub").unlink()
    return key


@forms
async def test_a_passphrase_is_asked_once_for_many_logins(keys, form, public):
    key, prompt, waiting = lock(keys / "a", form, public=public), Prompt("secret"), Waiting()
    passphrase = Passphrase(prompt)
    prompt.typed.clear()
    async with sshd(key) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a",))
        async with asyncio.TaskGroup() as tasks:
            logins = [tasks.create_task(login(settings, passphrase, waiting=waiting)) for _ in range(3)]
            await waiting.begun[3].wait()  # the network's clock stands still for all of them
            prompt.typed.set()
        assert [one.result() for one in logins] == [(True, "")] * 3
        assert await login(settings, passphrase) == (True, "")
    assert prompt.asked == [f"Passphrase for {keys / 'a'}: "]


@forms
@pytest.mark.parametrize("required", [True, False])
async def test_a_wrong_passphrase_is_said_and_asked_again(keys, form, public, required):
    key, prompt = lock(keys / "a", form, public=public), Prompt("mistyped", "secret")
    passphrase = Passphrase(prompt)
    async with sshd(key) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a",))
        assert "a: the passphrase does not open it" in (await said(settings, passphrase, required)).replace(
            " was left out", ""
        ).replace(" cannot be used", "")
        assert await login(settings, passphrase, required=required) == (True, "")
    assert len(prompt.asked) == 2


@forms
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("answers", [None, ()])
async def test_a_passphrase_that_nobody_gives(keys, form, public, required, answers):
    key = lock(keys / "a", form, public=public)
    passphrase = Passphrase(None if answers is None else Prompt())
    async with sshd(key) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a",))
        words = await said(settings, passphrase, required)
        assert f"the key {keys / 'a'}".removeprefix("the ") in words.replace("SSH ", "")
        assert "nobody can be asked" in words
        assert server.logins == []


async def said(settings: SshSettings, passphrase: Passphrase, required: bool) -> str:
    """The words about a login that fails: an error where the key is required."""
    if required:
        with pytest.raises(HopFailed) as failed:
            await login(settings, passphrase, required=True)
        assert failed.value.code == "ssh_config"
        return failed.value.message
    let_in, remarks = await login(settings, passphrase)
    assert not let_in
    return remarks


async def test_no_passphrase_is_asked_for_a_key_that_is_not_needed(keys, agent):
    """An agent has it; another key comes before it; the host does not take it."""
    agent.add(keys / "a")
    key, prompt = lock(keys / "a"), Prompt()
    passphrase = Passphrase(prompt)
    async with sshd(key) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a",), agent=agent.socket)
        assert await login(settings, passphrase, required=True) == (True, "")
        lock(keys / "b")
        assert (await login(replace(settings, identity_files=(keys / "b", keys / "a")), passphrase))[0]
    assert prompt.asked == []


async def test_a_key_is_read_anew_when_its_file_is_replaced(keys):
    old, prompt = lock(keys / "a"), Prompt("secret", "secret")
    passphrase = Passphrase(prompt)
    async with sshd(old) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a",))
        assert (await login(settings, passphrase))[0]
        shutil.copy(keys / "b", keys / "a")
        shutil.copy(keys / "b.pub", keys / "a.pub")
        server.keys[:] = [lock(keys / "a")]
        assert (await login(settings, passphrase))[0]


# a key that the settings of the gateway name


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.unlink(), "there is no such file"),
        (lambda file: file.write_bytes(b""), "there is no private key in it"),
        (lambda file: file.write_bytes(b"no key"), "there is no private key in it"),
        (
            lambda file: file.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
            "it is no private key",
        ),
        (lambda file: file.chmod(0o644), "others can read it: chmod 600"),
        (lambda file: (file.unlink(), file.mkdir()), "there is no private key in it"),
    ],
    ids=["absent", "empty", "text", "cut off", "others can read it", "directory"],
)
@pytest.mark.parametrize("public", [True, False])
async def test_a_required_key_that_cannot_be_used_is_named(keys, spoil, words, public):
    spoil(keys / "a")
    if not public:
        os.unlink(keys / "a.pub")  # noqa: PTH108
    settings = settings_of(0, "me", identity_files=(keys / "a",), identities_only=True)
    with pytest.raises(HopFailed) as failed:
        async with identities(settings, Passphrase(None), required=True):
            pytest.fail("it can be used")
    assert failed.value.code == "ssh_config"
    assert str(keys / "a") in failed.value.message
    assert words in failed.value.message


async def test_a_required_public_key_is_enough_with_an_agent(keys, agent):
    agent.add(keys / "b", keys / "a")
    async with sshd(asyncssh.read_private_key(keys / "a")) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "a.pub",), identities_only=True)
        assert await login(replace(settings, agent=agent.socket), required=True) == (True, "")
        with pytest.raises(
            HopFailed, match=r"a\.pub cannot be used: there is no private key in it, nor in an SSH agent"
        ):
            await login(settings, required=True)
