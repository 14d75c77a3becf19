"""What a session leaves in its container: how it is looked for and ended there, and what came of it.

The kubelet ends nothing when a session does: a shell lives on without its terminal, for ever. So the shells that we
choose, and commands that are to be killed on disconnect, carry a mark (kubectl.inside). A second exec, of search.sh,
finds what has it and ends it as a terminal does that hangs up; what was started with nohup or setsid lives.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

from gateway.protocol.outcome import Outcome

LATE = 10  # tenths of a second in which what a session was about to start may still come
SAID = 600  # bytes of what the look says
SCRIPT = "\n".join(
    line
    for line in files(__package__).joinpath("search.sh").read_text("ascii").splitlines()
    if not line.lstrip().startswith("#")
)
_RESULT = re.compile(rb"dap-leftovers (\d+) (\d+) (\d+) (\d+)\n")
_GONE = {  # the container is not there, and with it all that was in it
    "container_not_running", "pod_completed", "pod_not_found", "pod_pending", "container_not_found", "container_needed",
}  # fmt: skip
_NO_SHELL = {"no_shell", "start_failed"}
_NOT_ALLOWED = {
    "forbidden",
    "cluster_unauthorized",
    "cluster_unreachable",
    "kubectl_missing",
    "kubeconfig_missing",
    "runner_failed",
}
_NOT_STARTED = _GONE | _NO_SHELL | _NOT_ALLOWED


@dataclass(frozen=True)
class OrphanReport:
    """What a look has come to. `what`: rows of `Reaper.counts`; the numbers are processes."""

    what: tuple[str, ...]
    ended: int = 0
    kept: int = 0  # by nohup or setsid
    left: int = 0  # outlived KILL
    unreadable: int = 0  # of other users: whether they are the session's cannot be seen
    why: str = ""

    @property
    def failed(self) -> bool:
        """Another try may do."""
        return "failed" in self.what


def argv(session: str, late: int = LATE) -> tuple[str, ...]:
    """What looks for the session in its container. Needs sh there, and waits `late` tenths of a second for it."""
    return ("sh", "-c", SCRIPT, "dap", session, str(late))


def read(outcome: Outcome, said: bytes) -> OrphanReport:
    """What a look has come to: how its exec ended, and what stood on its stdout."""
    result = _RESULT.search(said)
    if outcome.exit_code == 0 and result:
        ended, kept, left, unreadable = (int(number) for number in result.groups())
        rows = {"reaped": ended, "kept": kept, "stuck": left}
        what = [name for name, count in rows.items() if count] or ["nothing"]
        return OrphanReport((*what, *["unreadable"] * bool(unreadable)), ended, kept, left, unreadable)
    if outcome.code in _NO_SHELL:
        return OrphanReport(("no_shell",), why=outcome.message)
    return OrphanReport(("gone",) if outcome.code in _GONE else ("failed",), why=outcome.message)


def may_run(outcome: Outcome | None) -> bool:
    """The command of a session that ended so was started, and may not have ended."""
    return outcome is None or (outcome.exit_code is None and outcome.code not in _NOT_STARTED)
