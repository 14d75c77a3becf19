"""Connections that are lost: by a limit on the way, or since the API server went."""

import pytest

from gateway.backends.relay.cuts import Cuts


@pytest.mark.parametrize(
    ("lost", "limit"),
    [
        ([(0, 30.0), (40, 30.2)], True),
        ([(0, 30.0), (1, 30.2)], False),
        ([(0, 30.0), (1, 12.0), (40, 30.4)], True),
        ([(0, 30.0), (40, 61.0)], False),
        ([(0, 30.0), (40, 61.0), (99, 30.0)], False),
        ([(0, 2.0), (40, 2.0)], False),
        ([(0, 30.0)], False),
    ],
    ids=["one-age", "at-once", "others-at-once", "other-ages", "in-a-row", "soon", "one"],
)
def test_what_two_lost_connections_say(lost, limit):
    cuts = Cuts()
    said = [cuts.lost(age, at) for at, age in lost]

    assert said == [False] * (len(lost) - 1) + [limit]
