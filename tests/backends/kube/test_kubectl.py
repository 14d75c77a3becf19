"""kubectl 1.27 to 1.36: what its words and codes mean, and how it is called."""

import subprocess
from itertools import product

import pytest

from gateway.backends.kube.kubectl import argv, explain, inside
from gateway.protocol.outcome import CODES, ended
from gateway.protocol.target import Command, Target, Verb

TARGET = Target("default", "ns", "p", "c")
CMD = Command(("foo",), stdout=True)
SHELL = Command(stdout=True)
RUNTIME = (
    'error executing command in container: failed to exec in container: failed to start exec "'
    + "0a" * 32
    + '": '
    "OCI runtime exec failed: exec failed: unable to start container process: exec: {}: unknown"
)
KLOG = (
    'E0728 12:00:00.123456    4242 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group list: '
    'Get \\"https://h:6443/api?timeout=32s\\": dial tcp 10.0.0.1:6443: connect: connection refused"\n'
) * 4
BARE_KLOG = (
    "E0728 12:00:00.123456    4242 memcache.go:265] couldn't get current server API group list: the server has asked for "
    "the client to provide credentials\n"
) * 4
NO_SH = '"sh": executable file not found in $PATH'
PATH = '"foo": executable file not found in $PATH'
FORBIDDEN = (
    'pods "p" is forbidden: User "u" cannot create resource "pods/exec" in API group "" in the namespace "ns"'
)
REFUSED = "The connection to the server h:6443 was refused - did you specify the right host or port?"

