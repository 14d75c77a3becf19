"""After a restart a session is attached to as soon as its own cluster has been reached."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.channel import Script, ScriptedBackend
from support.virtual_time import now, run

from gateway.access.identity import Identity
from gateway.backends.resume import RecoveredSession
from gateway.errors import Refused
from gateway.protocol.target import Command, Target
from gateway.sessions.record import SessionRecord
from gateway.sessions.registry import SessionRegistry
from gateway.settings.config import Limits

NAME = "5e55104e5e55104e"
SHELL = Command((), "exec", stdin=True, stdout=True, tty=True, session=NAME)


class Kept(ScriptedBackend):
    """A backend that is reached after so many seconds, and has these sessions."""

    grace, survives = 600.0, True

    def __init__(self, seconds, *names):
        super().__init__(Script([asyncio.Event()]))
        self.resume = self
        self.seconds, self.names = seconds, names

    async def found(self):
        await asyncio.sleep(self.seconds)
        yield [RecoveredSession(name, record().body(), 0, 0, 0, 0) for name in self.names]
        await asyncio.Event().wait()

    @asynccontextmanager
    async def recover(self, _found, target, command, _owner):
        async with self.exec(target, command) as channel:
            channel.note = lambda _: None
            yield channel


def record():
    return SessionRecord(Identity("me", "token"), Target("here", "ns", "pod"), SHELL, ())


async def found(name, cluster="", **backends):
    """The session that an attach finds, and after how many seconds; or the code and the message of the refusal."""
    async with asyncio.TaskGroup() as tasks:
        registry = SessionRegistry(backends, Limits(), tasks, lambda *_: None, lambda *_: None)
        lookers = [tasks.create_task(registry.recovery.run(one)) for one in backends]
        try:
            return (await registry.find(name, cluster))[0].name, now()
        except Refused as error:
            return error.code, error.message, now()
        finally:
            for task in (*lookers, *registry.sessions.values()):
                task.cancel()


def test_a_cluster_that_is_not_reached_holds_nobody_up():
    assert run(found(NAME, here=Kept(1, NAME), far=Kept(1e9))) == (NAME, 1)


def test_an_unknown_session_is_unknown_as_soon_as_its_cluster_was_looked_at():
    code, _, seconds = run(found("other", "here", here=Kept(1, NAME), far=Kept(1e9)))

    assert (code, seconds) == ("session_unknown", 1)


@pytest.mark.parametrize("cluster", ["", "far"])
def test_where_the_session_may_still_be_found_the_cluster_is_named(cluster):
    code, message, seconds = run(found("other", cluster, here=Kept(1, NAME), far=Kept(1e9)))

    assert (code, seconds) == ("ssh_unreachable", Limits().start)
    assert message == "the gateway restarted and is still reconnecting to far: try again shortly"


def test_when_all_clusters_were_looked_at_nobody_waits():
    code, _, seconds = run(found("other", here=Kept(1, NAME), far=Kept(2)))

    assert (code, seconds) == ("session_unknown", 2)
