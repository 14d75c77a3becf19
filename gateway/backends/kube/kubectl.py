"""Builds kubectl's arguments, and interprets the texts and exit codes of kubectl 1.27 to 1.36 in the runner."""

import re
from collections.abc import Callable

from gateway.backends.kube import credentials, own_shell
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.status import failure, internal_error
from gateway.protocol.target import Command, Target

# Marks the command and its children in their environment, with the first process's pid, for search.sh
_MARK = "export DAP_SESSION=$$.{}; "
_KILL = (
    'case $1 in -*) (exec -- true) 2>/dev/null && exec -- "$@" ;; esac; exec "$@"'  # dash knows no `exec --`
)

OURS = Command(("kubectl",), "run", stdout=True)  # a kubectl of the gateway's own, without a session
MISSING = (
    "the runner has no kubectl on its login shell's PATH; where kubectl has another name there, as in 'k3s kubectl', "
    "or is an alias or a function, name its command in the setting kubectl"
)
_EXIT_LINE = re.compile(rb"command terminated with exit code (\d{1,10})\n?$")
# Its decoder takes one byte (client-go tools/remotecommand/v4.go); a Windows container's code has four
_TOO_LARGE = re.compile(rb'error stream protocol error: invalid exit code value "(-?\d{1,10})"\n?$')
_DEFAULT_SERVER = re.compile(
    r"server localhost:8080 was refused|dial tcp(?: (?:127\.0\.0\.1|\[::1\]):8080: |: lookup localhost[: ])"
)
_NO_KUBECONFIG = (
    "kubectl in the runner has no kubeconfig, or one that names localhost:8080 (~/.kube/config, or KUBECONFIG in the "
    "login shell's profile)"
)
_NO_SHELL = re.compile(r'exec: "(?:[^"]*/)?(?:ba)?sh": (?:executable file not found|stat )')
# A Windows container's runtime, of containerd and of dockershim; the command line stands behind it, if at all
_NO_WINDOWS_PROGRAM = re.compile(r"CreateProcess.*(?:cannot find the (?:file|path) specified|0x[23]\b)")


