"""Names a sleep of this machine where the sleep has ended what went through the SSH connection."""

from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome
from gateway.relay.wire import LEASE

_BY_THE_LEASE = ("relay_lost", "incus_lost", "kubectl_killed")  # how an end by the lease looks from here
_SIGNALS = (128 + 1, 128 + 9, 128 + 15)  # exit codes of a command in the runner that the lease has ended


def explain(outcome: Outcome, slept: float, *, kubectl: bool = True) -> Outcome:
    """Returns ssh_lost, with the sleep in the message, for a loss after a sleep of `slept` seconds; every other outcome
    as it is. `kubectl`: False if the command ran in the runner, where the exit code may be that of the lease's signal.
    """
    by_lease = outcome.code in _BY_THE_LEASE or (not kubectl and outcome.exit_code in _SIGNALS)
    if not slept or not (outcome.code == "ssh_lost" or (by_lease and slept >= LEASE)):
        return outcome
    text = f"this machine slept for {slept:.0f} s, and the connection did not outlast the sleep"
    return Outcome("ssh_lost", f"{text}: {outcome.message}")


def explain_error(error: HopFailed, slept: float) -> HopFailed:
    """Returns the error that `explain` makes of the outcome of `error`."""
    outcome = error.outcome()
    told = explain(outcome, slept)
    return error if told is outcome else HopFailed(told.code, told.message)
