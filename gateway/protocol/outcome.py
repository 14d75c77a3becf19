"""Names how a session ended: one closed vocabulary, the same on the wire, in logs, in metrics and in `dap`.

README.md beside this file lists it for people; a test holds the two together.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.protocol.status import Status, exited, failure, internal_error
from gateway.protocol.target import Target


class Hop(StrEnum):
    """Names where on the way something happened, in order."""

    CLIENT = "client"
    GATEWAY = "gateway"
    SSH = "ssh"
    INCUS = "incus"
    RUNNER = "runner"
    KUBECTL = "kubectl"
    CLUSTER = "cluster"
    POD = "pod"


class Code(NamedTuple):
    """Holds a row of the vocabulary. `http`: the code of a Status, and of a refusal before the upgrade."""

    hop: Hop
    http: int
    meaning: str


CODES: dict[str, Code] = {
    "exited": Code(Hop.POD, 0, "the command ended by itself; its exit code is the session's"),
    "start_failed": Code(
        Hop.POD, 500, "the container could not start the command (not found, not executable)"
    ),
    "no_shell": Code(Hop.POD, 500, "the container has neither bash nor sh"),
    "container_not_running": Code(Hop.POD, 500, "the container is not running"),
    "pod_deleted": Code(Hop.POD, 500, "the pod was deleted under the session"),
    "container_restarted": Code(
        Hop.POD,
        500,
        "the container ended, or was restarted, under the session: open a new one; kubectl logs --previous says why",
    ),
    "pod_completed": Code(Hop.POD, 500, "the pod has finished"),
    "pod_not_found": Code(Hop.CLUSTER, 404, "the cluster has no such pod, workload or namespace"),
    "no_ready_pod": Code(Hop.CLUSTER, 503, "the workload or service has no pod that is ready"),
    "pod_pending": Code(Hop.CLUSTER, 400, "the pod is not scheduled yet"),
    "container_not_found": Code(Hop.CLUSTER, 400, "the pod has no such container"),
    "port_not_found": Code(
        Hop.CLUSTER, 400, "the pod or service has no such port, or none that can be forwarded"
    ),
    "container_needed": Code(Hop.CLUSTER, 400, "the pod has several containers: name one"),
    "forbidden": Code(Hop.CLUSTER, 403, "the cluster does not let the runner's account do this"),
    "cluster_unauthorized": Code(Hop.CLUSTER, 401, "the cluster does not accept the runner's credentials"),
    "cluster_unreachable": Code(Hop.CLUSTER, 503, "kubectl cannot reach the API server"),
    "cluster_lost": Code(Hop.CLUSTER, 500, "the connection between kubectl and the API server was lost"),
    "cluster_failed": Code(
        Hop.CLUSTER,
        500,
        "the API server answered with an error of its own: run the same kubectl in the runner",
    ),
    "output_incomplete": Code(
        Hop.CLUSTER,
        500,
        "dap exec --verify found output missing, or the exit code unconfirmed: do not trust the result",
    ),
    "kubectl_missing": Code(Hop.RUNNER, 500, "the runner has no kubectl"),
    "kubeconfig_missing": Code(Hop.RUNNER, 500, "kubectl in the runner has no kubeconfig"),
    "runner_credentials": Code(
        Hop.RUNNER,
        500,
        "kubectl in the runner got no credentials from its plugin: do in the runner what the message says",
    ),
    "kubectl_killed": Code(Hop.KUBECTL, 500, "kubectl in the runner was ended by a signal"),
    "stdin_stalled": Code(
        Hop.KUBECTL, 500, "more input waited than kubectl can stand: the command did not read it for a minute"
    ),
    "kubectl_failed": Code(
        Hop.KUBECTL,
        500,
        "kubectl failed in a way that has no name here: run the same kubectl exec in the runner",
    ),
    "runner_failed": Code(Hop.RUNNER, 500, "the runner's login shell ended before the command was started"),
    "runner_busy": Code(Hop.RUNNER, 503, "the runner was busy with the start of other sessions for too long"),
    "runner_timeout": Code(
        Hop.RUNNER,
        504,
        "the runner did not start the command in time: try again; where that repeats, the runner is overloaded",
    ),
    "address_unknown": Code(Hop.RUNNER, 404, "the runner finds no address for this host's name"),
    "address_unreachable": Code(
        Hop.RUNNER, 503, "nothing at this address takes a connection from the runner"
    ),
    "relay_failed": Code(Hop.RUNNER, 500, "the relay could not be started in the runner, or not do its part"),
    "relay_lost": Code(Hop.RUNNER, 500, "the relay in the runner ended before the command did"),
    "incus_not_found": Code(Hop.INCUS, 500, "the management host has no such instance"),
    "incus_stopped": Code(Hop.INCUS, 500, "the instance is not running"),
    "incus_frozen": Code(Hop.INCUS, 500, "the instance is paused"),
    "incus_missing": Code(Hop.INCUS, 500, "the management host has no incus command"),
    "incus_failed": Code(Hop.INCUS, 500, "incus refused the command: try incus exec on the management host"),
    "incus_lost": Code(
        Hop.INCUS, 500, "the link into the runner was lost (instance stopped, incus restarted)"
    ),
    "ssh_unreachable": Code(
        Hop.SSH,
        503,
        "the management host does not answer: check its address and the network; dap doctor looks at each hop",
    ),
    "ssh_refused": Code(
        Hop.SSH, 500, "the management host refused the login, or the breaker is open after refusals"
    ),
    "ssh_host_key": Code(Hop.SSH, 500, "the host key is unknown or is not the pinned one"),
    "ssh_config": Code(Hop.SSH, 500, "key file, known hosts or ssh configuration cannot be used"),
    "ssh_unconfirmed": Code(
        Hop.SSH,
        500,
        "nobody confirmed the login in time, at the SSH agent, at a prompt or at the host: try again and confirm it",
    ),
    "ssh_restricted": Code(
        Hop.SSH, 500, "the host restricts this key or account: no terminal, or a command of the host's own"
    ),
    "ssh_busy": Code(Hop.SSH, 503, "the management host takes no more sessions: end one, or try again later"),
    "ssh_lost": Code(Hop.SSH, 500, "the connection to the management host was lost"),
    "stream_ended": Code(
        Hop.CLUSTER,
        0,
        "the cluster ended a connection that passes as bytes: only its client has read how its command ended",
    ),
    "client_closed": Code(Hop.CLIENT, 0, "the client closed the session"),
    "client_lost": Code(Hop.CLIENT, 0, "the connection to the client was lost without a close"),
    "client_broke_protocol": Code(
        Hop.CLIENT, 400, "the client sent what its subprotocol does not allow: update the client"
    ),
    "taken_over": Code(Hop.CLIENT, 409, "another client took the session over, where it goes on"),
    "slow_client": Code(Hop.CLIENT, 500, "more output was waiting for the client than the journal may hold"),
    "bad_request": Code(Hop.CLIENT, 400, "the request names something impossible"),
    "cluster_unknown": Code(Hop.GATEWAY, 404, "the gateway has no cluster of that name"),
    "not_allowed": Code(
        Hop.GATEWAY, 403, "the gateway does not allow this identity to do this: ask who runs the gateway"
    ),
    "too_many_sessions": Code(
        Hop.GATEWAY, 429, "this identity, this pod or the gateway has as many sessions as it may have"
    ),
    "too_many_lists": Code(Hop.GATEWAY, 429, "pages look at as many lists as is allowed"),
    "out_of_files": Code(Hop.GATEWAY, 503, "the gateway has no file descriptors left for another session"),
    "spool_failed": Code(
        Hop.GATEWAY,
        500,
        "unread output could not be stored: the disk of the gateway's TMPDIR is full or fails",
    ),
    "session_unknown": Code(
        Hop.GATEWAY,
        404,
        "no session has this id, or its end was delivered long ago: dap sessions lists those that live",
    ),
    "resume_refused": Code(
        Hop.GATEWAY,
        403,
        "the session is another identity's, or its secret is wrong or was replaced: open a new session",
    ),
    "offset_gone": Code(
        Hop.GATEWAY, 410, "the session's output at this offset is dropped already, or was never written"
    ),
    "killed": Code(Hop.GATEWAY, 403, "the session was ended by its owner or the operator"),
    "access_revoked": Code(
        Hop.GATEWAY,
        401,
        "the sign-in that opened the session, or attached to it last, was revoked or has expired",
    ),
    "idle_timeout": Code(Hop.GATEWAY, 504, "there was neither input nor output for the time that is allowed"),
    "max_age": Code(Hop.GATEWAY, 504, "the session reached the age that is allowed"),
    "shutdown": Code(Hop.GATEWAY, 503, "the gateway was stopped"),
    "gateway_error": Code(Hop.GATEWAY, 500, "a defect of the gateway; its log has the details"),
}


@dataclass(frozen=True)
class Outcome:
    """Holds how a session ended. `code` is a row of CODES. `exit_code` is the command's own and None unless
    the command ended by itself.
    """

    code: str
    message: str = ""
    exit_code: int | None = None
    status: Status | None = None  # the cluster's own, where it has one that says more than ours would

    @property
    def hop(self) -> Hop:
        """Returns the hop that ended the session."""
        return CODES[self.code].hop

    def as_status(self) -> Status:
        """Returns the Status for stream 3: the command's, the cluster's own, or ours with the code in it."""
        if self.exit_code is not None:
            return exited(self.exit_code)
        if self.status is not None:
            return self.status
        http = CODES[self.code].http or 500
        text = f"{self.hop}: {self.message or CODES[self.code].meaning} ({self.code})"
        return internal_error(text) if http == 500 else failure(http, text)

    def as_control(self, kind: str) -> dict[str, Any]:
        """Returns the body of our own `end` or `refused`."""
        message = self.message or CODES[self.code].meaning
        body = {"type": kind, "code": self.code, "hop": str(self.hop), "message": message}
        return body | {"exitCode": self.exit_code} if kind == "end" else body


# Their messages name a pod or what is in it.
_OF_A_POD = frozenset({
    "start_failed", "no_shell", "container_not_running", "pod_deleted", "container_restarted", "pod_completed",
    "pod_not_found", "no_ready_pod", "pod_pending", "container_not_found", "container_needed", "forbidden",
    "port_not_found",
})  # fmt: skip


def located(outcome: Outcome, target: Target) -> Outcome:
    """Returns the outcome, its message with the namespace in it where it is about a pod. A Status of the
    cluster's own stays as the cluster sent it.
    """
    name = target.namespace
    told = any(words in outcome.message for words in (f"namespace {name}", f'namespace "{name}"', f"{name}/"))
    if outcome.code not in _OF_A_POD or not target.pod or not name or told:
        return outcome
    return replace(outcome, message=f"{outcome.message or CODES[outcome.code].meaning}, in namespace {name}")


def journal_full(limit: str) -> Outcome:
    """Returns the outcome of a session whose unread output has no space left. `limit`: which limit of all sessions
    together is the reason; empty where the session's own journal is full.
    """
    return Outcome("slow_client", f"output waited for its reader, and {limit}" if limit else "")


def ended(code: int) -> Outcome:
    """Returns the outcome of a command that ended by itself with `code`: 0 to 255, in Windows of 32 bits."""
    return Outcome("exited", f"the command ended with exit code {code}", exit_code=code)
