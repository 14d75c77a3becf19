"""The listener with TLS: handshakes, whose certificate, and what a client that does not speak TLS costs."""

import asyncio
import datetime as dt
import gc
import json
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support.served import config_for, served
from support.waiting import until

from gateway.access import own_ca
from gateway.errors import ConfigError
from gateway.server.certificates import LOOK, CertificateFiles, Certificates
from gateway.server.connection import Connection
from gateway.server.tls import tls_listener
from gateway.settings.config import Limits

INFO = b"GET /gateway/v1/info HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n"
DAY = 86400.0


@asynccontextmanager
async def gateway(tmp_path, limits=None, **settings):
    config = replace(config_for(limits=limits), **{"tls_listen": "localhost:0"} | settings)
    async with served(config, tmp_path, authority=tmp_path / "tls") as running:
        yield running


def trusting(pem, protocols=("http/1.1",)):
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 and later have it by default
    context.set_alpn_protocols(list(protocols))
    return context


def ports(running):
    return [one.getsockname() for one in running.gateway.tls.sockets]


async def asked(running, name="localhost", context=None, host=None):
    """(status line, body, the TLS object) of one request."""
    tls = running.gateway.tls
    port = tls.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(
        name if name != "localhost" else "127.0.0.1",
        port,
        ssl=context or trusting(tls.ca),
        server_hostname=name,
    )
    try:
        writer.write(INFO % ((host or f"{name}:{port}").encode(), running.token.encode()))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0], body, writer.get_extra_info("ssl_object")
    finally:
        writer.close()


async def test_a_request_over_tls_with_the_own_authority(tmp_path):
    async with gateway(tmp_path) as running:
        status, body, tls = await asked(running)
        assert (status, json.loads(body)["version"] != "") == (b"HTTP/1.1 200 OK", True)
        assert tls.version() == "TLSv1.3"
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert (await asked(running, "127.0.0.1"))[0] == b"HTTP/1.1 200 OK"
        if any(":" in address for address, *_ in ports(running)):
            port = ports(running)[0][1]
            status, _, _ = await asked(running, "::1", host=f"[::1]:{port}")
            assert status == b"HTTP/1.1 200 OK"


async def test_http_2_is_not_spoken(tmp_path):
    async with gateway(tmp_path) as running:
        both = trusting(running.gateway.tls.ca, ("h2", "http/1.1"))
        _, _, tls = await asked(running, context=both)
        assert tls.selected_alpn_protocol() == "http/1.1"


async def test_a_client_that_trusts_another_authority_refuses(tmp_path):
    other = own_ca.make(dt.datetime.now(dt.UTC))
    async with gateway(tmp_path) as running:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(running, context=trusting(other.pem))
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(running, context=ssl.create_default_context())
        await _settled(running, 0)


async def test_another_host_is_refused_over_tls_too(tmp_path):
    async with gateway(tmp_path) as running:
        status, body, _ = await asked(running, host="rebound.example:8443")
        assert status == b"HTTP/1.1 403 Forbidden"
        assert b"DAP_GATEWAY_ALLOWED_HOSTS" in body


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://localhost:9443", b"200"),
        ("http://localhost:9443", b"403"),
        ("https://localhost:3000", b"403"),
    ],
)
async def test_a_client_that_names_itself_as_origin_comes_through_a_forwarded_port(tmp_path, origin, code):
    """As behind `ssh -L 9443:localhost:8443`; Python's websocket-client always sends an Origin."""
    async with gateway(tmp_path) as running:
        status, _, _ = await asked(running, host=f"localhost:9443\r\nOrigin: {origin}")
        assert status.split()[1] == code


async def test_no_proof_over_tls(tmp_path):
    """A listener beyond loopback would give it to whoever asks under the name of this machine."""
    async with gateway(tmp_path) as running:
        port = ports(running)[0][1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting(running.gateway.tls.ca), server_hostname="localhost"
        )
        nonce = "0" * 32
        writer.write(
            f"GET /gateway/v1/proof?nonce={nonce} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
        writer.close()


async def test_a_handshake_has_its_time_and_its_place_among_the_anonymous(tmp_path):
    limits = Limits(head=0.5, anonymous=2)
    async with gateway(tmp_path, limits) as running:
        port = ports(running)[0][1]
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        began = asyncio.get_running_loop().time()
        # the oldest goes for the newest, at once and without a word
        assert await asyncio.wait_for(_end(silent[0][0]), 5) == b""
        assert asyncio.get_running_loop().time() - began < 0.4
        for reader, _ in silent[1:]:
            assert await asyncio.wait_for(_end(reader), 5) == b""
        for _, writer in silent:
            writer.close()
        refused = running.gateway.metrics.text().decode()
        assert 'dap_refused_total{code="too_many_anonymous"} 1.0' in refused
        assert 'dap_refused_total{code="head_too_slow"} 2.0' in refused
        assert (await asked(running))[0] == b"HTTP/1.1 200 OK"


async def _end(reader):
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "words", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\0"]
)
async def test_what_is_no_handshake_ends(tmp_path, words, caplog):
    async with gateway(tmp_path, Limits(head=1)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports(running)[0][1])
        writer.write(words)
        if words == b"\0":
            writer.write_eof()
        answer = await asyncio.wait_for(_end(reader), 5)
        writer.close()
        assert b"HTTP" not in answer
        assert (await asked(running))[0] == b"HTTP/1.1 200 OK"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_much_that_a_slow_client_has_not_taken_holds_the_writer_back(tmp_path):
    """Asyncio would keep half a mebibyte more for each connection with TLS, and a quarter to read with."""
    async with gateway(tmp_path) as running:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            ports(running)[0][1],
            ssl=trusting(running.gateway.tls.ca),
            server_hostname="localhost",
        )
        await _settled(running, 1)
        (one,) = connections(running)
        assert one._transport.get_write_buffer_limits()[1] == 64 << 10
        assert len(one._transport._ssl_protocol._ssl_buffer) == 24 << 10
        writer.close()
        await reader.read()
        await _settled(running, 0)


