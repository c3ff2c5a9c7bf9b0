"""Interest in categories: sums of weights that halve every 30 days.

Each score is kept as of its category's own last event and decayed only there, so it depends on the events alone and
not on when somebody looked.
"""

from math import exp2
from typing import Any

HALF_LIFE_MS = 30 * 86_400_000
KEPT = 20
SHOWN = 5
CLOSE = 1e-8  # relative; scores closer than this are compared by nine digits


class Interests:
    """Decayed score per category, the best 20."""

    __slots__ = ("best", "scores")

    def __init__(self, scores: dict[str, list[Any]] | None = None) -> None:
        self.scores: dict[str, Any] = scores or {}  # (score, as of ms), a list of the two once packed and unpacked
        self.best: list[str] | None = None  # what `top` says, until a score changes

    def add(self, category: str, weight: float, time_ms: int) -> None:
        """Raise a category's score."""
        self.best = None
        known = self.scores.get(category)
        if known is not None:
            weight += known[0] * exp2((known[1] - time_ms) / HALF_LIFE_MS)
        self.scores[category] = (weight, time_ms)

    def trim(self, now_ms: int) -> None:
        """Keep the best 20; to be called after each event, so that the result does not depend on the lines' order."""
        while len(self.scores) > KEPT:
            self.best = None
            del self.scores[self._ranked(now_ms)[-1]]

    def top(self) -> list[str]:
        """Names by score, best first, equal ones by name. Decay is the same for all, so no time is needed."""
        if self.best is None:
            self.best = list(self.scores)
            if len(self.best) > 1:
                self.best = self._ranked(max(at_ms for _, at_ms in self.scores.values()))[:SHOWN]
        return self.best

    def _ranked(self, now_ms: int) -> list[str]:
        """Names by score, best first. Scores that differ in the last digits only are equal: they are but rounded."""
        as_of = {name: score * exp2((at_ms - now_ms) / HALF_LIFE_MS) for name, (score, at_ms) in self.scores.items()}
        names = sorted(as_of, key=as_of.__getitem__, reverse=True)
        above = as_of[names[0]]
        for name in names[1:]:
            score = as_of[name]
            if above - score <= above * CLOSE:
                return sorted(as_of, key=lambda name: (-float(f"{as_of[name]:.9e}"), name))
            above = score
        return names
