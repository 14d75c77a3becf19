"""Files of the page, at the demo, whose containers are directories of this machine."""

import asyncio
import hashlib
import io
import random
from contextlib import suppress
from dataclasses import replace

import aiohttp
import pytest
from support.served import TOKEN, cluster_at, config_for, served

from gateway.protocol.target import Target

NOISE = random.Random(2).randbytes(3_000_001)
WEB = {"namespace": "default", "pod": "web-0", "container": "main"}
NEW = "/gateway/v1/clusters/default/transfers"


@pytest.fixture
async def gateway(demo, tmp_path):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path) as running:
        yield running


@pytest.fixture
async def ask(gateway):
    """Sends a request as the gateway's user, or as who has another token; returns status, body and headers."""
    async with aiohttp.ClientSession(gateway.url) as client:

        async def asked(method, path, token=TOKEN, **more):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with client.request(method, path, headers=headers, **more) as answer:
                body = await (answer.json() if answer.content_type == "application/json" else answer.read())
                return answer.status, body, answer.headers

        yield asked


def other_token(gateway, **more):
    tokens = gateway.gateway.access.tokens
    identity = replace(tokens.identity(TOKEN), name="ann", **more)
    traded = tokens.trade(tokens.ticket(identity))
    assert traded
    return traded[0]


async def test_a_file_goes_up_and_comes_down_as_it_was(gateway, ask):
    code, made, _ = await ask(
        "POST", NEW, json={**WEB, "way": "upload", "path": ".", "name": "ü b.bin", "size": len(NOISE)}
    )
    assert (code, made["path"], made["exists"]) == (201, "./ü b.bin", False)
    code, done, _ = await ask(
        "PUT", f"/gateway/v1/transfers/{made['transfer']}?modified=1000000000", data=io.BytesIO(NOISE)
    )
    assert (code, done["state"], done["verified"], done["message"]) == (200, "done", True, "")
    assert done["sha256"] == hashlib.sha256(NOISE).hexdigest()
    assert (await ask("PUT", f"/gateway/v1/transfers/{made['transfer']}", data=b"again"))[0] == 409

    code, made, _ = await ask(
        "POST", NEW, json={**WEB, "container": "", "way": "download", "path": "./ü b.bin"}
    )
    assert (code, made["exists"], made["total"], made["name"]) == (201, True, len(NOISE), "ü b.bin")
    stranger = other_token(gateway)
    assert (await ask("GET", f"/gateway/v1/transfers/{made['transfer']}", stranger))[0] == 404
    code, got, headers = await ask("GET", made["url"], token=None)
    assert (code, got) == (200, NOISE)
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%BC%20b.bin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    assert (await ask("GET", made["url"], token=None))[0] == 404  # one use
    assert (await ask("GET", "/gateway/v1/downloads/ü", token=None))[0] == 404
    state = (await ask("GET", f"/gateway/v1/transfers/{made['transfer']}"))[1]
    assert (state["state"], state["done"], state["sha256"], state["verified"]) == (
        "done",
        len(NOISE),
        done["sha256"],
        True,
    )


async def test_a_download_of_a_token_that_was_revoked_is_none(gateway, ask):
    token = other_token(gateway)
    made = (await ask("POST", NEW, token, json={**WEB, "way": "download", "path": "/etc/hostname"}))[1]
    gateway.gateway.access.tokens.revoke(token)

    assert (await ask("GET", made["url"], token=None))[0] == 404


async def test_a_link_for_one_pod_moves_no_file_of_another(gateway, ask):
    bound = other_token(gateway, only=Target("default", "default", "bash-0"))
    code, body, _ = await ask("POST", NEW, bound, json={**WEB, "way": "download", "path": "/etc/hostname"})
    assert code == 403
    assert (
        "ann may not exec in default/default/web-0/main: this link is for default/default/bash-0"
        in body["message"]
    )


async def test_an_upload_of_other_bytes_than_announced_leaves_nothing(ask):
    _, made, _ = await ask(
        "POST", NEW, json={**WEB, "way": "upload", "path": "short.bin", "name": "x", "size": 10}
    )
    code, body, _ = await ask("PUT", f"/gateway/v1/transfers/{made['transfer']}", data=b"12345")
    assert (code, body["message"]) == (409, "short.bin: of 10 bytes 5 were sent, and 5 are there")
    code, body, _ = await ask("POST", NEW, json={**WEB, "way": "download", "path": "short.bin"})
    assert (code, body["message"]) == (409, "short.bin: there is no such file")


IMPOSSIBLE = (
    ({"way": "download", "path": "/"}, 409, "download the directories in it"),
    ({"way": "download", "path": "/x", "pod": "web-9"}, 404, "not found"),
    ({"way": "download", "path": "/x", "pod": "distroless-0", "container": ""}, 409, "no sh"),
    ({"way": "download", "path": "/x", "pod": "deploy/api"}, 400, "name a pod"),
    ({"way": "upload", "path": "no/where/x", "name": "x"}, 409, "no such directory"),
    ({"way": "upload", "path": "/tmp", "name": "../x"}, 400, "without a directory"),
    ({"way": "upload", "path": "/", "name": "etc", "directory": True}, 409, "/etc is there already"),
    ({"way": "upload", "path": "/no", "name": "x", "directory": True}, 409, "/no: there is no such directory"),
    ({"way": "download", "path": ""}, 400, "path is empty"),
    ({"way": "sideways", "path": "/tmp"}, 400, "way is"),
)  # fmt: skip


async def test_what_cannot_be_moved_is_said_in_a_sentence(ask):
    for asked, code, said in IMPOSSIBLE:
        answer, body, _ = await ask("POST", NEW, json=WEB | asked)
        assert answer == code, asked
        assert said in body["message"]


async def test_an_upload_goes_on_after_the_browser_was_lost(gateway, ask):
    announced = {**WEB, "way": "upload", "path": "lost.bin", "name": "x", "size": len(NOISE)}
    made = (await ask("POST", NEW, json=announced))[1]
    path = f"/gateway/v1/transfers/{made['transfer']}"

    address, offset = gateway.url.removeprefix("http://"), 0
    for silently in (False, True):
        _reader, writer = await asyncio.open_connection(*address.split(":"))
        head = f"PUT {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n"
        part = NOISE[offset : offset + 1_500_000]
        writer.write(f"{head}Content-Length: {len(NOISE) - offset}\r\n\r\n".encode() + part)
        await writer.drain()
        while (await ask("GET", path))[1]["done"] < offset + len(part):
            pass
        if not silently:
            writer.close()
            while (await ask("GET", path))[1]["state"] == "running":
                pass
        assert (await ask("POST", f"{path}/resume", other_token(gateway)))[0] == 404
        code, said, _ = await ask("POST", f"{path}/resume")
        offset = said["offset"]
        assert (code, offset in (0, 1 << 20, 2 << 20)) == (200, True)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    code, done, _ = await ask("PUT", path, data=io.BytesIO(NOISE[offset:]))
    assert (code, done["state"], done["sha256"]) == (200, "done", hashlib.sha256(NOISE).hexdigest())
    code, again, _ = await ask("POST", f"{path}/resume")  # whoever has not heard of the end
    assert (code, again) == (200, {"offset": None, **done})
    failed = (await ask("POST", NEW, json={**announced, "size": 1}))[1]["transfer"]
    await ask("PUT", f"/gateway/v1/transfers/{failed}", data=b"123")
    code, said, _ = await ask("POST", f"/gateway/v1/transfers/{failed}/resume")
    assert (code, said["message"]) == (409, "lost.bin: of 1 bytes 3 were sent, and 3 are there")
