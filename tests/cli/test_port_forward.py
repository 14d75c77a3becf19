"""`dap port-forward` at the demo, whose pods have the ports of this machine."""

import asyncio
import contextlib
import json
import re
import signal
import socket
from contextlib import asynccontextmanager

import pytest
from support.repeated import again
from support.served import cluster_at, config_for, served
from support.waiting import until

from gateway.settings.config import Limits


@asynccontextmanager
async def upper(port=0):
    """A program of the pod's, on this port: says what it hears in capitals, and says goodbye when it hears bye. Its
    connections end with their forward.
    """
    talking = set()

    async def talk(reader, writer):
        talking.add(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data.upper())
                if b"bye" in data:
                    break
        writer.close()
        talking.discard(writer)

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await until(lambda: not talking)


@asynccontextmanager
async def forwarding(home, env, *words):
    """`dap port-forward`, and its first line."""
    process = await home.start("port-forward", *words, env=env)
    try:
        async with asyncio.timeout(20):
            yield process, (await process.stdout.readline()).decode()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


def local(line):
    return int(re.search(r":(\d+) -> ", line)[1])


async def talked(port, data, size=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await (reader.read() if size is None else reader.readexactly(size))
    writer.close()
    return answer


async def test_bytes_go_both_ways_and_ctrl_c_ends_it(home, at):
    async with upper() as port, forwarding(home, at, "web-0", f"0:{port}") as (process, line):
        assert line == f"Forwarding from 127.0.0.1:{local(line)} -> web-0:{port}\n"
        assert await talked(local(line), b"hello, bye") == b"HELLO, BYE"
        large = b"x" * 1_500_000
        idle = await asyncio.open_connection("127.0.0.1", local(line))  # nobody waits for it
        answers = await asyncio.gather(*(talked(local(line), large, len(large)) for _ in range(3)))
        assert [answer == large.upper() for answer in answers] == [True] * 3
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert (process.returncode, err) == (130, b"")
        idle[1].close()


async def test_the_end_of_one_way_is_passed_on_and_a_session_serves_the_next_connection(home, at):
    async def counts(reader, writer):
        said = await reader.read()  # to the end
        writer.write(b"%d bytes" % len(said))
        writer.close()

    server = await asyncio.start_server(counts, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, forwarding(home, at, "web-0", f"0:{port}") as (_, line):
        for size in (0, 5, 200_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", local(line))
            writer.write(bytes(size))
            writer.write_eof()
            assert await reader.read() == b"%d bytes" % size
            writer.close()


@pytest.mark.parametrize("count", [40, again(200)])
async def test_many_connections_are_open_at_once_with_the_limits_as_they_are(demo, home, tmp_path, count):
    """One that nobody reads holds up none of the others."""
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster, limits=Limits()), tmp_path / "at") as running, upper() as port:
        env = home.env | {"DAP_GATEWAY_URL": running.url, "DAP_GATEWAY_TOKEN": running.token}
        async with forwarding(home, env, "web-0", f"0:{port}") as (_, line):
            stalled = await asyncio.open_connection("127.0.0.1", local(line), limit=1)
            stalled[1].write(b"x" * 4_000_000)
            opened = [await asyncio.open_connection("127.0.0.1", local(line)) for _ in range(count)]
            for _, writer in opened:
                writer.write(b"hello")
            heard = await asyncio.gather(*(reader.readexactly(5) for reader, _ in opened))
            assert heard == [b"HELLO"] * count
            assert running.gateway.registry.quota.sessions == 1
            for _, writer in (*opened, stalled):
                writer.transport.abort()


async def test_states_for_programs(home, at):
    async with upper() as port:
        async with forwarding(home, at, "deploy/api", f"0:{port}", "--json") as (process, line):
            assert json.loads(line) == {
                "state": "starting", "target": "deploy/api", "remote": str(port), "local": []
            }  # fmt: skip
            healthy = json.loads(await process.stdout.readline())
            assert (healthy["state"], healthy["namespace"], healthy["port"]) == ("healthy", "default", port)
            assert healthy["pod"].startswith("api-7c9d8f6b5d-")
            process.send_signal(signal.SIGTERM)
            out, _ = await process.communicate()
        assert [json.loads(row)["state"] for row in out.splitlines()] == ["stopped"]
        assert process.returncode == 128 + signal.SIGTERM


async def test_a_port_that_nothing_listens_on_is_waited_for_and_comes_back(home, at):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with forwarding(home, at, "web-0", f"0:{port}", "--json") as (process, _):
        starting = json.loads(await process.stdout.readline())
        assert starting["message"] == "nothing listens on this port of the pod (connection refused)"
        async with upper(port):
            healthy = json.loads(await process.stdout.readline())
            assert healthy["state"] == "healthy"
            number = int(healthy["local"][0].rpartition(":")[2])
            assert await talked(number, b"one bye") == b"ONE BYE"
        assert await talked(number, b"two bye") == b""
        seen = [json.loads(await process.stdout.readline())["state"] for _ in range(2)]
        assert seen == ["connection failed", "failed"]
        async with upper(port):
            while json.loads(await process.stdout.readline())["state"] != "healthy":
                pass
            assert await talked(number, b"three bye") == b"THREE BYE"


async def test_a_taken_port_moves_or_is_refused(home, at):
    async with upper() as port:
        done = await home.dap("port-forward", "web-0", str(port), "--strict-port", env=at)
        assert (done.code, f"port {port} is taken by another program here" in done.err) == (2, True)
        async with forwarding(home, at, "web-0", str(port)) as (process, line):
            assert await talked(local(line), b"hello, bye") == b"HELLO, BYE"
            said = (await process.stderr.readline()).decode()
            assert (
                said
                == f"dap: port {port} is taken by another program here: port {local(line)} stands for it\n"
            )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        again("web-9 80", 125, 'pods "web-9" not found'), ("svc/web 81", 125, "service web has no port 81: it has "),
        ("web-0 https", 125, "no port called 'https'"), ("web-0", 2, "name a pod and a port of it"),
        again("web-0 80 --cluster nowhere", 125, "nowhere"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_said_in_a_sentence(called, at, words, code, said):
    done = called("port-forward", *words.split(), env=at)
    assert (done.code, done.out) == (code, b"")
    assert said in done.err
    assert done.err.count("\n") == 1
