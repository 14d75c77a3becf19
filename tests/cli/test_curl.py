"""`dap curl` beside curl: the same words, the same bytes, the same exit codes, over the demo's runner."""

import asyncio
import gzip
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.tls_front import server_tls

from gateway.cli.main import main

CURL = shutil.which("curl")
SECRET = b"of-the-file\r\nand a second line\n"

AROUND = {
    "/round": "/round",
    "/no-url": "http://[bad/",
    "/space": "/a b/told#part",
    "/accent": "/\xc3\xa9",  # bytes of UTF-8, as they are written
}


class Server(BaseHTTPRequestHandler):
    """Says what it was asked, and answers badly where the path says so."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.read()
        if self.path.startswith("/moved/"):
            return self.send(int(self.path[7:10]), b"", Location="../told?again=1")
        if self.path == "/elsewhere":
            return self.send(302, b"", Location=f"http://localhost:{self.server.server_port}/told")
        if self.path in AROUND:
            return self.send(302, b"", Location=AROUND[self.path])
        if self.path == "/empty":
            return self.request.shutdown(socket.SHUT_RDWR)
        if self.path == "/cut":
            self.close_connection = True
            return self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        if self.path == "/zip":
            return self.send(200, gzip.compress(b"as it is", mtime=0), **{"Content-Encoding": "gzip"})
        if self.path == "/chunks":
            self.wfile.write(b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n")
            return self.wfile.write(
                b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (b"one ", b"two", b""))
            )
        lines = sorted(self.headers.items(), key=lambda one: one[0].lower())
        told = [f"{self.command} {self.path}", *(f"{name}: {value}" for name, value in lines)]
        return self.send(404 if "missing" in self.path else 200, "\n".join(told).encode() + b"\n\n" + body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # as http.server calls them

    def read(self):
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def servers():
    """The ports of the server without and with TLS, and a name nothing listens at."""
    certificate, context = server_tls()
    plain, secure = (ThreadingHTTPServer(("127.0.0.1", 0), Server) for _ in range(2))
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    for one in (plain, secure):
        one.handle_error = lambda *_: None  # a client that refuses the certificate
        threading.Thread(target=one.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    yield {"port": plain.server_port, "tls": secure.server_port, "nobody": nobody, "certificate": certificate}
    for one in (plain, secure):
        one.shutdown()
        one.server_close()


@pytest.fixture
def ours(demo_home, monkeypatch, capfdbinary):
    """Runs `dap curl` in this process; (exit code, stdout, stderr)."""

    def run(*words, stdin=b""):
        for name, value in demo_home.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["dap", "curl", *words])
        reader, writer = os.pipe()
        os.write(writer, stdin)
        os.close(writer)
        kept = os.dup(0)
        os.dup2(reader, 0)
        os.close(reader)
        capfdbinary.readouterr()
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            os.dup2(kept, 0)
            os.close(kept)
            logging.disable(logging.NOTSET)
        return ended.value.code, *capfdbinary.readouterr()

    return run


@pytest.fixture(scope="module")
def curl(tmp_path_factory):
    """Runs curl itself, which has no settings here, and trusts another authority than the server's."""
    other = tmp_path_factory.mktemp("curl") / "ca"
    other.write_text(server_tls()[0])
    env = {"PATH": os.environ["PATH"], "CURL_CA_BUNDLE": str(other)}

    def run(*words, stdin=b""):
        line = [CURL, "-q", "-sS", "--noproxy", "*", *words]
        done = subprocess.run(line, input=stdin, capture_output=True, check=False, env=env)
        return done.returncode, done.stdout, done.stderr

    return run


def plain(out):
    """What both say: without the date, the program's name, and headers of one connection."""
    out = re.sub(rb"(?m)^(Date|Server|User-Agent|Expect): .*\n", b"", out)
    return re.sub(
        rb"(?m)^(Content-Length|Content-Type|Transfer-Encoding|Host|Accept|Authorization|Cookie|X-\w): .*\n",
        lambda one: one[0].lower(),
        out,
    )


