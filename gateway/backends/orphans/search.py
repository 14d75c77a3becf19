"""Builds the command that ends what a session left in its container, and reads the command's result.

The kubelet ends nothing when a session ends: a shell lives on without its terminal, for ever. So the shells that the
gateway chooses, and commands to be killed on disconnect, carry a mark (kubectl.inside). A second exec, of search.sh,
finds the marked processes and ends them as a terminal does that hangs up; nohup and setsid let a process live.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

from gateway.protocol.outcome import Outcome

LATE = 10  # tenths of a second to wait for a process that the session was about to start
SAID = 600  # bytes kept of the search's stdout
SCRIPT = "\n".join(
    line
    for line in files(__package__).joinpath("search.sh").read_text("ascii").splitlines()
    if not line.lstrip().startswith("#")
)
_RESULT = re.compile(rb"dap-leftovers (\d+) (\d+) (\d+) (\d+)\n")
_GONE = {  # no such container runs, and so no process of the session
    "container_not_running", "pod_completed", "pod_not_found", "pod_pending", "container_not_found", "container_needed",
}  # fmt: skip
_NO_SHELL = {"no_shell", "start_failed"}
_NOT_ALLOWED = {
    "forbidden",
    "cluster_unauthorized",
    "cluster_unreachable",
    "kubectl_missing",
    "kubeconfig_missing",
    "runner_credentials",
    "runner_failed",
}
_NOT_STARTED = _GONE | _NO_SHELL | _NOT_ALLOWED


@dataclass(frozen=True)
class OrphanReport:
    """Holds the result of a search. `what`: rows of `Reaper.counts`; the numbers count processes."""

    what: tuple[str, ...]
    ended: int = 0
    kept: int = 0  # by nohup or setsid
    left: int = 0  # outlived KILL
    unreadable: int = 0  # of other users: their marks cannot be read
    why: str = ""

    @property
    def failed(self) -> bool:
        """True if another try may succeed."""
        return "failed" in self.what


def argv(session: str, late: int = LATE) -> tuple[str, ...]:
    """Returns the command that ends what the session left in its container. Needs sh in the container; waits up to `late`
    tenths of a second for a marked process to appear.
    """
    return ("sh", "-c", SCRIPT, "dap", session, str(late))


def read(outcome: Outcome, said: bytes) -> OrphanReport:
    """Returns the result of a search, from how its exec ended and what `said`, its stdout, holds."""
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
    """True if a session with this outcome had its command started, and the command may still run."""
    return outcome is None or (outcome.exit_code is None and outcome.code not in _NOT_STARTED)
