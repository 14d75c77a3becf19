"""Reads logs through lost hops, restarts and rotations: every line once, in order."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.log_server import SECOND, log_server
from support.waiting import until

from gateway.client.cluster import Cluster
from gateway.client.logs.lines import LogLine
from gateway.client.logs.reading import Reading
from gateway.client.logs.wish import Notice, Selection, Wish
from gateway.errors import HopFailed
from gateway.protocol.target import Target

ONE = [Selection(Target("default", "", "web-0"))]


class Log:
    """What was delivered."""

    def __init__(self):
        self.lines, self.notices = [], []

    async def take(self, item):
        if isinstance(item, LogLine):
            self.lines.append(item.data)
        else:
            assert isinstance(item, Notice)
            self.notices.append((item.event, item.source.pod))

    async def has(self, *lines):
        """Waits for so many lines, and compares."""
        await until(lambda: len(self.lines) >= len(lines))
        assert self.lines == list(lines)

    async def heard(self, event, pod="web-0"):
        await until(lambda: (event, pod) in self.notices)


@pytest.fixture
async def server():
    async with log_server() as one:
        yield one


@asynccontextmanager
async def reading(server, selected=ONE, **wish):
    log = Log()
    one = Reading(Cluster(server.endpoint, "default"), "default", Wish(follow=True, **wish), log.take)
    task = asyncio.ensure_future(one.run(selected))  # noqa: TID251  # the block is its life
    try:
        yield log, one, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_lost_hop_loses_and_doubles_no_line(server):
    """Several lines have the same time, some stand out of order, and some were written while nobody listened."""
    pod = server.pod("web-0")
    async with reading(server, patience=60) as (log, _, _):
        for number, time in enumerate((0, 5, 5, 5, SECOND + 7, SECOND + 3)):
            pod.write(b"%d\n" % number, time)
        await log.has(*(b"%d\n" % n for n in range(6)))
        server.down = True
        server.cut()
        await log.heard("lost")
        for number, time in ((6, SECOND + 7), (7, SECOND + 7), (8, SECOND + 4), (9, 3 * SECOND)):
            pod.write(b"%d\n" % number, time)
        server.down = False
        await log.has(*(b"%d\n" % n for n in range(10)))
        await log.heard("back")
        pod.write(b"10\n", 3 * SECOND)
        pod.end()
        await log.has(*(b"%d\n" % n for n in range(11)))
        await log.heard("ended")
    assert log.notices == [("lost", "web-0"), ("back", "web-0"), ("ended", "web-0")]


async def test_what_a_container_wrote_before_it_was_restarted_while_the_hop_was_lost(server):
    pod = server.pod("web-0")
    async with reading(server) as (log, _, _):
        pod.write(b"first\n", 0)
        await log.has(b"first\n")
        server.down = True
        server.cut()
        await log.heard("lost")
        pod.write(b"last words\n", 1)
        pod.restart()
        pod.write(b"again\n", 2)
        server.down = False
        await log.has(b"first\n", b"last words\n", b"again\n")
        await log.heard("restarted")
        pod.restart()
        pod.write(b"once more\n", 3)
        await log.has(b"first\n", b"last words\n", b"again\n", b"once more\n")
    assert ("gap", "web-0") not in log.notices


async def test_a_rotation_meanwhile_is_told(server):
    pod = server.pod("web-0")
    async with reading(server) as (log, _, _):
        pod.write(b"old\n", 0)
        await log.has(b"old\n")
        pod.runs[-1].lines.clear()
        pod.write(b"new\n", SECOND)
        server.cut()
        await log.heard("gap")
        await log.has(b"old\n", b"new\n")


async def test_what_a_kubelet_says_in_place_of_a_log_is_no_line(server):
    pod = server.pod("web-0")
    pod.restart()
    pod.write(b"again\n", 1)
    pod.runs[0].lost = True
    async with reading(server, previous=True) as (log, _, _):
        await log.has(b"again\n")
        assert log.notices == [("gap", "web-0")]


async def test_a_log_that_stands_still_while_another_request_sees_more_is_opened_again(server):
    pod = server.pod("web-0")
    async with reading(server, silence=0.1) as (log, _, _):
        pod.write(b"old\n", 0)
        await log.has(b"old\n")
        pod.runs[-1].deaf = True
        pod.write(b"unseen\n", SECOND)
        await log.has(b"old\n", b"unseen\n")
        pod.runs[-1].deaf = False
        await log.heard("reopened")


@pytest.mark.parametrize(
    ("wish", "lines"), [({"tail": 1}, [b"b\n"]), ({"tail": 0}, []), ({}, [b"a\n", b"b\n"])]
)
async def test_what_comes_behind_the_wanted_part_is_complete(server, wish, lines):
    pod = server.pod("web-0")
    pod.write(b"a\n", 1)
    pod.write(b"b\n", 2)
    async with reading(server, **wish) as (log, one, _):
        await one.ready.wait()
        server.cut()
        pod.write(b"c\n", 2)
        await log.has(*lines, b"c\n")


async def test_a_container_that_has_not_started_is_waited_for(server):
    pod = server.pod("web-0", runs=False)
    async with reading(server, tail=0) as (log, one, task):
        await log.heard("waits")
        assert one.ready.is_set()
        pod.restart = None
        server.pod("web-0").write(b"hello\n", 0)
        await log.has(b"hello\n")
        server.remove("web-0")
        server.cut()
        await task
    assert log.notices[-1] == ("ended", "web-0")


async def test_pods_that_join_are_read_from_their_beginning(server):
    async with reading(server, [Selection(labels="app=x")], tail=0, sort=0) as (log, one, _):
        await log.heard("waits", "")
        await one.ready.wait()
        server.pod("b").write(b"b\n", 1)
        await log.has(b"b\n")
        server.cut()
        server.pod("c").write(b"c\n", 2)
        await log.has(b"b\n", b"c\n")
        assert [name for event, name in log.notices if event == "joined"] == ["b", "c"]


async def test_a_watch_that_nobody_ends_in_time_is_begun_anew(server, monkeypatch):
    """As where this program was stopped for that long, with Ctrl-Z."""
    monkeypatch.setattr("gateway.client.logs.pods._WATCH", 0)
    monkeypatch.setattr("gateway.client.cluster._ANSWER", 0.5)
    async with reading(server, [Selection(labels="app=x")], tail=0, sort=0) as (log, one, task):
        await one.ready.wait()
        await asyncio.sleep(1)
        server.pod("b").write(b"b\n", 1)
        await log.has(b"b\n")
        assert not task.done()


async def test_the_logs_of_a_job_end_with_it_though_it_ends_after_its_pods(server):
    server.pod("a").write(b"a\n", 0)
    async with reading(server, [Selection(Target("default", "", "job/j"))]) as (log, _, task):
        await log.has(b"a\n")
        server.pods["a"].end()
        await log.heard("ended", "a")
        server.job_is_over = True
        await task


async def test_lines_of_several_come_in_the_order_of_their_times(server):
    for first in range(3):
        pod = server.pod(f"p{first}")
        for number in range(first, 30, 3):
            pod.write(b"%d\n" % number, number)
    log = Log()
    one = Reading(Cluster(server.endpoint, "default"), "default", Wish(), log.take)
    await one.run([Selection()])
    assert log.lines == [b"%d\n" % number for number in range(30)]


async def test_what_is_not_there_is_an_error(server):
    with pytest.raises(HopFailed, match="not found"):
        async with reading(server) as (_, _, task):
            await task
    with pytest.raises(HopFailed, match="no pods of app=x"):
        await Reading(Cluster(server.endpoint, "default"), "default", Wish(), Log().take).run(
            [Selection(labels="app=x")]
        )
    server.pod("web-0", runs=False)
    with pytest.raises(HopFailed, match="has no log yet: ContainerCreating"):
        await Reading(Cluster(server.endpoint, "default"), "default", Wish(), Log().take).run(ONE)