ROWS = [
    ["{url}/told"],
    ["{url}/told?a=1&b=%20#part"],
    ["{url}/a/../told"],
    ["{url}/missing"],
    ["-f", "{url}/missing"],
    ["-f", "-i", "-H", "User-Agent: x", "{url}/missing"],
    ["-f", "-I", "-H", "User-Agent: x", "{url}/missing"],
    ["-i", "-H", "User-Agent: x", "{url}/told"],
    ["-I", "-H", "User-Agent: x", "{url}/told"],
    ["-X", "DELETE", "{url}/told"],
    ["-H", "X-A: 1", "-H", "X-A: 2", "-H", "Accept:", "-H", "X-B;", "-H", "User-Agent: mine", "{url}/told"],
    ["-H", "X-A: é", "{url}/told"],
    ["-H", "Host: other.example", "{url}/told"],
    ["-d", "a=1", "-d", "b=2", "{url}/told"],
    ["-d", "@{file}", "{url}/told"],
    ["-d", "{}", "-H", "Content-Type: application/json", "-X", "PUT", "{url}/told"],
    ["--data-binary", "@{file}", "{url}/told"],
    ["--data-binary", "@-", "{url}/told"],
    ["-T", "{file}", "{url}/told"],
    ["-T", "{file}", "{url}/told/"],
    ["-T", "{file}", "{url}"],
    ["-u", "ann:pass:word", "{url}/told"],
    ["http://ann:p%40ss@127.0.0.1:{port}/told"],
    ["http://token@127.0.0.1:{port}/told"],
    ["{url}/moved/302"],
    ["-L", "{url}/moved/302"],
    ["-L", "-d", "x", "{url}/moved/303"],
    ["-L", "-d", "x", "{url}/moved/307"],
    ["-L", "-i", "-H", "User-Agent: x", "{url}/moved/301"],
    ["-L", "-u", "ann:secret", "-H", "Cookie: a=b", "-H", "Authorization: mine", "{url}/elsewhere"],
    ["-L", "{url}/round"],
    ["-L", "{url}/no-url"],
    ["-L", "{url}/space"],
    ["{url}/empty"],
    ["{url}/cut"],
    ["{url}/chunks"],
    ["{url}/zip"],
    ["https://localhost:{tls}/told"],
    ["-k", "https://localhost:{tls}/told"],
    ["--cacert", "{ca}", "https://localhost:{tls}/told"],
    ["--cacert", "{ca}", "https://127.0.0.1:{tls}/told"],
    ["--cacert", "{file}", "https://localhost:{tls}/told"],
    ["--resolve", "localhost:{nobody}:127.0.0.1", "http://localhost:{nobody}/"],
    ["--resolve", "shop.example:{port}:127.0.0.1", "http://shop.example:{port}/told"],
    ["https://127.0.0.1:{port}/told"],
    ["http://127.0.0.1:{nobody}/"],
    ["http://host.invalid/"],
    ["http://127.0.0.1:{port}/a b"],
    ["gopher+x://127.0.0.1/"],
    ["-o", "/proc/none/x", "{url}/told"],
    ["-T", "/none/such", "{url}/told"],
]


@pytest.mark.skipif(not CURL, reason="no curl here to compare with")
@pytest.mark.parametrize("words", ROWS, ids=" ".join)
def test_as_curl_itself(words, servers, ours, curl, tmp_path):
    file, ca = tmp_path / "file", tmp_path / "ca"
    file.write_bytes(SECRET)
    ca.write_text(servers["certificate"])
    known = {"url": f"http://127.0.0.1:{servers['port']}", "file": file, "ca": ca, **servers}
    given = [word if word == "{}" else word.format(**known) for word in words]
    (code, out, err), (theirs, expected, said) = ours(*given, stdin=SECRET), curl(*given, stdin=SECRET)
    assert (code, plain(out)) == (theirs, plain(expected)), (err, said)
    assert err.count(b"\n") == (1 if code else 0)
    assert b"secret" not in err


@pytest.mark.parametrize(
    ("words", "shown"), [("-fs", False), ("-fsS", True), ("-fS", True), ("-sf --show-error", True)]
)
def test_errors_are_silent_with_s_and_shown_with_capital_s(words, shown, servers, ours):
    code, _, err = ours(*words.split(), f"http://127.0.0.1:{servers['port']}/missing")
    assert (code, bool(err)) == (22, shown)


async def test_waiting_for_a_body_ends_with_ctrl_c_and_with_the_time(home, demo_home, servers):
    url = f"http://127.0.0.1:{servers['port']}/told"
    waiting = await home.start("curl", "-d", "@-", url, env=demo_home.env)
    await asyncio.sleep(1.5)
    waiting.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(waiting.wait(), 5) == 130
    late = await home.start("curl", "-m", "1", "-d", "@-", url, env=demo_home.env)
    assert await asyncio.wait_for(late.wait(), 5) == 28


async def test_a_named_pipe_is_sent_whole_and_waited_for(home, demo_home, servers, tmp_path):
    pipe, url = tmp_path / "pipe", f"http://127.0.0.1:{servers['port']}/told"
    os.mkfifo(pipe)
    sending = await home.start("curl", "-T", str(pipe), url, env=demo_home.env)
    writer = await asyncio.wait_for(asyncio.to_thread(os.open, pipe, os.O_WRONLY), 10)
    await asyncio.sleep(0.5)
    os.write(writer, SECRET)
    os.close(writer)
    out, _ = await asyncio.wait_for(sending.communicate(), 10)
    assert (sending.returncode, out.endswith(b"\n\n" + SECRET)) == (0, True)
    waiting = await home.start("curl", "-m", "1", "-T", str(pipe), url, env=demo_home.env)
    assert await asyncio.wait_for(waiting.wait(), 10) == 28


def test_a_redirect_goes_to_the_bytes_that_it_has(ours, servers):
    code, out, _ = ours("-L", f"http://127.0.0.1:{servers['port']}/accent")
    assert (code, out.splitlines()[0]) == (0, b"GET /%C3%A9")
