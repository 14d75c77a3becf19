"""Connects to the gateway over TCP, directly or through the tunnel of an HTTP proxy (RFC 9110, 9.3.6)."""

import asyncio
import socket
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from concurrent.futures import Future
from contextlib import suppress
from urllib.parse import urlsplit

from gateway import __version__
from gateway.client.endpoint import Endpoint
from gateway.client.proxy import Proxy, proxy_for
from gateway.client.tls import trusting
from gateway.dial import dial, host_port
from gateway.errors import ConfigError, why

_PORTS = {"http": 80, "https": 443}
_HEAD = 64 << 10  # bytes of the proxy's answer
_PART = 64 << 10  # bytes


class ProxyRefused(Exception):  # noqa: N818  # an answer
    """Raised where the proxy makes no tunnel. The message has no word of the proxy's but its number."""


def proxy_of(endpoint: Endpoint) -> Proxy | None:
    """Returns the proxy through which the gateway is reached: None for a gateway of this machine, whatever the variables
    say. Raises ProxyUnusable.
    """
    return None if endpoint.local else proxy_for(urlsplit(endpoint.url).scheme, *_target(endpoint))


def trust(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Returns with what TLS to the gateway begins, which trusts the endpoint's own authority alone, or those of the system;
    None for a gateway without TLS. Raises ConfigError for certificates that cannot be read.
    """
    if not endpoint.url.startswith("https:"):
        return None
    try:
        context = trusting(cadata=endpoint.ca or None)
    except ssl.SSLError as error:
        raise ConfigError(
            f"the certificate of the authority for {endpoint} cannot be read: {why(error)}"
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


async def reach(endpoint: Endpoint, proxy: Proxy | None, seconds: float) -> socket.socket:
    """Returns a connected, non-blocking socket to a gateway that has no Unix socket; TLS to it is the caller's. Raises
    OSError, ProxyRefused.
    """
    host, port = _target(endpoint)
    if proxy is None:
        return await dial(host, port, seconds=seconds)
    try:
        sock = await dial(proxy.host, proxy.port, seconds=seconds)
    except OSError as error:
        raise OSError(f"the proxy {proxy}, which {proxy.origin} names, cannot be reached: {error}") from None
    make = _by_tls(sock, proxy, host, port, seconds) if proxy.tls else _tunnel(sock, proxy, host, port)
    try:
        async with asyncio.timeout(seconds):
            return await make
    except TimeoutError:
        raise OSError(f"no answer through the proxy {proxy} within {seconds:g} s") from None


def _target(endpoint: Endpoint) -> tuple[str, int]:
    parts = urlsplit(endpoint.url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


async def _tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> socket.socket:
    """Returns the proxy's socket once the tunnel is made; closes the socket where it is not."""
    loop, said = asyncio.get_running_loop(), b""
    try:
        await loop.sock_sendall(sock, _request(proxy, host, port))
        while b"\r\n\r\n" not in said and len(said) < _HEAD:
            part = await loop.sock_recv(sock, _PART)
            if not part:
                break
            said += part
        _judge(said, proxy)
    except BaseException:
        sock.close()
        raise
    return sock


async def _by_tls(sock: socket.socket, proxy: Proxy, host: str, port: int, seconds: float) -> socket.socket:
    """Returns a socket whose bytes a thread passes through TLS to the proxy: what is sent in the tunnel is TLS itself,
    and neither client of ours can put TLS into TLS.
    """
    here, there = socket.socketpair()
    made: Future[None] = Future()

    async def carry() -> None:
        try:
            async with asyncio.timeout(seconds):
                ends = await _made_by_tls(sock, there, proxy, host, port)
        except BaseException as error:  # noqa: BLE001  # whoever waits for the tunnel gets it
            for one in (sock, there):
                one.close()
            made.set_exception(error)
        else:
            made.set_result(None)
            await _both(*ends)
            for writer in (ends[1], ends[3]):
                await _closed(writer)

    made.set_running_or_notify_cancel()  # a wait for it that is cancelled does not cancel it
    threading.Thread(target=lambda: asyncio.run(carry()), name=f"tunnel through {proxy}", daemon=True).start()
    try:
        await asyncio.wrap_future(made)
    except BaseException:
        here.close()
        raise
    here.setblocking(False)
    return here


async def _made_by_tls(
    sock: socket.socket, there: socket.socket, proxy: Proxy, host: str, port: int
) -> tuple[StreamReader, StreamWriter, StreamReader, StreamWriter]:
    """Returns both ends of what is to be carried: the tunnel through the proxy, and the socket of the client."""
    reader, writer = await asyncio.open_connection(sock=sock, ssl=trusting(), server_hostname=proxy.host)
    try:
        writer.write(_request(proxy, host, port))
        try:
            said = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            said = b""
        _judge(said, proxy)
    except BaseException:
        await _closed(writer)
        raise
    return reader, writer, *await asyncio.open_connection(sock=there)


async def _both(to: StreamReader, out: StreamWriter, inner: StreamReader, back: StreamWriter) -> None:
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(to, back))
            tasks.create_task(_copy(inner, out))


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while data := await reader.read(_PART):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _closed(writer: StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    where = host_port(host, port)
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}", f"User-Agent: dap/{__version__}"]
    lines += [f"Proxy-Authorization: {proxy.authorization}"] if proxy.authorization else []
    return "\r\n".join([*lines, "", ""]).encode()


def _judge(answer: bytes, proxy: Proxy) -> None:
    """Raises ProxyRefused for an answer that makes no tunnel."""
    version, _, rest = answer.partition(b"\r\n")[0].partition(b" ")
    number = rest[:3].decode("ascii", "replace")
    if not version.startswith(b"HTTP/1.") or not number.isdecimal() or b"\r\n\r\n" not in answer:
        raise ProxyRefused(f"what {proxy.origin} names, {proxy}, does not answer as an HTTP proxy does")
    if number == "407":
        raise ProxyRefused(f"the proxy {proxy} takes no tunnel (407): put USER:PASSWORD@ into {proxy.origin}")
    if not number.startswith("2"):
        raise ProxyRefused(f"the proxy {proxy} takes no tunnel ({number})")
