"""What is steady: the rate between 20 % and 90 % of the events, without start and end."""

import time

STEADY_FROM, STEADY_TO = 0.2, 0.9
_EVERY = 500


class Marks:
    """Counts events and notes the time now and then."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._steady: list[tuple[int, float]] = []

    def step(self) -> None:
        """One event more."""
        self.done += 1
        if self.done % _EVERY == 0 and STEADY_FROM <= self.done / self.total <= STEADY_TO:
            self._steady = [*self._steady[:1], (self.done, time.monotonic())]

    def steady_per_s(self) -> float:
        """Events per second between the marks."""
        (first, first_s), (last, last_s) = self._steady
        return (last - first) / (last_s - first_s)
