"""Clients by library, unmodified, with the kubeconfig that `dap kubeconfig` writes and straight at the API server: every
action has the same outcome. tests/clients/README.md has the table as people read it.
"""

import os
from functools import partial

import pytest
from support.conformance import Talk, golang, node, python

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(180)]
SIZE = int(os.environ.get("CONFORMANCE_MIB", "1")) << 20
EXITS = {"0": 0, "1": 1, "3": 3, "126": 126, "127": 127, "137": 137, "255": 255}
# What every client's outcome has to hold, so that two equal failures are none
HOLDS = {
    "get": lambda found: found["name"] == "bash-0",
    "missing": lambda found: (found["status"], found["message"]) == (404, 'pods "nope" not found'),
    "list": lambda found: found["count"] >= 5000 and found["whole"] == found["paged"] and found["pages"] > 10,
    "watch": lambda found: [kind for kind, _ in found["events"]] == ["ADDED", "MODIFIED", "DELETED"],
    "apply": lambda found: (found["conflict"]["status"], found["last"]) == (409, {"a": "2"}),
    "patch": lambda found: (
        found["json"] == {"b": "2", "c": "3", "d": "4"} and found["refused"]["status"] == 422
    ),
    "delete": lambda found: found["again"]["status"] == 404,
    "scale": lambda found: found == {"asked": 2, "found": 2},
    "rollout": lambda found: found == {"counts": [1, 1, 1]},
    "logs": lambda found: found["text"].startswith("begun\n"),
    "attach": lambda found: found == {"attached": "got one", "followed": "begun\ngot one\nover\n"},
    "exec": lambda found: (
        found["codes"] == EXITS and found["streams"]["stdout+stderr"] == ["out\n", "err\n", 3]
    ),
    "bulk": lambda found: found["back"][0] == SIZE,
    "port-forward": lambda found: found["answers"] == [["200", "served"]] * 20,
    "top": lambda found: found["status"] == 404,
}
ALL = [*HOLDS]
CLIENTS = {
    "python_kubernetes": (partial(python, "python_kubernetes"), ALL),
    "python_asyncio": (partial(python, "python_asyncio"), [name for name in ALL if name != "port-forward"]),
    "python_kr8s": (
        partial(python, "python_kr8s"),
        [name for name in ALL if name not in ("apply", "attach")],
    ),
    "node": (node, ALL),
    "client_go": (golang, ALL),
}
ROWS = [(client, action) for client, (_, actions) in CLIENTS.items() for action in actions]


@pytest.fixture
def both(request, sides):
    """The client's program at the gateway and at the API server, started for one action: a port-forward of python_kubernetes
    leaves that program's client of no use for others.
    """
    argv = CLIENTS[request.param][0]()
    talks = [Talk(argv, request.param.replace("_", "-"), side) for side in sides]
    yield talks
    for talk in talks:
        talk.end()


@pytest.mark.parametrize(("both", "action"), ROWS, indirect=["both"])
def test_an_action_ends_as_it_does_at_the_api_server(both, action):
    for talk in both:
        talk.ask(action)
    ours, straight = (talk.outcome() for talk in both)

    assert "failed" not in straight, straight["failed"]
    assert ours == straight
    assert HOLDS[action](ours), ours
