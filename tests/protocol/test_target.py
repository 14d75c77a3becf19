"""Names, sizes and commands at the border: nothing that Kubernetes could not have as a name gets further."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import BadRequest
from gateway.protocol.target import KINDS, Command, Target, TerminalSize

BAD_NAMES = [
    "", " ", "-", ".", "..", "/", "-web", "web-", "--kubeconfig=x", "-n", "-it", "$(id)", "`id`", "${HOME}", "$HOME",
    "a;id", "a|id", "a&id", "a&&id", "a>b", "a<b", "a b", " a", "a ", "a\n", "\na", "a\nb", "a\r", "a\t", "a\0b", "a\x1b[2J",
    "Web", "WEB-0", "wEb", "web_0", "a'b", 'a"b', "a\\b", "a*", "a?", "a!", "a#b", "a~", "~root", "a%20b", "%2e%2e", "a=b",
    "a:b", "a@b", "a,b", "a+b", "[a]", "{a,b}", "(a)", "größe", "web-\u0660", "web-\uff10", "\uff57eb", "web\u200b", "web\u2028", "\udcff",
    "a" * 254,
]  # fmt: skip
NOT_LABELS = ["a.b", "web-0.default", "a" * 64, "a" * 63 + "-"]
NOT_SUBDOMAINS = ["a..b", ".a", "a.", "a.-b", "a-.b", "a.b.", "a.B"]
LABELS = ["a", "0", "web-0", "a--b", "0-0", "a" * 63, "main"]


def parse(cluster="default", namespace="default", pod="web-0", container=None) -> Target:
    return Target.parse(cluster, namespace, pod, container)


def not_refused(part: str, names: list[str], words: str) -> list[str]:
    """The names of a part that are not refused in these words."""
    found = []
    for name in names:
        try:
            parse(**{part: name})
            found.append(name)
        except BadRequest as error:
            if not re.search(words, str(error)):
                found.append(name)
    return found


@pytest.mark.parametrize("part", ["cluster", "namespace", "container"])
def test_what_is_no_label_is_refused(part):
    """Cluster, namespace and container are RFC 1123 labels. An empty container is one that is not named."""
    unnamed = [""] if part == "container" else []

    assert not_refused(part, BAD_NAMES + NOT_LABELS, f"is not a {part} name") == unnamed
    assert parse(container="").container is None


def test_what_is_no_pod_is_refused():
    """A pod is an RFC 1123 subdomain, alone or behind a kind."""
    names = [*BAD_NAMES, *NOT_SUBDOMAINS, *(f"deploy/{name}" for name in BAD_NAMES)]

    assert not_refused("pod", names, r"is not a pod name|cannot find pods by") == []


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "node",
        "nodes",
        "secret",
        "-n",
        "pods/x",
        "a/b",
        "$(id)",
        "deploy\n",
        "cm",
        "deployment.batch",
        "deployment.",
        ".apps",
        "deployment.apps.",
        "pod.apps",
        "pods.",
        "deploy.v1.batch",
        "deployment.x.apps",
        "deployment.v1.v1.apps",
        "\u212aob",
        "deploy\uff41",
    ],
)
def test_only_kinds_that_have_pods(kind):
    """`secret/x` could not be meant, and a kind is an argument of kubectl too."""
    with pytest.raises(BadRequest, match="cannot find pods by"):
        parse(pod=f"{kind}/web-0")


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    """All that Kubernetes takes, up to 63 characters."""
    target = parse(name, name, name, name)

    assert (target.cluster, target.namespace, target.pod, target.container) == (name, name, name, name)


def test_pods():
    """Names with dots, up to 253 characters, and the kinds that kubectl finds pods for."""
    names = ["a.b", "web-0.default.svc", "a" * 253, "0.0", *(f"{kind}/web" for kind in sorted(KINDS))]

    assert [parse(pod=name).pod for name in names] == names


@pytest.mark.parametrize(
    ("name", "pod"),
    [
        ("deployment.apps/api", "deployment/api"), ("deployments.v1.apps/api", "deployments/api"),
        ("statefulset.apps/db", "statefulset/db"), ("daemonset.apps/x", "daemonset/x"), ("replicaset.apps/x", "replicaset/x"),
        ("job.batch/x", "job/x"), ("Job.batch/x", "job/x"), ("pods/web-0", "pods/web-0"), ("Pod/web-0", "pod/web-0"),
        ("DEPLOY/api", "deploy/api"), ("replicationcontroller/x", "replicationcontroller/x"), ("service/x", "service/x"),
    ],
)  # fmt: skip
def test_a_name_may_be_as_kubectl_prints_it(name, pod):
    """`kubectl get -o name`, and any other way in which kubectl takes a kind."""
    assert parse(pod=name).pod == pod
    assert Target.from_path(parse(pod=name).path()).pod == pod


def test_a_target_reads_as_a_path():
    """In logs and messages; what is not named is left out."""
    assert str(parse(container="main")) == "default/default/web-0/main"
    assert str(parse()) == "default/default/web-0"
    assert str(Target("lab")) == "lab"


@given(st.text())
def test_any_name_is_refused_or_safe(name):
    """What passes consists of lower case ASCII letters, digits, `-`, `.` and at most one `/`."""
    for part in ("cluster", "namespace", "pod", "container"):
        try:
            target = parse(**{part: name})
        except BadRequest:
            continue
        assert set(str(target)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-./")
        assert not any(piece.startswith("-") for piece in str(target).split("/"))


def test_a_refusal_is_short_and_printable():
    """A name of a megabyte or with terminal escapes must not reach a log or a terminal as it is."""
    for name in ("x" * 1_000_000, "\x1b[2J" * 1000, "\u202e" * 90 + "/web-0", "y" * 100_000 + "/web-0"):
        with pytest.raises(BadRequest) as refusal:
            parse(pod=name)
        assert len(str(refusal.value)) < 1500
        assert str(refusal.value).isascii()


@pytest.mark.parametrize(
    ("columns", "rows", "legal"),
    [
        (1, 1, True), (65535, 65535, True), (80, 24, True),
        (0, 24, False), (80, 0, False), (65536, 24, False), (80, 70000, False), (-1, 24, False), (80.0, 24, False),
        (True, True, False), ("80", "24", False), (None, 24, False), ([80], 24, False), (10**100, 24, False),
        (float("nan"), 24, False),
    ],
)  # fmt: skip
def test_terminal_sizes(columns, rows, legal):
    """Two whole numbers from 1 to 65535."""
    assert TerminalSize.parse(columns, rows) == (TerminalSize(columns, rows) if legal else None)


@pytest.mark.parametrize("argument", ["\0", "a\0", "\ud800", "a\udcffb"], ids=ascii)
def test_arguments_that_cannot_be_given(argument):
    """NUL ends an argument for the kernel; half a surrogate pair is no text that kubectl keeps."""
    with pytest.raises(BadRequest, match="argument 2"):
        Command(("sh", "-c", argument), stdout=True)


def test_a_command_needs_a_stream():
    """With none, nobody would hear of it."""
    with pytest.raises(BadRequest, match="at least 1 of"):
        Command(("ls",), tty=True)
    for stream in ("stdin", "stdout", "stderr"):
        assert getattr(Command(("ls",), **{stream: True}), stream)
