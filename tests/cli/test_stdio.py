"""Reading and writing our own descriptors."""

import asyncio
import os
import selectors
from pathlib import Path

import pytest

from gateway.cli.terminal.stdio import WAITING_LIMIT, OutputClosed, Sink, Source, gives_nothing


@pytest.fixture
def pipe():
    """(read end, write end); closed afterwards unless the test did."""
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        if fd is not None:
            os.close(fd)


async def drain(fd, size):
    data = b""
    while len(data) < size:
        data += await asyncio.to_thread(os.read, fd, 1 << 16)
    return data


async def test_a_source_reads_a_pipe_to_its_end(pipe):
    os.write(pipe[1], b"one")
    source = Source(pipe[0])
    first = await source.read()
    os.close(pipe[1])
    pipe[1] = None

    assert (first, await source.read()) == (b"one", b"")


async def test_cancelling_a_read_loses_nothing(pipe):
    source = Source(pipe[0])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await source.read()
    os.write(pipe[1], b"late")

    assert await source.read() == b"late"


async def test_a_source_that_somebody_made_non_blocking(pipe):
    """O_NONBLOCK belongs to the description, which others may have set; we neither need nor change it."""
    os.set_blocking(pipe[0], False)
    os.write(pipe[1], b"x")
    source = Source(pipe[0])

    assert await source.read() == b"x"
    assert not os.get_blocking(pipe[0])


async def test_what_cannot_be_read_is_no_end(tmp_path):
    """Or the far side would take the beginning of a file for all of it."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            await Source(fd).read()
    finally:
        os.close(fd)


def test_the_null_device_and_a_closed_stdin_give_nothing(pipe):
    with Path(os.devnull).open() as null, Path("/dev/zero").open() as zeroes:
        assert gives_nothing(null.fileno())
        assert not gives_nothing(zeroes.fileno())
    assert not gives_nothing(pipe[0])
    os.close(pipe[0])
    assert gives_nothing(pipe[0])
    pipe[0] = None


async def test_a_closed_stdin_is_an_end(pipe):
    source = Source(pipe[0])
    os.close(pipe[0])
    pipe[0] = None

    assert await source.read() == b""


async def test_order_is_kept_over_both_streams(pipe):
    sink = Sink()
    duplicate = os.dup(pipe[1])
    for number in range(500):
        await sink.write(pipe[1] if number % 3 else duplicate, b"%03d " % number)
    await sink.drain()
    sink.close()
    os.close(duplicate)

    assert await drain(pipe[0], 2000) == b"".join(b"%03d " % number for number in range(500))


async def test_a_blocked_reader_holds_the_writer_and_not_the_loop(pipe):
    sink = Sink()
    sent = 0

    async def write():
        nonlocal sent
        for _ in range(80):
            await sink.write(pipe[1], b"x" * 32768)
            sent += 32768

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        await asyncio.sleep(0.2)  # the loop runs on, the writer does not
        assert sink.waiting > WAITING_LIMIT
        assert sent <= WAITING_LIMIT + (1 << 17)
        await drain(pipe[0], 80 * 32768)
    await sink.drain()
    sink.close()

    assert sent == 80 * 32768


async def test_a_reader_that_is_gone_is_noticed_by_everyone_who_waits(pipe):
    os.close(pipe[0])
    pipe[0] = None
    sink = Sink()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(caught(sink.watch()))
        await sink.write(pipe[1], b"x")

    with pytest.raises(OutputClosed):
        await sink.drain()
    assert watching.result()
    sink.close()


async def caught(coroutine):
    try:
        await coroutine
    except OutputClosed:
        return True
    return False


async def test_a_full_disk_is_an_error_of_its_own():
    fd = os.open("/dev/full", os.O_WRONLY)
    sink = Sink()
    await sink.write(fd, b"x")

    with pytest.raises(OSError, match="No space left"):
        await sink.drain()
    sink.close()
    os.close(fd)


@pytest.mark.parametrize("selector", [selectors.DefaultSelector, selectors.PollSelector])
def test_files_and_devices_have_their_end_whatever_waits_for_descriptors(tmp_path, monkeypatch, selector):
    """kqueue, as poll(2), takes a file too."""
    monkeypatch.setattr(selectors, "DefaultSelector", selector)
    (tmp_path / "file").write_bytes(b"x" * 40_000)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector())) as runner:
        assert runner.run(size_of(tmp_path / "file")) == 40_000
        assert runner.run(size_of(os.devnull)) == 0


async def size_of(path):
    fd, size = os.open(path, os.O_RDONLY), 0
    try:
        source = Source(fd)
        async with asyncio.timeout(5):
            while data := await source.read():
                size += len(data)
    finally:
        os.close(fd)
    return size
