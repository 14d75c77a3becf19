"""Limits logins: few at a time (sshd's MaxStartups), fewer and later when the host turns logins away, and no login
for a while after refusals in a row, which sshd punishes (PerSourcePenalties).
"""

from collections.abc import Callable

from gateway.errors import HopFailed

DIALS = 4  # logins at the same time
REFUSALS = 3  # refusals in a row that open the breaker
PAUSE = 60.0  # seconds that the breaker stays open
ASKED_PAUSE = (
    600.0  # seconds that the breaker stays open at most after a person was asked in vain; PAUSE at first
)
_STREAK = 4  # logins in a row that succeed, until one more at a time is tried
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds, after logins in a row that the host turned away
_IN_VAIN = (
    "ssh_unconfirmed",
    "ssh_refused",
    "ssh_config",
)  # ends of a login for which a person may have been asked
_REFUSED = ("ssh_refused", "ssh_host_key")


class LoginThrottle:
    """Decides from the results of the last logins when the next may begin. `trouble`: why the last login failed,
    until one succeeds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.trouble: HopFailed | None = None
        self._clock = clock
        self._at_once = DIALS
        self._streak = 0
        self._failures = 0
        self._refusals = 0
        self._in_vain = 0  # logins in a row for which a person was asked in vain
        self._refusal: HopFailed | None = None
        self._next = 0.0
        self._broken_until = 0.0

    @property
    def allowed(self) -> int:
        """The number of logins that may run at the same time now."""
        return self._at_once if self.pause <= 0 else 0

    @property
    def pause(self) -> float:
        """The seconds until the next login may begin; 0 or less: now."""
        return max(self._next - self._clock(), self.broken)

    @property
    def broken(self) -> float:
        """The seconds that the breaker stays open; 0 while the breaker is closed."""
        return max(0.0, self._broken_until - self._clock())

    def login_succeeded(self) -> None:
        """Records a login that succeeded; after four in a row one more may run at the same time."""
        self.trouble = None
        self._refusals = self._in_vain = 0
        self._streak += 1
        if self._streak >= _STREAK:
            self._streak, self._at_once = 0, min(self._at_once + 1, DIALS)

    def channel_opened(self) -> None:
        """Resets the pauses between logins: an opened channel shows that the host accepts us. An open breaker stays
        open until its time is over.
        """
        self._failures = 0
        self._next = 0.0

    def wake(self) -> None:
        """Ends the pauses and the breaker. Refusals stay counted: one more opens the breaker again."""
        self._failures = 0
        self._next = self._broken_until = 0.0

    def login_failed(self, error: HopFailed, *, attended: bool = False) -> None:
        """Records a login that ended with `error`. Opens the breaker after three refusals in a row, and at once where
        a person was asked in vain (`attended`), so that the person is not asked again and again.
        """
        self.trouble = error
        if attended and error.code in _IN_VAIN:
            self._refusal = error
            self._broken_until = self._clock() + min(PAUSE * 2**self._in_vain, ASKED_PAUSE)
            self._in_vain += 1
        elif error.code in _REFUSED:
            self._refusal = error
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._broken_until = self._clock() + PAUSE

    def login_turned_away(self, error: HopFailed) -> None:
        """Records a login for which the host had no room: logins go on one at a time, after a pause that grows."""
        self.trouble = error
        self._streak, self._at_once = 0, 1
        self._next = self._clock() + _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1

    def check(self) -> None:
        """Raises HopFailed, with the code of the last refusal, while the breaker is open."""
        if self.broken and (refusal := self._refusal):
            why = "since somebody was asked in vain" if self._in_vain else f"after {self._refusals} refusals"
            raise HopFailed(
                refusal.code, f"{refusal.message}; no further login for {self.broken:.0f} s {why}"
            )