def connections(running):
    return [
        one
        for one in gc.get_objects()
        if type(one) is Connection  # a weak proxy of a dead object raises where its class is asked for
        and one._connections.limits is running.gateway.config.limits
        and one._made
        and one in one._connections.open
    ]


async def _settled(running, count):
    """Waits until as many connections are counted."""

    async def so():
        return len(connections(running)) == count

    await until(so)


# the authority, and its leaves


def test_the_authority_is_made_once_and_is_nobody_elses(tmp_path):
    now = dt.datetime.now(dt.UTC)
    first = own_ca.load_or_make(tmp_path / "tls", now)
    path = tmp_path / "tls" / "ca.pem"

    assert own_ca.load_or_make(tmp_path / "tls", now).pem == first.pem
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["ca.pem"]
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        own_ca.load_or_make(tmp_path / "tls", now)
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(ConfigError, match="holds no authority"):
        own_ca.load_or_make(tmp_path / "tls", now)


def test_an_authority_that_ends_soon_is_made_anew(tmp_path):
    now = dt.datetime.now(dt.UTC)
    first = own_ca.load_or_make(tmp_path, now)
    assert own_ca.load_or_make(tmp_path, now + dt.timedelta(days=3200)).pem == first.pem
    later = own_ca.load_or_make(tmp_path, now + dt.timedelta(days=3400))
    assert later.pem != first.pem
    assert own_ca.load_or_make(tmp_path, now).pem not in (first.pem, later.pem), "of the future"


def test_many_that_start_at_once_have_one_authority(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    now = dt.datetime.now(dt.UTC)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: own_ca.load_or_make(tmp_path, now).pem, range(16)))
    assert len(set(found)) == 1


def test_a_leaf_is_good_from_an_hour_ago_for_its_names():
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    pem, ends = own_ca.make(now).leaf(["localhost", "127.0.0.1", "::1", "dap.example", "localhost", "ü"], now)
    leaf = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :])

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "dap.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert leaf.not_valid_before_utc == now - dt.timedelta(hours=1)
    assert leaf.not_valid_after_utc == ends == now + own_ca.LEAF_LIFE


async def test_a_leaf_is_renewed_before_it_ends_without_a_restart(tmp_path):
    now = [dt.datetime.now(dt.UTC).timestamp()]
    async with gateway(tmp_path) as running:
        held = running.gateway.tls.certificates
        held.source._clock = lambda: now[0]
        numbers = [await serial(running)]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", ports(running)[0][1], ssl=trusting(held.ca), server_hostname="localhost"
        )
        for days in (19, 2, 30):  # renewed ten days before the end, and after a long sleep
            now[0] += days * DAY
            held.look()
            numbers.append(await serial(running))
        now[0] -= 60 * DAY  # the clock was set right
        held.look()
        numbers.append(await serial(running))

        assert numbers[0] == numbers[1]
        assert len(set(numbers)) == 4
        writer.write(INFO % (f"localhost:{ports(running)[0][1]}".encode(), running.token.encode()))
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK"), (
            "an open connection keeps its certificate"
        )
        writer.close()


