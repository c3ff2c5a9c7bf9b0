"""Work that can be put off: how often it is done, so that it takes no more than a share of the time."""

from collections.abc import Callable
from time import monotonic


class Pace:
    """Rounds of work. The next one is due after `least_s`, and after so long that this one was `share` of the time."""

    def __init__(self, least_s: float, share: float, now_s: Callable[[], float] = monotonic) -> None:
        """`share`: above 0, at most 1. `now_s`: a clock in seconds."""
        self._least_s, self._now_s = least_s, now_s
        self.share = share
        """May change at any time: what has been done counts by the share of now."""
        self._from_s = -least_s
        self._spent_s = self._began_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a round may begin."""
        return self._now_s() >= self._from_s + self._least_s + self._spent_s / self.share

    def begin_round(self) -> None:
        """A round begins now."""
        self._from_s, self._spent_s = self._now_s(), 0.0

    def begin_part(self) -> None:
        """A part of the round begins; parts may come much later than the round has begun."""
        self._began_s = self._now_s()

    def end_part(self) -> None:
        """It is done."""
        self._spent_s += self._now_s() - self._began_s
