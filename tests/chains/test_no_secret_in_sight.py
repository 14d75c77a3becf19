"""Arguments and environments are for everybody to read: on no hop does a process show a secret there."""

import asyncio
import json
import os
import threading
from contextlib import contextmanager

import asyncssh
from support import openssh
from support.dap import on_a_terminal
from support.exec_client import Access
from support.peer import once
from support.resuming import Resuming, shell
from support.waiting import until

from gateway.backends.ssh.program import run
from gateway.backends.ssh.proxy_command import start_proxy_command
from gateway.settings.names import GATEWAY_SETTINGS

TOKEN = "t0ken-of-the-gateway-itself"
PASSPHRASE = "Correct-Horse-77"
SHELL = 'printf "re""ady\\n"; read x; exit 3'


class Watch:
    """Looks at all processes of this machine, of management host, runner and pods too, again and again. `seen`: their
    secrets, with the process that showed it; `known`: those that may; `looks`: how often.
    """

    def __init__(self):
        self.secrets: list[bytes] = []
        self.known: set[int] = {os.getpid()}
        self.seen: set[tuple[bytes, bytes]] = set()
        self.looks = 0
        self._over = threading.Event()

    def run(self):
        while not self._over.is_set():
            for name in os.listdir("/proc"):  # noqa: PTH208  # fifty times a second
                if name.isdigit() and int(name) not in self.known:
                    self._look(name)
            self.looks += 1
            self._over.wait(0.02)

    def _look(self, pid):
        try:
            words = _whole(f"/proc/{pid}/cmdline")
            shown = words + _whole(f"/proc/{pid}/environ")
        except OSError:
            return
        self.seen |= {(secret, words) for secret in tuple(self.secrets) if secret in shown}

    def stop(self):
        self._over.set()


def _whole(path):
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # pathlib costs more than the file
        return file.read()


@contextmanager
def watching():
    watch = Watch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def settings(cluster):
    return {
        "DAP_RUNNER_SSH_HOST": cluster.ssh_host, "DAP_RUNNER_SSH_KEY": str(cluster.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(cluster.ssh_known_hosts), "DAP_RUNNER_VM": cluster.vm,
        "DAP_RUNNER_MODE": cluster.mode,
    }  # fmt: skip


async def page_token(home):
    """(ticket, page token)"""
    made = await once(str(home.socket), "POST", "/gateway/v1/tickets", body=b"{}")
    ticket = json.loads(made.body)["ticket"]
    traded = await once(
        str(home.socket), "POST", "/gateway/v1/token", body=json.dumps({"ticket": ticket}).encode()
    )
    return ticket, json.loads(traded.body)["token"]


async def test_no_process_of_any_hop_shows_a_secret(home, cluster):
    process = await home.start("serve", "--listen", "127.0.0.1:0", env=settings(cluster), stdin=-3)
    with watching() as watch:
        try:
            url = (await process.stdout.readline()).decode().split()[-1]
            state = home.path / "state" / "dap"
            own = (state / "token").read_text().strip()
            relay = json.loads((state / "relay").read_text())
            ticket, page = await page_token(home)
            watch.secrets += [
                one.encode() for one in (own, ticket, page, relay["secret"], relay["key"])
            ]  # fmt: skip
            for pod, token in (("bash-0", page), ("", own)):
                client = await Resuming(Access(url, token)).open(shell("sh", "-c", SHELL, pod=pod))
                watch.secrets += [client.secret.encode()] * bool(client.secret)
                await client.until(lambda client=client: b"ready" in client.output)
                looks = watch.looks
                await until(lambda looks=looks: watch.looks > looks + 2, 20)
                if client.secret:
                    await client.cut()
                    await client.attach()
                    watch.secrets.append(client.secret.encode())
                client.welcome, client.window = True, client.window or 1 << 20  # the plain chain names none
                await client.type(b"\n")
                await client.until(lambda client=client: client.over)
                assert client.end["exitCode"] == 3
            assert (await home.dap("exec", "bash-0", "--", "true")).code == 0
        finally:
            process.terminate()
            await process.communicate()
    assert min(map(len, watch.secrets)) > 20
    assert len(watch.secrets) >= (5 if cluster.mode == "plain" else 9)
    assert watch.seen == set()


async def test_a_passphrase_is_shown_to_no_process(home, demo, tmp_path):
    key = asyncssh.read_private_key(demo.ssh_key)
    (tmp_path / "key").touch(0o600)
    key.write_private_key(tmp_path / "key", "openssh")
    openssh.lock(tmp_path / "key", PASSPHRASE)
    env = {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(tmp_path / "key"),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance,
        "DAP_RUNNER_MODE": "plain",
    }  # fmt: skip
    words = ("shell", "bash-0", "--", "sh", "-c", SHELL)
    with watching() as watch:
        watch.secrets.append(PASSPHRASE.encode())
        async with asyncio.timeout(60), on_a_terminal(home, *words, env=env) as screen:
            await screen.until(b"assphrase")
            screen.type(f"{PASSPHRASE}\n".encode())
            await screen.until(b"ready")
            looks = watch.looks
            await until(lambda: watch.looks > looks + 2, 20)
            screen.type(b"\r")
            assert await screen.ended() == 3
    assert watch.seen == set()


def test_the_watch_sees_what_is_shown():
    async def show():
        with watching() as watch:
            watch.secrets.append(b"s3cret-s3cret")
            for words, env in (
                (("sleep", "9", "s3cret-s3cret"), {}),
                (("sleep", "9"), {"X": "s3cret-s3cret"}),
            ):
                watch.seen.clear()
                process = await asyncio.create_subprocess_exec(
                    "sh", "-c", "sleep 9 & wait", *words, env=os.environ | env
                )
                await until(lambda: watch.seen, 20)
                process.kill()
                await process.wait()

    asyncio.run(show())


async def test_a_program_of_ssh_is_not_given_the_token_of_the_environment(monkeypatch):
    (name,) = [row.env for row in GATEWAY_SETTINGS if row.secret]
    monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("DAP_OTHER", "is given")
    asked = (await run(["env"], seconds=10)).output.decode()
    proxy = await start_proxy_command("env")
    try:
        carried = (await asyncio.to_thread(drained, proxy.sock)).decode()
    finally:
        proxy.close()
        await proxy.wait_closed()
    for shown in (asked, carried):
        assert "DAP_OTHER=is given" in shown
        assert TOKEN not in shown


def drained(sock):
    sock.setblocking(True)
    with sock.makefile("rb") as file:
        return file.read()
