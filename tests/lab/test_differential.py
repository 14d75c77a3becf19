"""The same client says the same to the lab's API server and to the gateway: both answer the same.

Equal up to where output is cut into messages; each deliberate difference is a row of support.differences.CHANGES and
of the table in gateway/protocol/README.md.
"""

import asyncio
import re
import ssl
from dataclasses import replace

import pytest
from support.differences import CHANGES
from support.exec_cases import CASES, Case
from support.exec_client import Access, Transcript, run
from support.peer import UPGRADE, Answer, ask

from gateway.protocol.codec import CHUNK
from gateway.protocol.subprotocols import V4, V5, Subprotocol
from gateway.server import lookup

pytestmark = pytest.mark.lab
EXEC = "/api/v1/namespaces/default/pods/bash-0/exec?command=true&stdout=true"
V5_OFFERED = ("Sec-WebSocket-Protocol", "v5.channel.k8s.io")


def comparable(said: Transcript) -> Transcript:
    """Without what is of one run only: ids of processes in the container runtime, sizes of messages."""
    statuses = [re.sub(rb"[0-9a-f]{64}", b"ID", status) for status in said.statuses]
    return replace(said, statuses=statuses, largest=0)


def expected(said: Transcript, case: Case, row: Subprotocol) -> Transcript:
    """What the API server said, with the differences that are meant."""
    change = CHANGES[case.differs] if case.differs else None
    words = CHANGES["v4-words"]
    if row is V4 and not said.refusal and words:
        said = words(said)
    said = change(said) if change else said
    return replace(said, subprotocol=None if said.refusal else row.name)


ASKED = [pytest.param(case, row, id=f"{case.name}-{row.name[:2]}") for case in CASES for row in case.rows]


@pytest.mark.parametrize(("case", "row"), ASKED)
async def test_the_gateway_answers_as_the_api_server(case, row, api, ours, monkeypatch):
    """Streams, Status, hello frame, close code and refusals."""
    if case.script is None:  # the command ends by itself: its upgrade can wait for it, on a busy machine too
        monkeypatch.setattr(lookup, "VERIFY", 60.0)
    async with asyncio.TaskGroup() as tasks:
        theirs = tasks.create_task(run(api, case.request, case.reference or case.script, row=row))
        answer = tasks.create_task(run(ours, case.request, case.script, row=row))
    said, told = theirs.result(), answer.result()

    assert comparable(told) == comparable(expected(said, case, row))
    assert told.largest <= CHUNK
    assert not told.late


async def of_both(api: Access, ours: Access, headers, **more) -> tuple[Answer, Answer]:
    """The API server's answer to a request, and ours, asked at once."""
    theirs, answer = await asyncio.gather(*(ask(access, EXEC, headers, **more) for access in (api, ours)))
    return theirs, answer


def refusal(answer: Answer) -> tuple[int, str | None, bytes]:
    return answer.code, answer.headers.get("content-type"), answer.body


CLOSE = (("Connection", "close"),)


async def test_a_get_that_is_no_upgrade(api, ours):
    """The same Status, to the byte."""
    theirs, answer = await of_both(api, ours, CLOSE)

    assert theirs.code == 400
    assert refusal(answer) == refusal(theirs)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_verbs(method, api, ours):
    """`other-verbs`: a Status with 405 from both."""
    theirs, answer = await of_both(api, ours, CLOSE, method=method)

    assert (answer.code, answer.headers.get("content-type")) == (
        theirs.code,
        theirs.headers.get("content-type"),
    )
    assert b'"reason":"MethodNotAllowed"' in answer.body


async def test_post_is_spdy(api, ours, cluster):
    """`spdy`: both upgrade to it; without a relay kubectl's fallback gets a Status from us that says what to use."""
    headers = (
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
    )
    theirs, answer = await of_both(api, ours, headers, method="POST", seconds=2)

    assert theirs.code == 101
    if cluster.mode != "plain":
        assert answer.code == 101
        return
    assert answer.code == 400
    assert b'"reason":"BadRequest"' in answer.body
    assert b"WebSocket" in answer.body


@pytest.mark.parametrize(
    "offered", ["v2.channel.k8s.io", "v3.channel.k8s.io,v1.nonsense", "SPDY/3.1+portforward.k8s.io"]
)
async def test_nothing_in_common(offered, api, ours):
    """`no-protocol-in-common`: 403 from both; ours says why."""
    headers = (*UPGRADE, ("Sec-WebSocket-Protocol", offered))
    theirs, answer = await of_both(api, ours, headers, seconds=2)

    assert (theirs.code, theirs.body) == (403, b"")
    assert answer.code == 403
    assert b'"reason":"Forbidden"' in answer.body


@pytest.mark.parametrize(
    "lines",
    [[], ["v4.channel.k8s.io"], ["v4.channel.k8s.io, v5.channel.k8s.io"], ["nonsense,base64.channel.k8s.io"]],
)
async def test_the_subprotocol_that_is_named(lines, api, ours):
    """`empty-protocol-header`: only when none is offered do we leave out what the API server leaves empty."""
    headers = (*UPGRADE, *(("Sec-WebSocket-Protocol", line) for line in lines))
    theirs, answer = await of_both(api, ours, headers, seconds=2)

    assert (theirs.code, answer.code) == (101, 101)
    assert answer.headers.get("sec-websocket-accept") == theirs.headers.get("sec-websocket-accept")
    assert answer.headers.get("sec-websocket-protocol") == (
        theirs.headers.get("sec-websocket-protocol") or None
    )
    assert (theirs.headers.get("sec-websocket-protocol") == "") == (not lines)


async def test_who_closes_tcp(api, ours):
    """`tcp-close`: after its close frame the API server is gone; we wait for the client's."""
    headers = (*UPGRADE, V5_OFFERED)
    theirs, answer = await of_both(api, ours, headers, seconds=2)

    assert answer.body == theirs.body
    assert answer.body.endswith(b"\x88\x02\x03\xe8")
    assert (theirs.ended, answer.ended) == (True, False)


@pytest.mark.parametrize("token", ["", "unknown"])
async def test_without_a_credential(token, api, ours):
    """`anonymous`: the API server lets nobody in as nobody, and refuses that later; an unknown token is 401 at both."""
    headers = (*UPGRADE, V5_OFFERED)
    stranger = Access(api.url, token, bare(api))
    theirs, answer = await of_both(stranger, Access(ours.url, token), headers, seconds=2)

    assert theirs.code == (401 if token else 403)
    assert answer.code == 401
    if token:
        assert refusal(answer) == refusal(theirs)


def bare(api: Access):
    """The same trust without the client certificate."""
    assert api.tls
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=b"".join(api.tls.get_ca_certs(binary_form=True)))
    return tls


def test_rows_are_the_two_that_a_cluster_serves_today():
    """The suite speaks v5 and v4."""
    assert {row for case in CASES for row in case.rows} == {V5, V4}
