"""Connections from the runner: both directions, both ends, names and refusals."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import becomes

from gateway.relay import wire


@pytest.fixture
def link(shared_link):
    return shared_link


@contextmanager
def server(serve, path: str = "") -> Iterator[str]:
    """Runs `serve(connection)` for one connection; its address."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen()
    listener.settimeout(10)

    def one():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        with connection:
            serve(connection)

    thread = threading.Thread(target=one)
    thread.start()
    yield f"unix:{path}" if path else f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)
    listener.close()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.sendall(b"end")


@pytest.mark.parametrize("kind", ["tcp", "name", "unix"])
def test_bytes_both_ways_and_half_close(link, tmp_path, kind):
    data = os.urandom(300_000)
    with server(echo, str(tmp_path / "s") if kind == "unix" else "") as address:
        number = link.ask(dial=address.replace("127.0.0.1", "localhost") if kind == "name" else address)
        said = link.streams[number]
        link.until(lambda: said.started is not None)
        for at in range(0, len(data), wire.CHUNK):
            part = data[at : at + wire.CHUNK]
            need = at + len(part)
            link.until(lambda need=need: need <= wire.WINDOW + said.credit)
            link.say(wire.STDIN, number, part)
        link.say(wire.EOF, number)
        link.finish(number)

    assert said.stdout == data + b"end"
    assert said.eof
    assert said.exit == {"code": 0}


def test_what_it_reads_has_credit(link):
    """The server is held back; nothing piles up in the relay."""
    sent = []

    def flood(connection):
        connection.settimeout(1)
        try:
            while True:
                sent.append(connection.send(bytes(65536)))
        except OSError:
            return

    with server(flood) as address:
        number = link.ask(dial=address, credit=1000)
        link.hold.add(number)
        link.until(lambda: len(link.streams[number].stdout) == 1000)
        assert not link.step(1.5)
    link.say(wire.END, number)

    assert link.finish(number).exit == {"code": 0}
    assert sum(sent) < 32 << 20


@pytest.mark.parametrize(
    ("address", "errno"), [("unix:/no/such/socket", 2), ("tcp:127.0.0.1:1", 111), ("tcp:no.invalid:80", 2)]
)
def test_what_cannot_be_reached_says_why(link, address, errno):
    said = link.finish(link.ask(dial=address))

    assert said.exit["errno"] == errno
    assert said.started is None


def test_who_looks_a_name_up_is_gone_afterwards(link):
    """Nor does a zombie stay: there would be one more for each connection to a name."""
    link.finish(link.ask(dial="tcp:localhost:1"))
    children = Path("/proc/{pid}/task/{pid}/children".format(**link.about))

    assert becomes(lambda: not children.read_text())


def test_a_backlog_that_is_full_is_waited_for(link, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        numbers = [link.ask(dial=f"unix:{path}") for _ in range(6)]
        link.until(lambda: link.streams[numbers[0]].started is not None)
        assert not all(link.streams[number].started for number in numbers)
        taken = [listener.accept()[0] for _ in numbers]
        link.until(lambda: all(link.streams[number].started is not None for number in numbers))
    for connection in taken:
        connection.close()
    assert all(
        link.streams[number].exit is None or "error" not in link.streams[number].exit for number in numbers
    )


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_answer_is_whole_that_comes_while_the_server_takes_no_more(link, tmp_path, kind):
    """As one that says that a body is too large, and closes with most of it unread."""
    answer, closed = b"413 " * 10_000, threading.Event()

    def early(connection):
        connection.recv(10)
        connection.sendall(answer)
        connection.close()
        closed.set()

    with server(early, str(tmp_path / "s") if kind == "unix" else "") as address:
        number = link.ask(dial=address, credit=0)
        said = link.streams[number]
        link.until(lambda: said.started is not None)
        link.say(wire.STDIN, number, b"POST it all")
        assert closed.wait(10)
        for _ in range(5):
            link.say(wire.STDIN, number, bytes(10_000))
        link.say(wire.EOF, number)
        link.send(wire.encode_credit(number, len(answer)))
        link.finish(number)

    assert said.stdout == answer


def test_a_server_that_resets(link):
    def reset(connection):
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with server(reset) as address:
        number = link.ask(dial=address)
        link.until(lambda: link.streams[number].started is not None)
        link.say(wire.STDIN, number, b"x")
        said = link.finish(number)

    assert said.exit["errno"] == 104
