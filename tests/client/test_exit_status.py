"""Exit statuses: the command's own, and what stands for a failed hop."""

import pytest

from gateway.client import cluster, http
from gateway.client.exit_status import End, from_control, from_status
from gateway.protocol.outcome import CODES, Outcome
from gateway.protocol.status import SUCCESS, failure, internal_error, non_zero_exit


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome("start_failed", 'exec: "nope": executable file not found in $PATH'), 127),
        (Outcome("start_failed", "stat /nope: no such file or directory"), 127),
        (Outcome("start_failed", 'exec: "/etc": permission denied'), 126),
        (
            Outcome(
                "start_failed", "hcs::System::CreateProcess 0a: The system cannot find the file specified."
            ),
            127,
        ),
        (Outcome("no_shell"), 127),
        (Outcome("pod_not_found"), 125),
        (Outcome("cluster_unreachable"), 125),
        (Outcome("bad_request"), 2),
    ],
)
def test_an_end_without_an_exit_code_has_the_exit_status_of_its_cause(outcome, code):
    assert from_control(outcome.as_control("end")).exit_status == code


def test_every_code_of_the_vocabulary_has_a_status_and_names_its_hop():
    for code, row in CODES.items():
        end = from_control(Outcome(code).as_control("refused"))

        assert end.exit_status in (2, 125, 126, 127)
        assert str(end) == f"{row.hop}: {row.meaning} ({code})"


@pytest.mark.parametrize("code", [0, 1, 125, 130, 255])
def test_a_command_s_own_code_is_passed_on_whatever_it_is(code):
    body = {"type": "end", "code": "exited", "hop": "pod", "message": "", "exitCode": code}

    assert from_control(body).exit_status == code


@pytest.mark.parametrize(("code", "status"), [(3221225786, 58), (256, 1), (300, 44), (4294967295, 255)])
def test_of_a_windows_containers_code_a_process_has_the_low_byte_and_never_0(code, status):
    assert from_status(non_zero_exit(code)).exit_status == status


@pytest.mark.parametrize("body", [{}, {"code": 7, "hop": None, "exitCode": "3"}, {"exitCode": True}])
def test_nonsense_from_a_server_is_a_failed_hop(body):
    assert from_control(body).exit_status == 125


def test_a_server_that_only_sends_a_status_is_understood():
    assert from_status(SUCCESS).exit_status == 0
    assert from_status(non_zero_exit(3)).exit_status == 3
    assert from_status(internal_error("gone")) == End(
        "gateway_error", "gateway", "Internal error occurred: gone"
    )
    assert from_status(failure(403, "no")).exit_status == 125


@pytest.mark.parametrize("code", ["ssh_lost", "relay_failed", "ssh_unreachable", "address_unknown"])
@pytest.mark.parametrize("refusal", [cluster.refusal, http.refusal])
def test_the_hop_that_a_refusal_names_is_the_failure(code, refusal):
    """Kubernetes puts words before the message where the code is 500."""
    status = Outcome(code, "these (words)").as_status()
    failed = refusal(status.code, status.json(http=True))
    assert (failed.code, failed.hop, failed.message) == (code, CODES[code].hop, "these (words)")


@pytest.mark.parametrize(
    "message", ["", 'pods "x" not found', "ssh: words (no_such_code)", "words (ssh_lost)"]
)
def test_anothers_words_name_no_hop(message):
    assert http.named(message) is None
