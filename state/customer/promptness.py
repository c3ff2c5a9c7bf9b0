"""Which profiles are written at once after an event, so that the next answer to the customer knows of it.

A job that keeps up has time for that; one that catches up has not, and nobody is waiting for the profiles of last
week. So of what happened lately so many a second are written at once (a token bucket, a second deep); all others when
`profile_interval_ms` is over.
"""

from collections.abc import Callable
from typing import Final

RECENT_MS: Final = 60_000
"""Events that are older, by this machine's clock, are history that is being read."""


class Promptness:
    """Of one subtask."""

    __slots__ = ("_at_ms", "_now_ms", "_per_s", "_tokens")

    def __init__(self, per_s: int, now_ms: Callable[[], int]) -> None:
        """`per_s`: profiles a second; 0: none. `now_ms`: a clock, milliseconds since 1970."""
        self._per_s, self._now_ms = per_s, now_ms
        self._tokens, self._at_ms = float(per_s), now_ms()

    def allows(self, event_ms: int) -> bool:
        """Whether a profile is to be written at once for an event of this time; if so, it is counted."""
        now_ms = self._now_ms()
        if event_ms < now_ms - RECENT_MS:
            return False
        passed_ms = max(now_ms - self._at_ms, 0)  # clocks are set back at times
        self._tokens = min(float(self._per_s), self._tokens + passed_ms * self._per_s / 1_000)
        self._at_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
