"""kubectl in the runner: its arguments, and what its words and exit code mean (kubectl 1.27 to 1.36)."""

import re
from collections.abc import Callable

from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.status import failure, internal_error
from gateway.protocol.target import Command, Target

# The shell of a session that names no command. `exec a || exec b` would end a busybox shell at the first.
_SHELL = "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"
# What search.sh finds again: in the environment of all that is started, with the pid of the first
_MARK = "export DAP_SESSION=$$.{}; "
_KILL = (
    'case $1 in -*) (exec -- true) 2>/dev/null && exec -- "$@" ;; esac; exec "$@"'  # dash knows no `exec --`
)

OURS = Command(("kubectl",), "run", stdout=True)  # one that is no session's
_EXIT_LINE = re.compile(rb"command terminated with exit code (\d{1,3})\n?$")
_DEFAULT_SERVER = re.compile(
    r"server localhost:8080 was refused|dial tcp(?: (?:127\.0\.0\.1|\[::1\]):8080: |: lookup localhost[: ])"
)
_NO_KUBECONFIG = (
    "kubectl in the runner has no kubeconfig, or one that names localhost:8080 (~/.kube/config, or KUBECONFIG in the "
    "login shell's profile)"
)
_NO_SHELL = re.compile(r'exec: "(?:[^"]*/)?(?:ba)?sh": (?:executable file not found|stat )')


def argv(target: Target, command: Command, context: str) -> tuple[str, ...]:
    """The kubectl that reaches the target. Every name was checked; the command stands behind `--`.

    `-c` is always named where it is known, and -q silences "Defaulted container". kubectl gives no terminal
    without -i (cmd/exec/exec.go SetupTTY), the API server does.
    """
    if not target.pod:
        return command.argv
    words = ["kubectl", *(["--context", context] if context else []), command.verb]
    words += [
        "-n",
        target.namespace,
        target.pod,
        "-q",
        *(["-c", target.container] if target.container else []),
    ]
    words += [flag for flag, wanted in (("-i", command.stdin or command.tty), ("-t", command.tty)) if wanted]
    return (*words, *(() if command.verb == "attach" else ("--", *inside(command))))


def inside(command: Command) -> tuple[str, ...]:
    """What runs in the container: a client's own command as it is, all else with the session's mark."""
    if not command.tracked:
        return command.argv
    mark = _MARK.format(command.session) if command.session.isalnum() else ""
    return (
        "sh",
        "-c",
        mark + (_KILL if command.argv else _SHELL),
        *(("dap", *command.argv) if command.argv else ()),
    )


def explain(code: int, words: bytes, target: Target, command: Command) -> Outcome:
    """What kubectl's end means. `words`: all that it said itself, its final line about the exit code included.

    rc 1 is ambiguous, so the final line decides: it is there exactly when the command ran to its end.
    """
    final = _EXIT_LINE.search(words)
    if code == 0 or (final and int(final[1]) == code):
        return ended(code)
    text = _last_words(words)
    if not text:
        if code > 128 or code == 1:  # with a terminal a signal to kubectl ends it with 1 and no word
            return Outcome(
                "kubectl_killed", f"kubectl in the runner was ended before the command (its code: {code})"
            )
        return Outcome("kubectl_failed", f"kubectl ended with code {code} and no word")
    for pattern, outcome in _MEANINGS:
        if match := pattern.search(text):
            return outcome(match, target, command)
    return Outcome("kubectl_failed", text, status=internal_error(text.removeprefix("error: ")))


def unreachable(said: str) -> Outcome:
    """What it means that kubectl, or kubectl proxy, reaches no API server. Without a kubeconfig it asks its default,
    http://localhost:8080 (client-go, tools/clientcmd/client_config.go).
    """
    if _DEFAULT_SERVER.search(said):
        return Outcome("kubeconfig_missing", f"{_NO_KUBECONFIG}: {said}")
    return Outcome("cluster_unreachable", said)


def _last_words(words: bytes) -> str:
    """The last line that is no klog line."""
    lines = [line for line in words.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"[EWIF]\d{4} \d\d:\d\d:\d\d", line)]
    return said[-1].strip() if said else (lines[-1].strip() if lines else "")


_HTTP = {
    "BadRequest": 400, "Forbidden": 403, "NotFound": 404, "MethodNotAllowed": 405, "Conflict": 409, "Invalid": 422,
    "TooManyRequests": 429, "ServiceUnavailable": 503, "Timeout": 504,
}  # fmt: skip
_Meaning = Callable[[re.Match[str], Target, Command], Outcome]


def _start_failed(match: re.Match[str], _: Target, command: Command) -> Outcome:
    status = internal_error(match["why"])
    if command.tracked and _NO_SHELL.search(match["why"]):
        needed = "which --kill-on-disconnect needs" if command.argv else "name a command that it has"
        return Outcome("no_shell", f"the container has neither bash nor sh; {needed}", status=status)
    return Outcome(
        "start_failed", match["why"].rpartition("exec: ")[2].removesuffix(": unknown"), status=status
    )