def argv(target: Target, command: Command, begin: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the argv of the kubectl that runs the command in the target's pod; the command's own argv for a target
    without a pod. `begin`: see `Cluster.kubectl_argv`. The caller has checked every name. `-c` names the container if the target has one;
    `-q` silences "Defaulted container". A terminal always gets `-i`: without `-i`, kubectl gives no terminal
    (cmd/exec/exec.go SetupTTY), though the API server would.
    """
    if not target.pod:
        return command.argv
    words = [
        *begin,
        *(command.actor.flags if command.actor else ()),
        command.verb,
        "-n",
        target.namespace,
        target.pod,
        "-q",
        *(["-c", target.container] if target.container else []),
    ]
    words += [flag for flag, wanted in (("-i", command.stdin or command.tty), ("-t", command.tty)) if wanted]
    return (*words, *(() if command.verb == "attach" else ("--", *inside(command))))


def inside(command: Command) -> tuple[str, ...]:
    """Returns the argv that runs in the container: a tracked command within a shell that sets the session's mark,
    every other command as it is.
    """
    if not command.tracked:
        return command.argv
    mark = _MARK.format(command.session) if command.session.isalnum() else ""
    return (
        "sh",
        "-c",
        mark + (_KILL if command.argv else own_shell.SCRIPT),
        *(("dap", *command.argv) if command.argv else ()),
    )


def explain(code: int, words: bytes, target: Target, command: Command) -> Outcome:
    """Returns the outcome for a kubectl that ended with `code`. `words`: all that kubectl itself wrote to stderr,
    with its final line about the command's exit code. kubectl writes that line exactly when the command ended with an
    error code, so the line tells the command's 1 from kubectl's own.
    """
    if (own := exit_code(code, words)) is not None:
        return ended(own)
    if refusal := credentials.refused(words):
        return refusal
    text = _last_words(words)
    if not text:
        if code > 128 or code == 1:  # with a terminal, kubectl ends on a signal with 1 and no text
            return Outcome(
                "kubectl_killed",
                f"kubectl in the runner was ended before the command (kubectl's exit code: {code})",
            )
        return Outcome("kubectl_failed", f"kubectl ended with code {code} and no error message")
    for pattern, outcome in _MEANINGS:
        if match := pattern.search(text):
            return outcome(match, target, command)
    return Outcome("kubectl_failed", text, status=internal_error(text.removeprefix("error: ")))


def exit_code(code: int, words: bytes) -> int | None:
    """Returns the exit code of the command, from kubectl's own, of one byte, and its final line; None where kubectl
    ended without the command's.
    """
    final, large = _EXIT_LINE.search(words), _TOO_LARGE.search(words)
    if final and int(final[1]) % 256 == code and (code or int(final[1])):
        return int(final[1])
    if code == 1 and large:
        return int(large[1]) % 2**32
    return 0 if code == 0 else None


def unreachable(text: str) -> Outcome:
    """Returns the outcome for an error `text` of kubectl, or of kubectl proxy, that reached no API server. A text
    about localhost:8080 means that the kubeconfig is missing: without a kubeconfig, kubectl asks
    http://localhost:8080 (client-go, tools/clientcmd/client_config.go).
    """
    if _DEFAULT_SERVER.search(text):
        return Outcome("kubeconfig_missing", f"{_NO_KUBECONFIG}: {text}")
    return Outcome("cluster_unreachable", text)


def _last_words(words: bytes) -> str:
    """Returns the last line that is not a klog line, else the last line; empty without any line."""
    lines = [line for line in words.decode("utf-8", "replace").splitlines() if line.strip()]
    texts = [line for line in lines if not re.match(r"[EWIF]\d{4} \d\d:\d\d:\d\d", line)]
    return texts[-1].strip() if texts else (lines[-1].strip() if lines else "")


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
    if command.tracked and _NO_WINDOWS_PROGRAM.search(match["why"]):
        needed = (
            "which --kill-on-disconnect needs" if command.argv else "name its own: powershell, pwsh or cmd"
        )
        return Outcome("no_shell", f"the container is a Windows one, without sh; {needed}", status=status)
    return Outcome(
        "start_failed", match["why"].rpartition("exec: ")[2].removesuffix(": unknown"), status=status
    )


def _not_found(match: re.Match[str], target: Target, _: Command) -> Outcome:
    """Returns the outcome for an object that does not exist. Where the namespace is missing, the Status names the
    pod, as the API server's does: unlike kubectl, the API server does not look for the namespace first.
    """
    kind, name = (
        ("pods", target.pod)
        if match["kind"] == "namespaces" and target.pod
        else (match["kind"], match["name"])
    )
    status = failure(404, f'{kind} "{name}" not found', details={"name": name, "kind": kind})
    return Outcome("pod_not_found", match["said"], status=status)


def _bad_container(match: re.Match[str], target: Target, _: Command) -> Outcome:
    message = f"container {match['name']} is not valid for pod {target.pod}"
    known = f"; it has {match['known']}" if match["known"] else ""
    return Outcome("container_not_found", message + known, status=failure(400, message))


def _forbidden(match: re.Match[str], _: Target, __: Command) -> Outcome:
    details = {"name": match["name"], "kind": match["kind"]} if match["name"] else {}
    return Outcome("forbidden", match["said"], status=failure(403, match["said"], details=details))


def _completed(match: re.Match[str], target: Target, _: Command) -> Outcome:
    """Returns the outcome for a pod that has completed. The Status is the kubelet's answer to a client that does not
    check the pod's phase first; kubectl does.
    """
    container = target.container or ""
    missing = f'container not found ("{container}")'
    if match["attach"]:
        missing = f"container {container} not found in pod {target.pod}_{target.namespace}"
    status = internal_error(f"unable to upgrade connection: {missing}")
    return Outcome("pod_completed", match["said"], status=status)


def _api_error(match: re.Match[str], _: Target, __: Command) -> Outcome:
    message, reason = match["said"], match["reason"]
    http = _HTTP.get(reason)
    return Outcome("cluster_failed", message, status=failure(http, message, reason) if http else None)


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
        (r"^error: Internal error occurred: (?P<why>.*(?:exec failed|failed to exec|exec in container|CreateProcess).*)", _start_failed),
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
