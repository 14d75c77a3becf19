"""Tells a proxy that ends WebSockets after a fixed time from an API server that went away."""

_SHORT = 5.0  # seconds: what ends sooner was not ended for its age
_ALIKE = 1.0  # seconds between the ages of two connections that the same limit has ended
_APART = 2.0  # seconds between two such ends: connections of one age end together where the server goes


class Cuts:
    """Remembers the last connection to the API server that was lost. Times are in seconds."""

    def __init__(self) -> None:
        self._age = self._at = float("-inf")

    def lost(self, age: float, now: float) -> bool:
        """Takes a connection that was lost `now`, `age` seconds after its handshake. True if the one before was lost at the same
        age and at another time, so that a limit on the way explains both.
        """
        if age < _SHORT or now - self._at < _APART:
            return False
        alike = abs(age - self._age) <= _ALIKE
        self._age, self._at = age, now
        return alike
