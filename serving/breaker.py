"""A circuit breaker: who has failed often is left alone for a while, so that nobody waits for nothing.

After M. Nygard, Release It! (2007): closed (asked), open (not asked), half-open (one may try).
"""

import time
from collections.abc import Callable
from enum import StrEnum

FAILURES = 5
OVER_S = 0.2
OPEN_S = 0.5


class BreakerState(StrEnum):
    """Whether something is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Opens after some failures in a row; lets one try pass after a while, and closes when one succeeds."""

    def __init__(
        self,
        failures: int = FAILURES,
        over_s: float = OVER_S,
        open_s: float = OPEN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Closed.

        Args:
            failures: so many in a row open it,
            over_s: if they go on for so long: a short stall of the machine fails whatever was under way at once.
            open_s: how long it stays open before one may try.
            clock: seconds, for the tests.
        """
        self._most, self._over_s, self._open_s, self._clock = failures, over_s, open_s, clock
        self._failures = 0
        self._first_s = self._until = 0.0
        self._open = False

    @property
    def state(self) -> BreakerState:
        """How it stands."""
        if not self._open:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._until else BreakerState.HALF_OPEN

    def allows(self) -> bool:
        """Whether to ask now. When it is half-open, only the first one to ask is told yes."""
        if not self._open:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._open_s
        return True

    def succeeded(self) -> None:
        """There was an answer in time."""
        self._failures, self._open = 0, False

    def failed(self) -> None:
        """There was none, or it came too late."""
        now = self._clock()
        if not self._failures:
            self._first_s = now
        self._failures += 1
        if not self._open and self._failures >= self._most and now - self._first_s >= self._over_s:
            self._open, self._until = True, now + self._open_s
