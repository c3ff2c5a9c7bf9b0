"""How good probabilities were: a histogram of what was said by what came true, for AUC, calibration error and Brier.

Bins are equally wide in log odds, so that rare things are told apart as well as even ones. Histograms merge by
addition, and fade by multiplication: then all figures are about the recent past.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Any, Final, NamedTuple

LIMIT: Final = 10.0
"""Log odds beyond ± 10 (a probability of 0.00005) fall into the outermost bins."""
PER_UNIT: Final = 8
BINS: Final = int(2 * LIMIT) * PER_UNIT
GROUPS: Final = 15
"""For the calibration error: groups of neighbouring bins, of about equal weight."""
_LEAST: Final = 1e-12


def log_odds(probability: float) -> float:
    """log(p / (1 − p)); within ± 27.6 for probabilities of 0 and 1."""
    p = min(max(probability, _LEAST), 1.0 - _LEAST)
    return log(p / (1.0 - p))


def logistic(odds: float) -> float:
    """The probability of log odds, without overflow."""
    if odds >= 0:
        return 1.0 / (1.0 + exp(-odds))
    e = exp(odds)
    return e / (1.0 + e)


class Quality(NamedTuple):
    """How good the probabilities were that were said before the outcomes were known."""

    examples: float
    """Their number; what has faded counts less than 1."""
    base_rate: float
    """Share of those that came true."""
    auc: float
    """Chance that who did is above who did not, a draw counting half; 0.5 if there are not both."""
    auc_error: float
    """The exact AUC is at most this far off."""
    ece: float
    """Expected calibration error: mean of |said − came true| over GROUPS groups of about equal weight."""
    brier: float
    """Mean of (said − came true)²."""


class Reliability:
    """The histogram. Bound: 3 × BINS numbers."""

    __slots__ = ("negatives", "positives", "said", "squares")

    def __init__(self) -> None:
        self.positives = [0.0] * BINS
        self.negatives = [0.0] * BINS
        self.said = [0.0] * BINS  # sum of the probabilities
        self.squares = 0.0

    def add(self, probability: float, positive: bool) -> None:
        """One outcome of what was said to have this probability.

        Raises:
            ValueError: it is not between 0 and 1 (NaN is not, either).
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"{probability} is no probability")
        at = min(BINS - 1, max(0, int((log_odds(probability) + LIMIT) * PER_UNIT)))
        counts = self.positives if positive else self.negatives
        counts[at] += 1.0
        self.said[at] += probability
        self.squares += (probability - positive) ** 2

    def fade(self, factor: float) -> None:
        """Let everything so far count for less."""
        for counts in (self.positives, self.negatives, self.said):
            counts[:] = [count * factor for count in counts]
        self.squares *= factor

    def merge(self, other: "Reliability") -> None:
        """Add what another one has seen."""
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]
        self.squares += other.squares

    def _columns(self) -> tuple[list[float], list[float], list[float]]:
        return self.positives, self.negatives, self.said

    def quality(self) -> Quality | None:
        """All the figures; None as long as nothing was added.

        The AUC takes those in one bin to be drawn. At worst the bin's pairs are all won or all lost in truth, which
        gives the error. The other figures are exact.
        """
        positives, negatives = sum(self.positives), sum(self.negatives)
        total = positives + negatives
        if total <= 0.0:
            return None
        won = drawn = below = 0.0
        for up, down in zip(self.positives, self.negatives, strict=True):
            won += up * below
            drawn += up * down
            below += down
        pairs = positives * negatives
        auc, error = ((won + drawn / 2) / pairs, drawn / 2 / pairs) if pairs > 0.0 else (0.5, 0.5)
        ece = sum(abs(said - came) * weight for said, came, weight in self.groups()) / total
        return Quality(total, positives / total, auc, error, ece, self.squares / total)

    def groups(self) -> list[tuple[float, float, float]]:
        """The reliability diagram: (mean probability said, share that came true, weight), ascending.

        A group is full with a GROUPS-th of the weight, so there are GROUPS at most, and one for what rounding leaves.
        """
        share = (sum(self.positives) + sum(self.negatives)) / GROUPS
        found: list[tuple[float, float, float]] = []
        said = came = weight = 0.0
        for up, down, told in zip(self.positives, self.negatives, self.said, strict=True):
            said, came, weight = said + told, came + up, weight + up + down
            if weight >= share and weight > 0.0:
                found.append((said / weight, came / weight, weight))
                said = came = weight = 0.0
        return [*found, (said / weight, came / weight, weight)] if weight > 0.0 else found

    def packed(self) -> list[Any]:
        """For a part of something larger; bins that nothing fell into are left out."""
        rows = zip(range(BINS), *self._columns(), strict=True)
        return [self.squares, [row for row in rows if row[1] or row[2] or row[3]]]

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Reliability":
        """The histogram again."""
        made = cls()
        made.squares, rows = packed
        for at, *counts in rows:
            made.positives[at], made.negatives[at], made.said[at] = counts
        return made
