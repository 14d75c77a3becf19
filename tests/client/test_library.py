"""The library, as a program uses it, at the demo."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from support.claims import each_holds
from support.served import TOKEN, cluster_at, config_for, served
from support.waiting import until

from gateway.client import CommandFailed, DapError, connect, connect_sync
from gateway.client.library.loop_thread import LoopThread

EXAMPLES = Path(__file__).parents[2] / "hack" / "examples"


@pytest.fixture
async def config(demo, tmp_path):
    """Settings that name a gateway in this process."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path / "at", alone=False) as running:
        yield replace(config_for(), url=running.url, token=TOKEN)


async def test_what_a_program_can_do(config, subtests):
    claims = (commands, a_living_command_and_its_streams, a_reader_gets_all_while_the_command_is_waited_for,
              output_that_nobody_reads_any_more_holds_up_no_wait, logs_and_ports)  # fmt: skip
    await each_holds(subtests, claims, lambda claim: claim(config))


async def commands(config):
    async with connect(config=config) as gateway:
        pod = gateway.pod("web-0")
        done = await pod.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"\xff in")
        assert (done.exit_code, done.stdout, done.stderr) == (3, b"\xff in", b"err\n")
        assert (await pod.run(["echo", "é"], text=True)).stdout == "é\n"
        assert (await pod.run(["echo", "dropped"], capture=False)).stdout == b""
        with pytest.raises(CommandFailed) as failed:
            await pod.run(["sh", "-c", "echo said; exit 4"], check=True)
        assert (failed.value.code, failed.value.hop, failed.value.completed.stdout) == (
            "exited",
            "pod",
            b"said\n",
        )
        with pytest.raises(DapError) as missing:
            await gateway.pod("web-9").run(["true"])
        assert (missing.value.code, missing.value.hop) == ("pod_not_found", "cluster")
        for wrong in (lambda: gateway.pod("no/thing"), lambda: pod.exec(["a\0b"])):
            with pytest.raises(DapError) as refused:
                wrong()
            assert (refused.value.code, refused.value.hop) == ("bad_request", "client")
        with pytest.raises(DapError, match="more than the 10 bytes"):
            await pod.run(["echo", "more than ten bytes"], limit=10)
        assert (await gateway.runner.run(["echo", "here"])).stdout == b"here\n"
        assert b"web-0" in (await gateway.kubectl(["get", "pods"], check=True)).stdout
        assert (await gateway.get("/api/v1/namespaces/default/pods/web-0"))["metadata"]["name"] == "web-0"


async def a_living_command_and_its_streams(config):
    async with (
        connect(config=config) as gateway,
        gateway.pod("web-0").exec(["sh", "-c", "cat; echo end >&2; exit 5"]) as one,
    ):
        await one.stdin.write(b"ping")
        assert await anext(one.stdout) == b"ping"
        await one.stdin.close()
        assert (await one.stdout.read(), await one.stderr.read(), await one.wait()) == (b"", b"end\n", 5)


MUCH = b"x" * (4 << 20)  # more than waits for a reader


async def a_reader_gets_all_while_the_command_is_waited_for(config):
    async def iterated(output):
        parts = []
        async for part in output:
            parts.append(part)
            await asyncio.sleep(0)  # nobody waits for a part meanwhile
        return b"".join(parts)

    for read in (lambda output: output.read(), iterated):
        async with (
            connect(config=config) as gateway,
            gateway.pod("web-0").exec(["sh", "-c", "cat; exit 5"]) as one,
            asyncio.TaskGroup() as tasks,
        ):
            out, err = (tasks.create_task(read(output)) for output in (one.stdout, one.stderr))
            code = tasks.create_task(one.wait())
            await one.stdin.write(MUCH)
            await one.stdin.close()
        assert (out.result() == MUCH, err.result(), code.result()) == (True, b"", 5)


