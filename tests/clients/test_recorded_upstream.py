"""What a current API server does and an old one cannot, byte for byte: the gateway on the demo's chain, a real `kubectl
proxy` in its runner, and a TLS server that records what arrives.
"""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from support.peer import once
from support.peer import peer as connected
from support.real_kubectl import any_kubectl
from support.repeated import again
from support.served import Served, cluster_at, config_for, served
from support.tls_front import server_tls
from support.upstream import Upstream, said

PODS = "/api/v1/namespaces/default/pods"
RUNNERS = "the-runners-own-credential"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%s\r\n"


@dataclass
class Chain:
    """`upstream`: what kubectl proxy asks; `proof`: the header line with the gateway's token."""

    gateway: Served
    upstream: Upstream

    @property
    def proof(self):
        return ("Authorization", f"Bearer {self.gateway.token}")

    @asynccontextmanager
    async def asked(self, method, path, *lines):
        """Sends a request; yields the connection."""
        async with connected(self.gateway.url) as peer:
            peer.request(method, path, (self.proof, *lines))
            yield peer


@pytest.fixture
async def chain(demo, tmp_path):
    if not (kubectl := any_kubectl()):
        pytest.skip("no kubectl on this machine")
    upstream = Upstream(tmp_path / "unused")
    certificate, tls = server_tls()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    config = tmp_path / "runners"
    config.write_text(json.dumps(_kubeconfig(f"https://localhost:{port}", tmp_path, certificate)))
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    cluster = replace(cluster, kubectl=(str(kubectl), "--kubeconfig", str(config)))
    async with server, served(config_for(cluster), tmp_path) as gateway:
        yield Chain(gateway, upstream)


def _kubeconfig(server, directory, certificate):
    trust = directory / "ca.pem"
    trust.write_text(certificate)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": server, "certificate-authority": str(trust)}}],
        "users": [{"name": "x", "user": {"token": RUNNERS}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def until_chunk(reader, data):
    """Reads chunks until they are exactly `data`."""
    came = b""
    async with asyncio.timeout(10):
        while len(came) < len(data):
            size = int(await reader.readline(), 16)
            came += await reader.readexactly(size)
            assert await reader.readline() == b"\r\n"
    assert came == data


async def test_what_arrives_is_what_was_asked(chain):
    target = f"{PODS}?labelSelector=a%3Db%2Cc&fieldSelector=x%21%7E&limit=500&x=+%20&flag"
    lines = (
        ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
        ("X-Twice", "1"), ("Cookie", "session=a"), ("X-Twice", "2"), ("User-Agent", "test/1"),
        ("X-Forwarded-For", "10.9.9.9"), ("Kubectl-Command", "kubectl get"),
    )  # fmt: skip

    answer = await once(chain.gateway.url, "GET", target, (chain.proof, *lines))

    assert (answer.code, answer.body) == (200, b"{}")
    first, *head = chain.upstream.heads[0].decode().rstrip().split("\r\n")
    assert first == f"GET {target} HTTP/1.1"
    assert sorted(line for line in head if not line.startswith("Host: ")) == sorted([
        f"{lines[0][0]}: {lines[0][1]}", "Accept-Encoding: identity", f"Authorization: Bearer {RUNNERS}",
        "Kubectl-Command: kubectl get", "User-Agent: test/1", "X-Twice: 1", "X-Twice: 2",
    ])  # fmt: skip
    assert [line[-1] for line in head if line.startswith("X-Twice")] == ["1", "2"]


async def test_what_comes_back_is_what_was_said(chain):
    body = gzip.compress(b'{"kind": "Status"}')
    chain.upstream.answer = said(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nWarning: 299 - a\r\nWarning: 299 - b\r\nAudit-Id: x\r\n"
        b"Content-Type: application/vnd.kubernetes.protobuf\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )

    async with chain.asked("GET", PODS, ("Accept-Encoding", "gzip")) as peer:
        head = (await peer.reader.readuntil(b"\r\n\r\n")).lower()
        assert await peer.reader.readexactly(len(body)) == body

    assert head.startswith(b"http/1.1 429 ")
    for line in (
        b"retry-after: 1",
        b"audit-id: x",
        b"content-encoding: gzip",
        b"warning: 299 - a\r\nwarning: 299 - b",
    ):
        assert b"\r\n" + line + b"\r\n" in head
    assert b"\r\naccept-encoding: gzip\r\n" in chain.upstream.heads[0].lower()


@pytest.mark.parametrize("compressed", [True, False])
async def test_every_event_of_a_watch_comes_by_itself(chain, compressed):
    """Kubernetes 1.37 sends a gzip member for each event, and `sendInitialEvents` ends with a bookmark: an event is here
    before the next one is sent.
    """
    target = (
        f"{PODS}?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=true"
    )
    mark = {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": "7"}
    events = [{"type": "ADDED", "object": {"kind": "Pod", "metadata": {"name": f"p-{n}"}}} for n in range(3)]
    events.append({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": mark}})
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    parts = [gzip.compress(line) if compressed else line for line in lines]
    seen: asyncio.Queue[None] = asyncio.Queue()

    async def answer(_, reader, writer):
        del reader
        writer.write(CHUNKED % (b"Content-Encoding: gzip\r\n" if compressed else b""))
        for part in parts:
            writer.write(chunk(part))
            await writer.drain()
            await seen.get()
        writer.write(b"0\r\n\r\n")

    chain.upstream.answer = answer
    encoding = ("Accept-Encoding", "gzip") if compressed else ("X-None", "1")
    async with chain.asked("GET", target, encoding) as peer:
        head = (await peer.reader.readuntil(b"\r\n\r\n")).lower()
        assert (b"content-encoding: gzip" in head) == compressed
        for part in parts:
            await until_chunk(peer.reader, part)
            seen.put_nowait(None)
        assert await peer.reader.readuntil(b"0\r\n\r\n") == b"0\r\n\r\n"

    assert chain.upstream.heads[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "kind",
    ["strategic-merge-patch+json", again("merge-patch+json"), again("json-patch+json"), "apply-patch+cbor"],
)
async def test_a_patch_of_ephemeral_containers(chain, kind):
    """Those of `kubectl debug`, and what is no JSON at all."""
    patch = b'{"spec": {"ephemeralContainers":[ {"name":"debugger"}] }}\n' + bytes(range(256)) * 300
    answered = bytes(range(255, -1, -1)) * 300
    bodies = []

    async def answer(_, reader, writer):
        bodies.append(await reader.readexactly(len(patch)))
        # As an API server takes: kubectl proxy (1.33) now and then cuts an answer that is there within a millisecond of the
        # request's last byte ("ReverseProxy read error during body copy: use of closed network connection")
        await asyncio.sleep(0.1)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: %d\r\n\r\n" % len(answered)
        )
        writer.write(answered)

    chain.upstream.answer = answer
    target = f"{PODS}/web-0/ephemeralcontainers?fieldManager=kubectl-debug&fieldValidation=Strict"
    lines = (chain.proof, ("Content-Type", f"application/{kind}"))

    found = await once(chain.gateway.url, "PATCH", target, lines, body=patch)

    assert (found.code, found.body, found.headers["content-type"]) == (200, answered, "application/cbor")
    assert bodies == [patch]
    head = chain.upstream.heads[0]
    assert head.startswith(f"PATCH {target} HTTP/1.1\r\n".encode())
    lines = head.split(b"\r\n")
    assert [line for line in lines if line.startswith(b"Content-Type: ")] == [
        b"Content-Type: application/%s" % kind.encode()
    ]
    assert b"Content-Length: %d" % len(patch) in lines
