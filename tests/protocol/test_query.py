"""The query of exec and attach, read as the API server reads it."""

import contextlib
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import BadRequest
from gateway.protocol.query import command, container, parse_query
from gateway.protocol.subprotocols import OWN, SUBPROTOCOLS, V5
from gateway.protocol.target import Command, TerminalSize

KUBERNETES = [row for row in SUBPROTOCOLS if row is not OWN]


def read(raw: str, verb="exec", row=V5) -> Command:
    return command(verb, parse_query(raw), row)


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", []),
        ("&&", []),
        ("command", [("command", "")]),
        ("command=", [("command", "")]),
        ("=x", [("", "x")]),
        ("command=a+b", [("command", "a b")]),
        ("command=a%20b&command=a%2Bb", [("command", "a b"), ("command", "a+b")]),
        ("command=a=b", [("command", "a=b")]),
        ("command=%26%3D%25", [("command", "&=%")]),
        ("command=gr%C3%B6%C3%9Fer", [("command", "größer")]),
        ("command=größer", [("command", "größer")]),
        ("command=a%0Ab%09", [("command", "a\nb\t")]),
        ("command=a;b", [("command", "a;b")]),
        ("command=100%&command=%zz", [("command", "100%"), ("command", "%zz")]),
        ("%63ommand=ls", [("command", "ls")]),
    ],
)
def test_form_encoding(raw, pairs):
    """`+` is a space, `%2B` a plus; what only looks like an escape stands for itself."""
    assert parse_query(raw) == pairs


@pytest.mark.parametrize(
    "raw", ["command=%ff", "command=%C3", "%ff=1", "command=%ED%A0%80", "command=%C0%AF", "command=\udcff"]
)
def test_what_is_not_utf8_is_refused(raw):
    """Such bytes would be changed on their way by kubectl: 400 and nothing is opened."""
    with pytest.raises(BadRequest, match="UTF-8"):
        parse_query(raw)


def test_the_command_of_kubectl_cat():
    """As seen from kubectl 1.33."""
    raw = "command=cat&command=-n&command=a+b&container=c1&stderr=true&stdin=true&stdout=true"

    assert read(raw) == Command(("cat", "-n", "a b"), stdin=True, stdout=True, stderr=True)
    assert container(parse_query(raw)) == "c1"


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("true", True), ("True", True), ("1", True), ("", True), ("yes", True), ("no", True), ("00", True),
        ("0", False), ("false", False), ("False", False), ("FALSE", False),
    ],
)  # fmt: skip
def test_booleans(value, meaning):
    """Anything but `0` and `false` in any case is true, the empty value too."""
    others = {"stdin": "stdout", "stdout": "stdin", "stderr": "stdin", "tty": "stdin"}
    for name, other in others.items():
        asked = read(f"command=ls&{name}={value}&{other}=1")
        assert getattr(asked, name) is meaning, name


def test_of_repeated_values_the_first_counts():
    """For all but `command`."""
    asked = read(
        "command=ls&stdout=0&stdout=1&stderr=1&stderr=0&tty=0&tty=1&columns=80&rows=24&columns=1", row=OWN
    )

    assert (asked.stdout, asked.stderr, asked.tty) == (False, True, False)
    assert asked.size == TerminalSize(80, 24)
    assert container([("container", "a"), ("container", "b")]) == "a"


@pytest.mark.parametrize(
    ("row", "verb", "kill"), [(OWN, "exec", True), (V5, "exec", False), (OWN, "run", False)]
)
def test_to_be_killed_on_disconnect_is_for_exec_on_our_own_subprotocol(row, verb, kill):
    """A Kubernetes client's command is never wrapped."""
    asked = read("command=ls&stdout=1&killOnDisconnect=true", verb, row=row)

    assert (asked.kill_on_disconnect, asked.tracked) == (kill, kill)
    assert not read("command=ls&stdout=1&killOnDisconnect=false", row=OWN).kill_on_disconnect


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("stderr", [False, True])
@pytest.mark.parametrize("stdout", [False, True])
@pytest.mark.parametrize("stdin", [False, True])
def test_all_16_combinations(stdin, stdout, stderr, tty):
    """A terminal drops stderr, as the kubelet does; with no stream left the request is refused."""
    raw = urlencode([("command", "ls"), *((k, "1") for k, v in locals().items() if v)])
    if not (stdin or stdout or (stderr and not tty)):
        with pytest.raises(BadRequest, match="at least 1 of stdin, stdout, stderr"):
            read(raw)
        return
    asked = read(raw)

    assert (asked.stdin, asked.stdout, asked.tty) == (stdin, stdout, tty)
    assert asked.stderr == (stderr and not tty)