# words of kubectl (all with rc 1), the outcome's code, (code, reason) of the Status, words in the Status's message
ROWS = {
    "pod missing": ('Error from server (NotFound): pods "p" not found', "pod_not_found", 404, 'pods "p" not found'),
    "namespace missing": (
        'Error from server (NotFound): namespaces "n" not found', "pod_not_found", 404, 'pods "p" not found',
    ),
    "workload missing": (
        'Error from server (NotFound): deployments.apps "x" not found', "pod_not_found", 404, 'deployments.apps "x" not',
    ),
    "container missing, 1.36": (
        "error: container c is not valid for pod p out of: c1, c2", "container_not_found", 400,
        "container c is not valid for pod p",
    ),
    "container missing, 1.33": (
        "Error from server (BadRequest): container c is not valid for pod p", "container_not_found", 400,
        "container c is not valid for pod p",
    ),
    "container missing, attach, 1.36": (
        "error: cannot attach to the container: container c is not valid for pod p out of: c1, c2",
        "container_not_found", 400, "container c is not valid for pod p",
    ),
    "container missing, attach": (
        "error: cannot attach to the container: container c not found in pod p", "container_not_found", 400,
        "container c is not valid for pod p",
    ),
    "container needed": (
        "Error from server (BadRequest): a container name must be specified for pod p, choose one of: [a b]",
        "container_needed", 400, "a container name must be specified for pod p, choose one of: [a b]",
    ),
    "forbidden, 1.36": (f"error: unable to upgrade connection: {FORBIDDEN}", "forbidden", 403, FORBIDDEN),
    "forbidden, 1.33": (f"Error from server (Forbidden): {FORBIDDEN}", "forbidden", 403, FORBIDDEN),
    "bad login": (
        "error: You must be logged in to the server (Unauthorized)", "cluster_unauthorized", 401, "You must be logged in",
    ),
    "bad login, cold cache": (
        BARE_KLOG + "error: You must be logged in to the server (the server has asked for the client to provide credentials)",
        "cluster_unauthorized", 401, "You must be logged in",
    ),
    "no credentials": ("Please enter Username: error: EOF", "kubectl_failed", 500, "EOF"),
    "other API error": (
        "Error from server (InternalError): an error on the server", "cluster_failed", 500, "an error on the server",
    ),
    "API error without a reason": ("Error from server: boom", "cluster_failed", 500, "boom"),
    "API error without a word": ("Error from server: ", "cluster_failed", 500, ""),
    "http to the TLS port": (
        "Error from server (BadRequest): the server rejected our request for an unknown reason (get pods p)",
        "cluster_failed", 400, "the server rejected our request",
    ),
    "command missing": (
        "error: Internal error occurred: Internal error occurred: " + RUNTIME.format(PATH), "start_failed", 500, PATH,
    ),
    "command missing, single": ("error: Internal error occurred: " + RUNTIME.format(PATH), "start_failed", 500, PATH),
    "program missing": (
        "error: Internal error occurred: " + RUNTIME.format('"/bin/foo": stat /bin/foo: no such file or directory'),
        "start_failed", 500, "stat /bin/foo: no such file or directory",
    ),
    "no program": (
        "error: Internal error occurred: " + RUNTIME.format('"/tmp": permission denied'), "start_failed", 500,
        '"/tmp": permission denied',
    ),
    "container not up": (
        'error: Internal error occurred: unable to upgrade connection: container not found ("c1")',
        "container_not_running", 500, 'unable to upgrade connection: container not found ("c1")',
    ),
    "container not up, 1.29": (
        'error: unable to upgrade connection: container not found ("c1")', "container_not_running", 500,
        'unable to upgrade connection: container not found ("c1")',
    ),
    "internal": ("error: Internal error occurred: boom", "cluster_failed", 500, "Internal error occurred: boom"),
    "server down": (REFUSED, "cluster_unreachable", 503, REFUSED),
    "server gone while asking": (
        'error: Get "https://h:6443/api/v1/namespaces/n/pods/p": EOF', "cluster_unreachable", 503, "pods/p",
    ),
    "server down, cold cache": (KLOG + REFUSED, "cluster_unreachable", 503, REFUSED),
    "DNS": (
        KLOG + "Unable to connect to the server: dial tcp: lookup h on 10.0.0.2:53: no such host", "cluster_unreachable",
        503, "no such host",
    ),
    "TLS": (
        "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "cluster_unreachable", 503, "unknown authority",
    ),
    "TLS, client": (
        "Unable to connect to the server: remote error: tls: unknown certificate authority", "cluster_unreachable", 503,
        "remote error: tls",
    ),
    "TLS, name": (
        ("Unable to connect to the server: tls: failed to verify certificate: x509: certificate is valid for localhost, "
        "lab, not wrong.example"), "cluster_unreachable", 503, "not wrong.example",
    ),
    "timeout": (
        "Unable to connect to the server: net/http: TLS handshake timeout", "cluster_unreachable", 503, "timeout",
    ),
    "unreachable": (
        "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", "cluster_unreachable", 503, "i/o timeout",
    ),
    "too many requests": (
        "Error from server (TooManyRequests): please try again later", "cluster_failed", 429, "please try again later",
    ),
    "node unreachable, 1.29": (
        "error: unable to upgrade connection: error dialing backend: dial tcp 10.0.0.9:10250: i/o timeout",
        "cluster_failed", 500, "error dialing backend",
    ),
    "node unreachable": (
        "error: Internal error occurred: error dialing backend: dial tcp 10.0.0.9:10250: connect: connection refused",
        "cluster_failed", 500, "error dialing backend",
    ),
    "no kubeconfig": (
        KLOG + "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
        "kubeconfig_missing", 500, "localhost:8080",
    ),
    "pending": (
        "error: unable to upgrade connection: pod p does not have a host assigned", "pod_pending", 400,
        "pod p does not have a host assigned",
    ),
    "pending, 1.33": (
        "Error from server (BadRequest): pod p does not have a host assigned", "pod_pending", 400,
        "pod p does not have a host assigned",
    ),
    "completed": (
        "error: cannot exec into a container in a completed pod; current phase is Succeeded", "pod_completed", 500,
        'unable to upgrade connection: container not found ("c")',
    ),
    "failed": (
        "error: cannot exec into a container in a completed pod; current phase is Failed", "pod_completed", 500,
        'unable to upgrade connection: container not found ("c")',
    ),
    "completed, attach": (
        "error: cannot attach a container in a completed pod; current phase is Succeeded", "pod_completed", 500,
        "unable to upgrade connection: container c not found in pod p_ns",
    ),
    **{
        f"lost: {why}": (f"{klog}error: error reading from error stream: {why}", "cluster_lost", 500, why)
        for why in (
            "next reader: websocket: close 1006 (abnormal closure): unexpected EOF",
            "next reader: unexpected EOF",
            "read message: unexpected EOF",
            "next reader: read tcp 10.0.0.1:4->10.0.0.2:6443: read: connection reset by peer",
            "next reader: read tcp 10.0.0.1:4->10.0.0.2:6443: i/o timeout",
        )
        for klog in ("", KLOG)
    },
    "bad kubeconfig": (
        'error: error loading config file "/root/.kube/config": yaml: line 1: did not find expected node content',
        "kubectl_failed", 500, "error loading config file",
    ),
    "no such context": ('error: context "x" does not exist', "kubectl_failed", 500, 'context "x" does not exist'),
    "usage": (
        "error: you must specify at least one command for the container", "kubectl_failed", 500, "at least one command",
    ),
    "attach to no terminal": (
        "error: Unable to use a TTY - container c did not allocate one", "kubectl_failed", 500, "did not allocate one",
    ),
}  # fmt: skip
REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests", 500: "InternalError",
    503: "ServiceUnavailable",
}  # fmt: skip