async def serial(running):
    """Of the certificate that the listener shows now, whatever its dates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", ports(running)[0][1], ssl=context)
    try:
        raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(raw).serial_number
    finally:
        writer.transport.abort()


# files


def written(directory, authority, name="localhost"):
    pem, _ = authority.leaf([name], dt.datetime.now(dt.UTC))
    at = pem.index(b"-----BEGIN CERT")
    for path, text in (
        (directory / "key.pem", pem[:at]),
        (directory / "cert.pem", pem[at:] + authority.pem.encode()),
    ):
        path.with_suffix(".new").write_bytes(text)
        path.with_suffix(".new").replace(path)
    return {"tls_cert": str(directory / "cert.pem"), "tls_key": str(directory / "key.pem")}


async def test_files_are_read_again_when_they_change(tmp_path):
    first, second = (own_ca.make(dt.datetime.now(dt.UTC)) for _ in range(2))
    async with gateway(tmp_path, **written(tmp_path, first)) as running:
        assert (await asked(running, context=trusting(first.pem)))[0] == b"HTTP/1.1 200 OK"
        assert running.gateway.tls.ca == first.pem
        written(tmp_path, second)

        async def read():
            return running.gateway.tls.ca == second.pem

        await until(read, 3 * LOOK)
        assert (await asked(running, context=trusting(second.pem)))[0] == b"HTTP/1.1 200 OK"
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(running, context=trusting(first.pem))


def test_files_that_do_not_belong_together_yet_leave_the_old_ones_in_use(tmp_path):
    first, second = (own_ca.make(dt.datetime.now(dt.UTC)) for _ in range(2))
    settings = written(tmp_path, first)
    held = Certificates(CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem"))
    before, key = held.context, (tmp_path / "key.pem").read_bytes()

    written(tmp_path, second)
    fresh = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(key)
    held.look()
    assert held.context is before
    (tmp_path / "key.pem").unlink()
    held.look()
    assert held.context is before
    (tmp_path / "key.pem").write_bytes(fresh)
    held.look()
    assert held.context is not before
    assert held.ca == second.pem
    assert settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls_cert": "cert.pem"}, "set both"), ({"tls_cert": "none.pem", "tls_key": "key.pem"}, "none.pem"),
        ({"tls_cert": "key.pem", "tls_key": "key.pem"}, "no certificate and its key"),
        ({"tls_cert": "cert.pem", "tls_key": "locked.pem"}, "passphrase"),
    ],
)  # fmt: skip
def test_files_of_no_use_are_named(tmp_path, settings, words):
    written(tmp_path, own_ca.make(dt.datetime.now(dt.UTC)))
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    paths = {name: str(tmp_path / file) for name, file in settings.items()}
    config = replace(config_for(), tls_listen="localhost:0", origins={"gateway.tls_cert": "file"}, **paths)

    with pytest.raises(ConfigError, match=words), tls_listener(config, tmp_path / "tls"):
        pass


def test_a_directory_that_cannot_be_written_costs_the_authority_of_the_next_start(tmp_path):
    (tmp_path / "file").write_text("")
    config = replace(config_for(), tls_listen="localhost:0")
    with tls_listener(config, tmp_path / "file" / "tls") as tls:
        assert tls.ca.startswith("-----BEGIN CERTIFICATE")


# where


def test_a_port_in_use_is_a_warning_unless_the_port_was_asked_for():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"localhost:{taken.getsockname()[1]}"
        default = replace(config_for(), tls_listen=where, origins={"gateway.tls_listen": "default"})
        with tls_listener(default, None) as tls:
            assert (tls.sockets, tls.urls) == ((), ())
            assert "the port is in use; choose another with DAP_GATEWAY_TLS_LISTEN" in tls.missing
        named = replace(default, origins={"gateway.tls_listen": "environment DAP_GATEWAY_TLS_LISTEN"})
        with pytest.raises(ConfigError, match="in use"), tls_listener(named, None):
            pass


@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ("0.0.0.0:0", ["localhost"]), ("127.0.0.2:0", ["127.0.0.2"]), (f"{socket.gethostname()}:0", [socket.gethostname()]),
    ],
)  # fmt: skip
async def test_beyond_loopback_where_it_is_asked_for(tmp_path, where, hosts):
    config = replace(config_for(), tls_listen=where, allowed_hosts=("dap.example:8443",))
    with tls_listener(config, tmp_path) as tls:
        port = tls.sockets[0].getsockname()[1]
        assert list(tls.hosts)[:1] == [f"{host}:{port}" for host in hosts]
        (names,) = [tls.certificates.source._names]
        assert {"localhost", "127.0.0.1", "::1", "dap.example"} <= set(names)
        assert "0.0.0.0" not in names


@pytest.mark.parametrize(
    "where", ["localhost", "localhost:x", ":8443", "localhost:70000", "no such name:1", ""]
)
def test_what_is_no_address_is_refused(where):
    config = replace(config_for(), tls_listen=where, origins={"gateway.tls_listen": "file"})
    with pytest.raises(ConfigError, match="cannot listen on"), tls_listener(config, None):
        pass


async def test_a_process_with_tls_alone(home, called):
    """Its links lead there, and its authority stays for the next start, or is the one of the start before."""
    kept = home.path / "state" / "dap" / "tls"
    env = {"DAP_GATEWAY_LISTEN": "none", "DAP_GATEWAY_TLS_LISTEN": "127.0.0.1:0"}
    with tls_listener(replace(config_for(), tls_listen="127.0.0.1:0"), kept):
        before = (kept / "ca.pem").read_bytes()
    process = await home.start("serve", "--demo", "--log", "json", env=env, stdin=asyncio.subprocess.DEVNULL)
    try:
        first = (await process.stdout.readline()).decode()
        assert first.startswith("dap: serving on https://127.0.0.1:"), first
        assert called("open").out.startswith(b"https://127.0.0.1:")
    finally:
        process.terminate()
        await process.communicate()
    assert (kept / "ca.pem").read_bytes() == before
    assert not [one for one in kept.iterdir() if one.name != "ca.pem"]