@pytest.mark.parametrize("row", KUBERNETES)
def test_exec_needs_a_command(row):
    """Only our own subprotocol lets the gateway choose a shell."""
    with pytest.raises(BadRequest, match="at least one command"):
        read("stdout=1", row=row)


def test_own_subprotocol_without_a_command():
    """The gateway chooses a shell; but not for `run`, where there is no such choice."""
    assert read("stdout=1", row=OWN).argv == ()
    with pytest.raises(BadRequest, match="at least one command"):
        read("stdout=1", "run", OWN)
    assert read("command=id&stdout=1", "run", OWN) == Command(("id",), "run", stdout=True)


@pytest.mark.parametrize("row", SUBPROTOCOLS)
def test_attach_has_no_command(row):
    """One that is named is ignored, as any other unknown parameter."""
    assert read("command=ls&stdout=1", "attach", row) == Command((), "attach", stdout=True)


@pytest.mark.parametrize("value", ["All", "", "false"])
def test_a_dry_run_is_refused(value):
    """Whatever its value."""
    with pytest.raises(BadRequest, match="dryRun is not supported"):
        read(f"command=ls&stdout=1&dryRun={value}")


def test_unknown_parameters_are_ignored():
    """A newer client's too."""
    assert read("command=ls&stdout=1&pretty=1&timeout=32s&Command=x&=y") == Command(("ls",), stdout=True)


def test_an_empty_argument_is_an_argument():
    """The arguments go through as they are."""
    assert read("command=printf&command=&command=x&stdout=1").argv == ("printf", "", "x")


def test_nul_is_refused():
    """No program can be given one; the message says which argument it was."""
    with pytest.raises(BadRequest, match="argument 1 contains a NUL"):
        read("command=echo&command=a%00b&stdout=1")


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        ("", None),
        ("&columns=80", None),
        ("&rows=24", None),
        ("&columns=80&rows=24", TerminalSize(80, 24)),
        ("&columns=65535&rows=1", TerminalSize(65535, 1)),
        ("&columns=0&rows=24", None),
        ("&columns=65536&rows=24", None),
        ("&columns=-80&rows=24", None),
        ("&columns=8e1&rows=24", None),
        ("&columns=%D9%A8%D9%A0&rows=24", None),
        ("&columns=%C2%B2&rows=24", None),
        ("&columns=80%0A&rows=24", None),
        ("&columns=" + "9" * 5000 + "&rows=24", None),
    ],
)
def test_the_terminal_size_of_our_own_clients(raw, size):
    """What is no size is ignored: the terminal starts without one, and the client's resize follows."""
    assert read(f"command=sh&stdout=1&tty=1{raw}", row=OWN).size == size
    assert read(f"command=sh&stdout=1&tty=1{raw}").size is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [("", None), ("container=", None), ("container=&container=a", None), ("container=a", "a")],
)
def test_container(raw, name):
    """Empty is as good as not there."""
    assert container(parse_query(raw)) == name


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ARGV = st.lists(TEXT.filter(lambda argument: "\0" not in argument), min_size=1).map(tuple)


@given(ARGV, st.booleans())
def test_argv_survives_the_query(argv, plus):
    """urlencode, as Python's and Go's clients do it, then our reading: identity, with `+` and with `%20`."""
    pairs = [("command", argument) for argument in argv] + [("stdout", "true")]
    raw = urlencode(pairs) if plus else urlencode(pairs, quote_via=quote, safe="")

    assert parse_query(raw) == pairs
    assert read(raw).argv == argv


@given(st.one_of(st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")), st.text()))
def test_any_query_is_read_or_refused(raw):
    """Nothing but BadRequest, whatever the bytes of the request line."""
    try:
        pairs = parse_query(raw)
    except BadRequest:
        return
    for verb in ("exec", "attach", "run"):
        for row in SUBPROTOCOLS:
            with contextlib.suppress(BadRequest):
                assert isinstance(command(verb, pairs, row), Command)
    container(pairs)


NAMES = st.sampled_from(
    ["command", "stdin", "stdout", "stderr", "tty", "dryRun", "container", "columns", "rows"]
)


@given(st.lists(st.tuples(NAMES, st.text() | st.from_regex(r"[0-9]+"))))
def test_any_value_of_a_known_parameter_is_read_or_refused(pairs):
    """Numbers of any length and any script too."""
    for row in (OWN, V5):
        try:
            asked = command("exec", pairs, row)
        except BadRequest:
            continue
        assert asked.size is None or row is OWN
        assert not (asked.tty and asked.stderr)