def test_what_kubectl_says(subtests):
    """Each row with its line ended, stripped, and as Windows ends it."""
    for (name, row), end in product(ROWS.items(), ["\n", "", "\r\n"]):
        with subtests.test(name, end=end):
            check_what_kubectl_says(row, end)


def check_what_kubectl_says(row, end):
    words, code, http, message = row
    outcome = explain(1, words.replace("\n", end or "\n").encode() + end.encode(), TARGET, CMD)
    status = outcome.as_status()

    assert outcome.code == code
    assert outcome.exit_code is None
    assert outcome.hop == CODES[code].hop
    assert not status.success
    assert (status.code, status.reason) == (http, REASONS[http])
    assert message in status.message
    assert "\r" not in status.message + outcome.message
    if http == 500:  # Headlamp and Rancher read this form
        assert status.message.startswith("Internal error occurred: ")
        assert status.details["causes"][0]["message"]


def test_the_name_that_is_missing_is_in_the_details():
    outcome = explain(1, b'Error from server (NotFound): pods "p" not found\n', TARGET, CMD)

    assert outcome.as_status().details == {"name": "p", "kind": "pods"}


def test_a_workload_with_a_bad_container_names_the_target():
    said = b"error: container c is not valid for pod api-0 out of: api\n"

    assert "it has api" in explain(1, said, TARGET, CMD).message


def test_the_final_line_says_that_the_command_ended():
    words = {code: b"command terminated with exit code %d\n" % code for code in range(1, 256)} | {0: b""}
    explained = {code: explain(code, said, TARGET, CMD) for code, said in words.items()}

    assert explained == {code: ended(code) for code in range(256)}


@pytest.mark.parametrize("code", [256, 3221225786, 4294967295])
def test_a_code_of_more_than_a_byte_is_the_commands_too(code):
    """Its low byte is kubectl's exit status; where kubectl takes no more than one, that is 1, with other words."""
    assert explain(code % 256, b"command terminated with exit code %d\n" % code, TARGET, CMD) == ended(code)
    large = b'error: error stream protocol error: invalid exit code value "%d"\n' % code
    assert explain(1, large, TARGET, CMD) == ended(code)


def test_a_negative_code_is_what_windows_shows():
    words = b'error: error stream protocol error: invalid exit code value "-1073741510"\n'
    assert explain(1, words, TARGET, CMD) == ended(3221225786)


@pytest.mark.parametrize(
    "why",
    [
        'failed to start exec "0a": hcs::System::CreateProcess 0a: The system cannot find the file specified.: unknown',
        'container 0a encountered an error during hcsshim::System::CreateProcess: (0x2) extra info: {"CommandLine":"sh"}',
    ],
)
def test_a_windows_container_has_no_sh_and_shells_of_its_own(why):
    words = f"error: Internal error occurred: failed to exec in container: {why}\n".encode()

    shell = explain(1, words, TARGET, SHELL)
    assert shell.code == "no_shell"
    assert "Windows" in shell.message
    assert "powershell" in shell.message
    killed = explain(1, words, TARGET, Command(("x",), stdout=True, kill_on_disconnect=True))
    assert killed.code == "no_shell"
    assert "--kill-on-disconnect" in killed.message
    named = explain(1, words, TARGET, CMD)
    assert (named.code, "CreateProcess" in named.message) == ("start_failed", True)


@pytest.mark.parametrize(
    "words",
    [b"", b"Defaulted container\n", KLOG.encode(), b'E0728 12:00:00.1 1 v3.go:1] "websocket: close sent"\n'],
)
def test_code_0_is_success_whatever_is_said(words):
    assert explain(0, words, TARGET, CMD) == ended(0)


def test_in_a_terminal_the_line_break_may_be_missing():
    assert explain(3, b"command terminated with exit code 3", TARGET, CMD) == ended(3)
    assert explain(
        3, b"err\r\ncommand terminated with exit code 3\r\n".replace(b"\r", b""), TARGET, CMD
    ) == ended(3)


@pytest.mark.parametrize(
    "words", [b"command terminated with exit code 4\n", b"command terminated with exit code 3 x\n"]
)
def test_a_line_with_another_code_decides_nothing(words):
    assert explain(3, words, TARGET, CMD).exit_code is None


@pytest.mark.parametrize("code", [1, 129, 130, 137, 143])
def test_no_word_and_a_signal(code):
    outcome = explain(code, b"", TARGET, CMD)

    assert (outcome.code, outcome.exit_code) == ("kubectl_killed", None)
    assert str(code) in outcome.message


def test_bashs_words_about_a_killed_kubectl_are_not_the_commands():
    assert explain(143, b"Terminated\n", TARGET, CMD).exit_code is None