def _not_found(match: re.Match[str], target: Target, _: Command) -> Outcome:
    """An API server that is asked for a pod does not look whether there is such a namespace; kubectl does."""
    kind, name = (
        ("pods", target.pod)
        if match["kind"] == "namespaces" and target.pod
        else (match["kind"], match["name"])
    )
    status = failure(404, f'{kind} "{name}" not found', details={"name": name, "kind": kind})
    return Outcome("pod_not_found", match["said"], status=status)


def _bad_container(match: re.Match[str], target: Target, _: Command) -> Outcome:
    said = f"container {match['name']} is not valid for pod {target.pod}"
    known = f"; it has {match['known']}" if match["known"] else ""
    return Outcome("container_not_found", said + known, status=failure(400, said))


def _forbidden(match: re.Match[str], _: Target, __: Command) -> Outcome:
    details = {"name": match["name"], "kind": match["kind"]} if match["name"] else {}
    return Outcome("forbidden", match["said"], status=failure(403, match["said"], details=details))


def _completed(match: re.Match[str], target: Target, _: Command) -> Outcome:
    """Whoever asks without looking first, as kubectl does, hears this of the kubelet."""
    container = target.container or ""
    missing = f'container not found ("{container}")'
    if match["attach"]:
        missing = f"container {container} not found in pod {target.pod}_{target.namespace}"
    status = internal_error(f"unable to upgrade connection: {missing}")
    return Outcome("pod_completed", match["said"], status=status)


def _api_error(match: re.Match[str], _: Target, __: Command) -> Outcome:
    said, reason = match["said"], match["reason"]
    http = _HTTP.get(reason)
    return Outcome("cluster_failed", said, status=failure(http, said, reason) if http else None)


def _unreachable(match: re.Match[str], _: Target, __: Command) -> Outcome:
    return unreachable(match["said"])


def _said(code: str, http: int) -> _Meaning:
    return lambda match, _, __: Outcome(code, match["said"], status=failure(http, match["said"]))


def _internal(code: str) -> _Meaning:
    return lambda match, _, __: Outcome(code, match["why"], status=internal_error(match["why"]))


def _plain(code: str) -> _Meaning:
    return lambda match, _, __: Outcome(code, match["said"])


_MEANINGS: tuple[tuple[re.Pattern[str], _Meaning], ...] = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r"^error: Internal error occurred: (?P<why>.*(?:exec failed|failed to exec|exec in container).*)", _start_failed),
        (r"(?P<why>unable to upgrade connection: container not found .*)", _internal("container_not_running")),
        (r"\(NotFound\): (?P<said>(?P<kind>[\w.]+) \"(?P<name>[^\"]+)\" not found)", _not_found),
        (r"(?:error: (?:cannot attach to the container: )?|\(BadRequest\): )container (?P<name>\S+) is not valid for pod \S+?(?: out of: (?P<known>.*))?$",
         _bad_container),
        (r"container (?P<name>\S+) not found in pod(?P<known>)", _bad_container),
        (r"(?P<said>a container name must be specified .*)", _said("container_needed", 400)),
        (r"(?P<said>pod \S+ does not have a host assigned)", _said("pod_pending", 400)),
        (r"(?P<said>cannot (?:exec into|(?P<attach>attach)) a container in a completed pod.*)", _completed),
        (r"(?:unable to upgrade connection|\(Forbidden\)): (?P<said>(?:(?P<kind>[\w.]+) \"(?P<name>[^\"]*)\" |.*)is forbidden: .*)",
         _forbidden),
        (r"(?P<said>You must be logged in to the server.*|the server has asked for the client to provide credentials)",
         _said("cluster_unauthorized", 401)),
        (r"(?P<said>The connection to the server .* was refused.*|Unable to connect to the server: .*)",
         _unreachable),
        (r"^error: (?:Internal error occurred|unable to upgrade connection): (?P<why>error dialing backend: .*)",
         _internal("cluster_failed")),
        (r"^error: Internal error occurred: (?P<why>.*)", _internal("cluster_failed")),
        (r"^error: (?P<said>(?:Get|Post|Head) \"https?://.*)", _unreachable),
        (r"(?P<said>dial tcp .*|no such host.*)", _unreachable),
        (r"(?P<said>error reading from error stream: .*)", _plain("cluster_lost")),
        (r"^(?:error: )?(?P<said>.*(?:i/o timeout|connection reset by peer|unexpected EOF|broken pipe|connection lost).*)", _plain("cluster_lost")),
        (r"^Error from server(?: \((?P<reason>\w+)\))?: ?(?P<said>.*)", _api_error),
    )
)  # fmt: skip
