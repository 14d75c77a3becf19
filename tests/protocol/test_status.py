"""Status objects: what Go would write, and what comes back from anything a peer sends."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.status import SUCCESS, Status, exited, failure, internal_error, non_zero_exit


def test_success_is_34_bytes():
    """`metadata` is there and empty: Headlamp tests it."""
    assert SUCCESS.json() == b'{"metadata":{},"status":"Success"}'
    assert len(SUCCESS.json()) == 34


def test_every_exit_code():
    """A decimal string in the cause; 0 is Success and nothing else."""
    assert exited(0) is SUCCESS
    for code in range(1, 256):
        status = exited(code)
        cause = json.loads(status.json())["details"]["causes"][0]
        assert cause == {"reason": "ExitCode", "message": str(code)}
        assert status.exit_code == code
        assert b'"code"' not in status.json()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (405, "MethodNotAllowed"),
        (409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"),
        (504, "Timeout"), (418, "InternalError"),
    ],
)  # fmt: skip
def test_reasons(code, reason):
    """Kubernetes' word for an HTTP code, unless another is named."""
    assert failure(code, "x").reason == reason
    assert failure(code, "x", "Expired").reason == "Expired"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<a & b>", rb"\u003ca \u0026 b\u003e"),
        ("\u2028\u2029", rb"\u2028\u2029"),
        ("größer 終 😀", "größer 終 😀".encode()),
        ('"\\/', rb"\"\\/"),
        ("\n\r\t\b\f", rb"\n\r\t\b\f"),
        ("\0\x1b\x7f", b"\\u0000\\u001b\x7f"),
        ("a\ud800b", rb"a\ufffdb"),
    ],
)
def test_text_is_escaped_as_go_does(text, written):
    """encoding/json with HTML escaping on, which is what the API server uses."""
    assert b'"message":"' + written + b'"' in failure(400, text).json()


def test_an_http_body_has_kind_and_a_line_break():
    """As the API server answers a request; on stream 3 neither is there."""
    assert failure(401, "Unauthorized").json(http=True) == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized",'
        b'"reason":"Unauthorized","code":401}\n'
    )


@pytest.mark.parametrize(
    "details",
    [
        {}, {"causes": None}, {"causes": []}, {"causes": 3}, {"causes": "ExitCode"}, {"causes": [None]},
        {"causes": [[]]}, {"causes": [{"reason": "ExitCode"}]}, {"causes": [{"message": "3"}]},
        {"causes": {"reason": "ExitCode", "message": "3"}},
        *({"causes": [{"reason": "ExitCode", "message": message}]} for message in
          ("", "4294967296", "-1", "+1", " 1", "1\n", "1_0", "0x1", "1.0", "٣", "x", 3, None, "9" * 5000)),
    ],
)  # fmt: skip
def test_an_exit_code_is_a_decimal_of_32_bits(details):
    """Anything else is no exit code; kubectl calls it a protocol error."""
    assert Status(success=False, reason="NonZeroExitCode", details=details).exit_code is None


@pytest.mark.parametrize("code", [256, 1000, 3221225786, 4294967295])
def test_a_windows_containers_exit_code_passes_as_it_is(code):
    status = Status.parse(exited(code).json())

    assert status.exit_code == code
    assert status.details["causes"] == [{"reason": "ExitCode", "message": str(code)}]


def test_the_exit_code_cause_may_stand_anywhere():
    """And counts only under its own reason."""
    causes = [{"reason": "Other", "message": "7"}, {"reason": "ExitCode", "message": "3"}]

    assert Status(False, reason="NonZeroExitCode", details={"causes": causes}).exit_code == 3
    assert Status(False, reason="InternalError", details={"causes": causes}).exit_code is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"null", b"[]", b"3", b'"Success"', b"{}", b"{", b'{"status":"success"}', b'{"status":null}',
        b'{"status":["Success"]}', b'{"status":"Failure"', b'{"status":"Success"}{"status":"Success"}', b"\xff\xfe{",
        b'{"status":"Failure","message":"\xff"}', '{"status":"Success"}'.encode("utf-16"),
        b"[" * 100_000, b'{"status":"Success","x":' + b"[" * 100_000,
        b'{"status":"Failure","code":' + b"9" * 100_000 + b"}",
    ],
    ids=lambda data: ascii(data[:20]),
)  # fmt: skip
def test_what_is_no_status(data):
    """None, and never an exception: other text, other encodings, bombs."""
    assert Status.parse(data) is None


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        ({"status": "Success"}, SUCCESS),
        ({"status": "Failure"}, Status(success=False)),
        (
            {"status": "Failure", "message": None, "reason": 3, "details": [], "code": True},
            Status(success=False),
        ),
        ({"status": "Failure", "message": "m", "code": 1.5, "kind": "Status", "new": 1}, Status(False, "m")),
        (
            {"status": "Failure", "details": {"retryAfterSeconds": 1}},
            Status(False, details={"retryAfterSeconds": 1}),
        ),
    ],
)
def test_fields_of_a_wrong_type_are_left_out(body, parsed):
    """What is known is kept."""
    assert Status.parse(json.dumps(body).encode()) == parsed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
STATUSES = st.builds(
    Status,
    st.booleans(),
    TEXT,
    TEXT,
    st.dictionaries(
        TEXT, st.lists(st.dictionaries(TEXT, TEXT | st.integers(), max_size=3), max_size=3), max_size=3
    ),
    st.integers(0, 599),
)


@given(STATUSES, st.booleans())
def test_round_trip(status, http):
    """Written and parsed it is the same, with kind and without."""
    assert Status.parse(status.json(http=http)) == status


@given(st.binary() | JSON.map(lambda body: json.dumps(body).encode()))
def test_any_bytes_parse_to_a_status_or_none(data):
    """And the exit code can be asked of every one of them."""
    status = Status.parse(data)
    assert status is None or status.exit_code is None or 0 <= status.exit_code < 2**32


@given(st.dictionaries(st.sampled_from(["status", "message", "reason", "details", "code"]), JSON))
def test_any_object_parses_to_a_status_or_none(body):
    """Each field of any type; what came out can be written again."""
    for state in ("Success", "Failure"):
        status = Status.parse(json.dumps(body | {"status": state}).encode())
        assert status is not None
        assert status.success == (state == "Success")
        json.loads(status.json())


@given(st.dictionaries(st.sampled_from(["causes", "name"]), JSON))
def test_an_exit_code_of_any_details(details):
    """None or 32 bits."""
    code = Status(False, reason="NonZeroExitCode", details=details).exit_code
    assert code is None or 0 <= code < 2**32


def test_internal_error_and_exit_have_kubernetes_words():
    """Clients grep for them."""
    assert internal_error("boom").message == "Internal error occurred: boom"
    assert non_zero_exit(3).message.endswith("command terminated with exit code 3")
