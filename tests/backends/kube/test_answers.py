"""What the API server's answers mean: errors, pages, events, the question whether we may."""

import asyncio
import gzip
import json

import pytest

from gateway.backends.contract import Response
from gateway.backends.kube import answers
from gateway.errors import HopFailed

NOT_FOUND = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \\"p\\" not found",'
    b'"reason":"NotFound","details":{"name":"p","kind":"pods"},"code":404}\n'
)


def test_a_refusal_keeps_the_servers_status_to_the_byte():
    with pytest.raises(HopFailed, match='pods "p" not found') as failed:
        answers.decode(404, NOT_FOUND)

    assert failed.value.code == "pod_not_found"
    assert failed.value.status.json(http=True) == NOT_FOUND


@pytest.mark.parametrize(
    ("code", "body", "name"),
    [
        (401, NOT_FOUND.replace(b"404", b"401"), "cluster_unauthorized"),
        (403, NOT_FOUND.replace(b"404", b"403"), "forbidden"),
        (500, b"dial tcp 10.0.0.1:6443: connect: connection refused\n", "cluster_unreachable"),
        (502, b"", "cluster_unreachable"),
        (502, b"dial tcp 127.0.0.1:6443: connect: connection refused\n", "cluster_unreachable"),
        (502, b"dial tcp [::1]:8080: connect: connection refused\n", "kubeconfig_missing"),
        (502, b"dial tcp: lookup localhost on 10.0.0.53:53: network is unreachable\n", "kubeconfig_missing"),
        (500, NOT_FOUND.replace(b"404", b"500"), "cluster_failed"),
        (403, b"Forbidden\n", "cluster_failed"),
        (200, b"not json", "cluster_failed"),
        (200, b"[1]", "cluster_failed"),
        (200, b"[" * 100_000, "cluster_failed"),
        (302, b"", "cluster_failed"),
    ],
)
def test_what_is_no_object_is_named(code, body, name):
    with pytest.raises(HopFailed) as failed:
        answers.decode(code, body)

    assert failed.value.code == name
    assert len(failed.value.message) < 600


async def test_pages_are_one_list():
    asked = []

    async def get(path, size):
        asked.append((path, size))
        number = len(asked)
        more = {"continue": f"next {number}"} if number < 3 else {}
        return {"items": [{"n": number}], "metadata": more}, 10

    assert await answers.pages(get, "/pods?labelSelector=a", 100) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert asked == [
        ("/pods?labelSelector=a&limit=100", 100),
        ("/pods?labelSelector=a&limit=100&continue=next+1", 90),
        ("/pods?labelSelector=a&limit=100&continue=next+2", 80),
    ]


def test_headers_of_one_connection_are_left_out():
    found = answers.end_to_end(
        [("Host", "a"), ("Accept", "b"), ("X-Own", "c"), ("connection", "close, x-own"), ("TE", "trailers")]
    )

    assert found == [("accept", "b")]


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_packed_answer_is_unpacked(size):
    data = json.dumps({"items": [{"n": n} for n in range(5000)]}).encode()
    headers = (("content-encoding", "gzip"),)
    packed = chunked(gzip.compress(data), size)

    assert await answers.whole(Response(200, headers, packed), len(data)) == data


async def test_a_packed_answer_is_limited_by_what_it_unpacks_to():
    packed = chunked(gzip.compress(bytes(50_000_000)), 1000)

    with pytest.raises(HopFailed, match="more than 100 bytes"):
        await answers.whole(Response(200, (("content-encoding", "gzip"),), packed), 100)


async def test_what_cannot_be_unpacked_is_the_clusters_error():
    with pytest.raises(HopFailed, match="cannot be unpacked"):
        await answers.whole(Response(200, (("content-encoding", "gzip"),), chunked(b"{}", 2)), 100)


async def chunked(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_are_lines_however_they_are_cut(size):
    lines = [
        {"type": kind, "object": {"kind": "Pod", "n": kind}} for kind in ("ADDED", "MODIFIED", "DELETED")
    ]
    data = b"\n\n".join(json.dumps(line).encode() for line in lines) + b"\n"

    found = [event async for event in answers.events(chunked(data, size), 200)]

    assert [event.kind for event in found] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event.object["n"] for event in found] == ["ADDED", "MODIFIED", "DELETED"]


async def test_an_error_in_a_watch_is_the_servers_status():
    gone = {"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}
    data = json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"

    with pytest.raises(HopFailed, match="too old") as failed:
        _ = [event async for event in answers.events(chunked(data, 50), 1000)]

    assert failed.value.status.code == 410


@pytest.mark.parametrize("data", [b'{"type":1,"object":{}}\n', b'{"type":"ADDED"}\n', b"x\n", b"x" * 300])
async def test_what_is_no_event_ends_the_watch(data):
    with pytest.raises(HopFailed) as failed:
        _ = [event async for event in answers.events(chunked(data, 50), 200)]

    assert failed.value.code == "cluster_failed"


async def test_no_answer_in_time_is_the_clusters_error():
    with pytest.raises(HopFailed) as failed:
        async with answers.within(0.001):
            await asyncio.Event().wait()

    assert failed.value.code == "cluster_unreachable"


def test_the_question_whether_we_may_names_the_subresource():
    _, body = answers.review("create", "pods/exec", "ns", "p")

    asked = {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "ns", "name": "p"}
    assert body["spec"] == {"resourceAttributes": asked}
    assert answers.reviewed({"status": {"allowed": False}}) is False
    assert answers.reviewed({"status": {}}) is None
    assert answers.reviewed({}) is None
