"""What a watch of the demo's cluster sends, beneath kubectl."""

import json

import pytest

from gateway.demo.fakes.table import table
from gateway.demo.fakes.watch import Watch

PODS = "/api/v1/namespaces/default/pods?watch=true"


def events(query):
    return Watch(f"{PODS}{query}", lambda one: one).begin()


@pytest.mark.parametrize(("query", "count"), [("", 5), ("&resourceVersion=0", 5), ("&resourceVersion=1", 0)])
def test_the_state_comes_first_where_it_is_not_known(query, count):
    assert [event["type"] for event in events(query)] == ["ADDED"] * count


def test_initial_events_end_with_a_bookmark():
    *added, end = events("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1")
    assert [event["type"] for event in added] == ["ADDED"] * 5
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["object"]["kind"] == "Pod"


def test_a_table_is_sent_to_whoever_wants_one():
    (event, *_), bookmark = (one := Watch(PODS, table)).begin(), one.bookmark()
    assert event["object"]["rows"][0]["cells"][:4] == ["api-7c9d8f6b5d-4xkzq", "1/1", "Running", "0"]
    assert bookmark["object"]["rows"] == []
    json.dumps(bookmark)
