"""The vocabulary of outcomes: closed, and every row of it is something that can be said on the wire."""

import json
from itertools import product

from gateway.protocol.outcome import CODES, Hop, Outcome, ended
from gateway.protocol.status import SUCCESS, Status, failure

HOPS = ["client", "gateway", "ssh", "incus", "runner", "kubectl", "cluster", "pod"]


def test_hops_are_in_order():
    """From the client to the pod, the words of design and README."""
    assert [str(hop) for hop in Hop] == HOPS


def test_a_code_is_a_stable_word(subtests):
    """Lower case with underscores; the meaning is one line for a person."""
    for code, row in CODES.items():
        with subtests.test(code):
            assert code.replace("_", "").isalpha()
            assert code == code.lower()
            assert row.http in (0, 400, 401, 403, 404, 409, 410, 429, 500, 503, 504)
            assert row.meaning
            assert "\n" not in row.meaning
            assert row.meaning[0].islower()


def test_every_code_has_a_legal_status(subtests):
    """A Failure with reason and code that parses to itself, names hop and code, and is no exit code."""
    for code, message in product(CODES, ["", "words of the hop", 'q"uo<te>\n\u2028\ud800']):
        with subtests.test(code, message=message):
            status = Outcome(code, message).as_status()
            parsed = Status.parse(status.json())

            assert parsed is not None
            assert not parsed.success
            assert parsed.exit_code is None
            assert parsed.code >= 400
            assert parsed.reason
            assert parsed.message.endswith(f"({code})")
            assert str(CODES[code].hop) + ":" in parsed.message
            assert (parsed.reason == "InternalError") == (parsed.code == 500)
            assert json.loads(status.json(http=True))["kind"] == "Status"


def test_every_code_can_be_refused_and_ended_with():
    """Our own clients get the code itself, the hop, and words."""
    refused = {
        code: {"type": "refused", "code": code, "hop": str(row.hop), "message": row.meaning}
        for code, row in CODES.items()
    }

    assert {code: Outcome(code).as_control("refused") for code in CODES} == refused
    assert {code: Outcome(code).as_control("end") for code in CODES} == {
        code: one | {"type": "end", "exitCode": None} for code, one in refused.items()
    }


def test_an_exit_is_the_commands_own():
    """For every exit code: its Status, its control message, at the pod."""
    assert ended(0).as_status() is SUCCESS
    for code in range(256):
        outcome = ended(code)
        assert outcome.as_status().exit_code == code
        assert outcome.as_control("end")["exitCode"] == code
        assert outcome.as_control("end")["code"] == "exited"
        assert outcome.hop is Hop.POD


def test_the_clusters_own_status_is_passed_on():
    """It says more than ours would; an exit code says more than both."""
    own = failure(404, 'pods "nope" not found', details={"name": "nope", "kind": "pods"})

    assert Outcome("pod_not_found", "x", status=own).as_status() is own
    assert Outcome("exited", "x", 3, own).as_status().exit_code == 3