@pytest.mark.parametrize("name", ["bash", "sh", "/bin/bash", "/bin/sh"])
@pytest.mark.parametrize("why", ["executable file not found in $PATH", "stat {}: no such file or directory"])
def test_without_a_command_a_missing_shell_is_no_shell(name, why):
    said = "error: Internal error occurred: " + RUNTIME.format(f'"{name}": {why.format(name)}')

    assert explain(1, said.encode(), TARGET, SHELL).code == "no_shell"
    assert explain(1, said.encode(), TARGET, Command((name,), stdout=True)).code == "start_failed"
    assert (
        explain(1, said.encode(), TARGET, SHELL).as_status()
        == explain(1, said.encode(), TARGET, Command((name,), stdout=True)).as_status()
    )


@pytest.mark.parametrize(
    "words", [b"\xff\xfe", b"\x00", b"\n\n\n", b"error: " + b"x" * 10_000, "error: \u2028é".encode()]
)
@pytest.mark.parametrize("code", [1, 2, 137, 255])
def test_any_words_have_an_outcome(words, code):
    outcome = explain(code, words, TARGET, CMD)

    assert outcome.exit_code is None
    outcome.as_status().json()


def call(command: Command, target: Target = TARGET, context: str = "") -> str:
    return " ".join(argv(target, command, ("kubectl", *(("--context", context) if context else ()))))


def test_every_stream_has_its_flag():
    def words(**streams: bool) -> str:
        return call(Command(("ls", "-i"), **streams)).partition(" -- ")[0].partition(" -c c")[2].strip()

    assert words(stdout=True) == ""
    assert words(stdin=True) == "-i"
    assert words(stdin=True, tty=True) == "-i -t"
    assert words(stdout=True, tty=True) == "-i -t"  # kubectl gives no terminal without -i


def test_names_stand_before_and_the_command_behind_the_dashes():
    command = Command(("-n", "--", "x y", ""), stdout=True)

    assert argv(TARGET, command, ("kubectl",)) == (
        "kubectl", "exec", "-n", "ns", "p", "-q", "-c", "c", "--", "-n", "--", "x y", "",
    )  # fmt: skip


def test_context_and_container_are_named_where_they_are_known():
    target = Target("default", "ns", "deploy/api")

    assert (
        call(Command(("ls",), stdout=True), target, "prod")
        == "kubectl --context prod exec -n ns deploy/api -q -- ls"
    )


def test_without_a_command_there_is_a_shell_that_carries_the_session():
    words = argv(TARGET, Command(stdin=True, tty=True, session="0a1b"), ("kubectl",))

    assert words[-3:-1] == ("sh", "-c")
    assert words[-1].startswith("export DAP_SESSION=$$.0a1b; ")
    assert words[-1].endswith("exec bash; else exec sh; fi")


@pytest.mark.parametrize(
    "given", [("ls", "-l"), ("", "'\"$x`\\", "\n", "é終"), ("-odd", "--"), ("show", "-c", "exec $0", "$@")]
)
def test_a_command_that_is_to_be_killed_is_carried_exactly(given, tmp_path):
    """By the sh of this machine, from a program with the odd name to its arguments."""
    program = tmp_path / (given[0] or "empty")
    program.write_text('#!/bin/sh\nprintf "%s\\0" "$DAP_SESSION" "$@"\n')
    program.chmod(0o700)
    name = given[0] if given[0].startswith("-") else str(program)
    words = inside(Command((name, *given[1:]), stdout=True, kill_on_disconnect=True, session="0a1b"))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(words, env=env, capture_output=True, check=True)
    mark, *got = done.stdout.decode().split("\0")[:-1]

    assert mark.endswith(".0a1b")
    assert got == list(given[1:])


def test_a_command_of_the_clients_is_untouched():
    assert inside(Command(("ls", "-l"), stdout=True, session="0a1b")) == ("ls", "-l")


def test_who_kills_needs_a_shell():
    said = f"error: Internal error occurred: {RUNTIME.format(NO_SH)}"
    outcome = explain(1, said.encode(), TARGET, Command(("sleep", "9"), stdout=True, kill_on_disconnect=True))

    assert (outcome.code, "--kill-on-disconnect" in outcome.message) == ("no_shell", True)


@pytest.mark.parametrize("verb", ["attach"])
def test_attach_has_no_command(verb: Verb):
    assert call(Command(verb=verb, stdin=True, tty=True)) == "kubectl attach -n ns p -q -c c -i -t"


def test_in_the_runner_the_command_is_all():
    assert argv(Target("default"), Command(("ls", "-l"), "run", stdout=True), "prod") == ("ls", "-l")


def test_a_status_that_forbids_has_the_servers_details():
    outcome = explain(1, f"error: unable to upgrade connection: {FORBIDDEN}\n".encode(), TARGET, CMD)

    assert outcome.status.details == {"name": "p", "kind": "pods"}