async def output_that_nobody_reads_any_more_holds_up_no_wait(config):
    async def left(output):
        async for _ in output:
            break

    for read in (None, left, anext):
        async with (
            connect(config=config) as gateway,
            gateway.pod("web-0").exec(["sh", "-c", "cat; exit 5"]) as one,
            asyncio.TaskGroup() as tasks,
        ):
            if read:
                tasks.create_task(read(one.stdout))
            code = tasks.create_task(one.wait())
            await one.stdin.write(MUCH)
            await one.stdin.close()
            assert (await code, await one.stdout.read(), await one.stderr.read()) == (5, b"", b"")


async def logs_and_ports(config):
    async def serve(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nhi")
        writer.close()

    async with (
        connect(config=config) as gateway,
        aclosing(gateway.pod("deploy/api").logs(follow=True, tail=1)) as lines,
    ):
        assert {(await anext(lines)).pod[:4] for _ in range(2)} == {"api-"}
        assert len([line async for line in gateway.pod("web-0").logs()]) == 3
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with gateway.port_forward("web-0", port) as forward:
                reader, writer = await asyncio.open_connection("127.0.0.1", forward.port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                assert (await reader.read()).endswith(b"hi")
                writer.close()
                assert (await anext(forward.states())).state == "healthy"
            reply = await gateway.curl(f"http://127.0.0.1:{port}/", timeout=20)
        assert (reply.status, reply.body, dict(reply.headers)["X-Own"]) == (200, b"hi", "1")


async def test_a_command_that_is_cut_off_is_ended_in_the_pod(config, tmp_path):
    file = tmp_path / "alive"
    async with connect(config=config) as gateway:
        with pytest.raises(TimeoutError):
            await gateway.pod("web-0").run(
                ["sh", "-c", f"trap 'rm {file}' HUP TERM; touch {file}; sleep 100 & wait"], timeout=2
            )
        await until(lambda: not file.exists())


async def test_the_face_that_blocks(config, tmp_path):
    def program():
        with connect_sync(config=config) as gateway:
            pod = gateway.pod("bash-0")
            (tmp_path / "f").write_bytes(b"content")
            assert pod.upload(tmp_path / "f", "g").files == 1
            assert pod.download("g", tmp_path / "h").sha256
            assert (tmp_path / "h").read_bytes() == b"content"
            assert len(list(pod.logs())) == 3
            with pytest.raises(CommandFailed):
                pod.run(["false"], check=True)
            with pod.exec(["cat"]) as running:
                running.stdin.write(b"x")
                assert next(iter(running.stdout)) == b"x"
            with pod.exec(["cat"]) as running, ThreadPoolExecutor(1) as threads:
                began = Event()
                parts = threads.submit(lambda: [began.set() or part for part in running.stdout])
                running.stdin.write(b"x")
                began.wait()
                running.stdin.write(MUCH)
                running.stdin.close()
                assert running.wait() == 0
                assert b"".join(parts.result()) == b"x" + MUCH
            return pod.run(["cat", "g"], text=True).stdout

    assert await asyncio.to_thread(program) == "content"


async def test_examples(config, home, subtests):
    env = home.env | {"DAP_GATEWAY_URL": config.url, "DAP_GATEWAY_TOKEN": config.token}
    for words, said in (
        ("everywhere.py deploy/api -- echo here", b"api-7c9d8f6b5d-4xkzq: here"),
        ("wait_for_line.py deploy/api nothing 20", b"nothing more will be written here"),
        (f"round_trip.py web-0 {__file__}", b"the same: True\ngone\n"),
    ):
        name, *rest = words.split()
        with subtests.test(name):
            process = await asyncio.create_subprocess_exec(
                sys.executable, EXAMPLES / name, *rest, env=env,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            assert (process.returncode, err) == (0, b"")
            assert said in out


def test_an_iterator_that_is_dropped_late_holds_up_nothing():
    """The collector finalizes it in any thread, also in the one of the loop, and behind its end."""

    async def values():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    closed, loop = [], LoopThread()
    held = [loop.iterated(values()) for _ in range(2)]
    assert [next(one) for one in held] == [1, 1]

    async def drop():
        held.pop()

    loop.run(drop())
    loop.close()
    held.clear()
    assert closed == [True, True]
