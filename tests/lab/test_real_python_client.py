"""Python's `kubernetes` at the gateway and straight at the API server, outcome by outcome."""

import asyncio
import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import lab as chain

kubernetes = pytest.importorskip("kubernetes")
stream = pytest.importorskip("kubernetes.stream")

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
async def apis(both):
    """Yields a client of the gateway and one of the API server, each made of kubectl's kubeconfig."""
    made = [kubernetes.config.new_client_from_config(str(one.config)) for one in both]
    yield made
    for client in made:
        await asyncio.to_thread(client.close)


async def _same(apis, work):
    """Returns what `work` finds at the gateway, which has to be that straight at the API server."""
    ours, straight = await asyncio.gather(*(asyncio.to_thread(work, api) for api in apis))
    assert ours == straight
    return ours


async def test_reads(apis):
    def read(api):
        core = kubernetes.client.CoreV1Api(api)
        apps = kubernetes.client.AppsV1Api(api)
        try:
            core.read_namespaced_pod("nope", "default")
        except kubernetes.client.ApiException as error:
            refused = error.status, error.reason, error.body
        return (
            [pod.metadata.uid for pod in core.list_pod_for_all_namespaces().items],
            core.read_namespaced_pod("bash-0", "default").spec.to_dict(),
            apps.read_namespaced_deployment("api", "default").spec.to_dict(),
            core.read_namespaced_pod_log("web-0", "default", container="main", tail_lines=3),
            kubernetes.client.VersionApi(api).get_code().to_dict(),
            refused,
        )

    pods, *_, refused = await _same(apis, read)
    assert pods
    assert refused[0] == 404


async def test_pages_watch_and_changes(apis):
    def change(api, space):
        core = kubernetes.client.CoreV1Api(api)
        body = {"metadata": {"name": "c", "labels": {"by": "test"}}, "data": {"a": "1"}}
        created = core.create_namespaced_config_map(space, body)
        core.patch_namespaced_config_map("c", space, {"data": {"b": "2"}})
        core.patch_namespaced_config_map("c", space, [{"op": "add", "path": "/data/c", "value": "3"}])
        latest = core.read_namespaced_config_map("c", space)
        latest.data["d"] = "4"
        core.replace_namespaced_config_map("c", space, latest)
        try:  # with the version that was current before
            core.replace_namespaced_config_map("c", space, created)
        except kubernetes.client.ApiException as error:
            refused = error.status
        core.delete_namespaced_config_map("c", space)
        seen = []
        watch = kubernetes.watch.Watch()
        for event in watch.stream(
            core.list_namespaced_config_map, space, label_selector="by=test",
            resource_version=created.metadata.resource_version, timeout_seconds=5,
        ):  # fmt: skip
            seen.append((event["type"], event["object"].data))
            if event["type"] == "DELETED":
                watch.stop()
        page = core.list_namespace(limit=2)
        rest = core.list_namespace(limit=2, _continue=page.metadata._continue)
        return seen, refused, len(page.items), len(rest.items)

    names = [f"dap-python-{secrets.token_hex(4)}" for _ in apis]
    with chain.namespace(names[0]), chain.namespace(names[1]):
        work = [asyncio.to_thread(change, api, name) for api, name in zip(apis, names, strict=True)]
        ours, straight = await asyncio.gather(*work)

    assert ours == straight
    assert [kind for kind, _ in ours[0]] == ["MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    assert ours[0][-1][1] == {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert ours[1] == 409


async def test_exec(apis):
    """Its WebSocket speaks v4.channel.k8s.io, which has no half-close."""

    def run(api):
        core = kubernetes.client.CoreV1Api(api)
        script = "read line; echo $line; echo err >&2; exit 3"
        call = stream.stream(
            core.connect_get_namespaced_pod_exec, "bash-0", "default", command=["sh", "-c", script],
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
        call.write_stdin("given\n")
        call.run_forever(timeout=20)
        call.sock.shutdown()  # of an end that the server begins, it leaves its socket open
        return call.read_stdout(timeout=1), call.read_stderr(timeout=1), call.returncode

    assert await _same(apis, run) == ("given\n", "err\n", 3)


async def test_port_forward(apis):
    """Twenty at once, each with a WebSocket of its own."""

    def fetch(api):
        core = kubernetes.client.CoreV1Api(api)
        forward = stream.portforward(
            core.connect_get_namespaced_pod_portforward, "web-0", "default", ports="8099"
        )
        with contextlib.closing(forward.socket(8099)) as end:
            end.setblocking(True)
            end.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while b"\r\n\r\n" not in data:  # this form of the protocol says nothing of an end
                part = end.recv(4096)
                assert part
                data += part
            return data.partition(b"\r\n")[0]

    def twenty(api):
        with ThreadPoolExecutor(20) as pool:
            return list(pool.map(fetch, [api] * 20))

    answers = await _same(apis, twenty)
    assert set(answers) == {answers[0]}
    assert answers[0].startswith(b"HTTP/1.")
