"""What customers make of being shown an item: a factor for its score.

The job counts the clicks on each item where it was recommended, and the expected ones: its impressions, each by the
chance that its place was looked at (state/impressions/changes.py). With clicks C, expected clicks E, and M the clicks
of all items divided by their expected ones, so that M * E is what the item would have if it were like the mean,

    liking = (C + 10) / (M * E + 10)

is COEC (Zhang, Jones 2007), drawn towards 1 as if there had been 10 more clicks where 10 were to be expected: the mean
of a Poisson rate after a gamma prior of mean 1. So chance has little say (3 clicks where 1 was to be expected: 1.18),
and an item of which nothing is known has exactly 1. Cut off at 1/2 and 2, and to the power of `click_weight`, it is the
factor. More clicks never put an item behind another one, and the same clicks at a worse place do not either.

Counts halve in 30 days, so that of what is shown no more nothing is left in the end but the factor 1.
"""

from collections.abc import Sequence
from typing import Final

from schemas.settings import DAY_MS
from schemas.writes import MOST_POPULAR
from state.impressions.changes import FULL, HALF_LIFE_MS
from state.similar.weights import MANTISSA_BITS

PRIOR: Final = 10.0
"""Clicks, and expected clicks, that are added to those of each item."""
LEAST: Final = 0.5
MOST: Final = 2.0
_ONE_CLICK_LOG2: Final = FULL.bit_length() - 1 + MANTISSA_BITS
"""The logarithm of a click at the epoch."""
_FAR: Final = 64.0
"""Counts of more than 2^64 are none: the clock is far behind the events."""
_MOST_KEPT: Final = 8


class Clicks:
    """The counts of all items, as two lists that say the logarithm to base 2 of each; perhaps only their beginnings."""

    def __init__(
        self,
        shown: Sequence[tuple[str, float]] = (),
        clicked: Sequence[tuple[str, float]] = (),
        whole: int = MOST_POPULAR,
    ) -> None:
        """Expected clicks, and clicks, as (item, log2): all of them, if they are fewer than `whole`, else the most."""
        self._expected, self._clicks = dict(shown), dict(clicked)
        self._is_whole = len(shown) < whole, len(clicked) < whole
        self._factors: dict[tuple[int, float], dict[str, float]] = {}

    def factors(self, now_ms: int, weight: float) -> dict[str, float]:
        """By item what its score is multiplied by, as of the day of `now_ms`; items that are not in it: 1.

        `weight`: the setting `click_weight`. Not to be changed by the caller.
        """
        if not (weight and self._expected and self._clicks):
            return {}
        day = now_ms // DAY_MS
        known = self._factors.get((day, weight))
        if known is None:
            if len(self._factors) >= _MOST_KEPT:
                self._factors.clear()
            likings = self._likings(day * DAY_MS)
            known = {
                item_id: min(max(liking, LEAST), MOST) ** weight for item_id, liking in likings.items() if liking != 1.0
            }
            self._factors[day, weight] = known
        return known

    def _likings(self, now_ms: int) -> dict[str, float]:
        one = _ONE_CLICK_LOG2 + now_ms / HALF_LIFE_MS
        expected = {item_id: 2.0 ** min(log2 - one, _FAR) for item_id, log2 in self._expected.items()}
        clicks = {item_id: 2.0 ** min(log2 - one, _FAR) for item_id, log2 in self._clicks.items()}
        in_all = sum(expected.values())
        if in_all <= 0.0:  # so long ago that it is nothing
            return {}
        mean = sum(count for item_id, count in clicks.items() if item_id in expected) / in_all
        # of what is missing in a list that is not whole so much is known: it is less than all that is in it
        expected_whole, clicks_whole = self._is_whole
        least_expected = 0.0 if expected_whole else min(expected.values())
        least_clicks = 0.0 if clicks_whole else min(clicks.values())
        found = {}
        for item_id in expected.keys() | clicks.keys():
            liking = (clicks.get(item_id, least_clicks) + PRIOR) / (
                mean * expected.get(item_id, least_expected) + PRIOR
            )
            if item_id not in clicks and not clicks_whole:
                liking = min(liking, 1.0)
            if item_id not in expected:
                liking = 1.0 if expected_whole else max(liking, 1.0)
            found[item_id] = liking
        return found
