"""What the log says of an outage: its beginning, its end, and little between."""

from dataclasses import replace

from structlog.testing import capture_logs
from support.cuttable import cuttable
from support.served import cluster_at
from support.waiting import until

from gateway.backends.factory import make
from gateway.backends.outage_log import LINK, OutageLog
from gateway.backends.relay.credentials import throw_away
from gateway.errors import HopFailed
from gateway.settings.config import Limits

LOST = HopFailed("incus_lost", "incus exec ended")
REFUSED = HopFailed("runner_failed", "no shell")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def logged(*steps):
    """The lines of an outage; numbers among the steps are seconds that pass."""
    clock = Clock()
    outages = OutageLog("prod", LINK, clock)
    with capture_logs() as logs:
        for step in steps:
            if isinstance(step, int):
                clock.now += step
            elif step is LOST:
                outages.lost(step, 7.0)
            elif step is REFUSED:
                outages.refused(step)
            else:
                outages.connected()
    return [(line["event"], line.get("code"), line["seconds"], line.get("repeated", 0)) for line in logs]


def test_an_outage_has_a_first_and_a_last_line():
    assert logged("connected", 5, LOST, 1, REFUSED, 2, "connected") == [
        ("link_lost", "incus_lost", 7.0, 0),
        ("relay_refused", "runner_failed", 1, 0),
        ("link_connected", None, 3, 0),
    ]


def test_what_never_failed_is_not_told():
    assert logged("connected", "connected") == []


def test_refusals_of_a_long_outage_are_a_line_a_minute():
    lines = logged(*[REFUSED, 1] * 150, "connected")
    assert [line[0] for line in lines] == ["relay_refused"] * 3 + ["link_connected"]
    assert [line[3] for line in lines] == [0, 59, 59, 29]
    assert lines[-1][2] == 150


def test_a_hop_that_comes_and_goes_is_a_line_a_minute():
    lines = logged(*[LOST, 1, "connected", 1] * 60)
    assert [line[0] for line in lines] == ["link_lost", "link_connected"] * 2
    assert sum(line[3] for line in lines) == 29


def test_a_trouble_that_was_not_told_is_told_by_the_next_line():
    assert logged(LOST, 1, "connected", 1, LOST, 1, REFUSED)[-1] == ("relay_refused", "runner_failed", 1, 1)


async def test_an_outage_of_ssh_is_in_the_log(demo):
    host, _, port = demo.ssh_host.rpartition(":")
    user, _, address = host.rpartition("@")
    async with cuttable(int(port), address) as forwarder:
        known = demo.known_hosts.with_name("known-outage")
        known.write_text(f"[127.0.0.1]:{forwarder.port} {demo.known_hosts.read_text().split(' ', 1)[1]}")
        cluster = cluster_at(
            f"{user}@127.0.0.1:{forwarder.port}", demo.ssh_key, known, demo.instance, mode="relay"
        )
        with capture_logs() as logs:
            async with make(replace(cluster, name="prod"), Limits(), None, throw_away()) as backend:
                before = await backend.link()
                forwarder.cut()
                await until(lambda: before.lost)
                assert await backend.link() is not before
    events = {line["event"]: line for line in logs}
    assert set(events) == {"ssh_lost", "link_lost", "ssh_login_works_again", "link_connected"}
    for event in ("ssh_lost", "link_lost"):
        assert (events[event]["cluster"], events[event]["code"]) == ("prod", "ssh_lost")
        assert (events[event]["hop"], events[event]["log_level"]) == ("ssh", "warning")
    assert all(line["seconds"] >= 0 for line in logs)
