"""What is trending while a log is replayed: counts of views and purchases that halve with time."""

from collections import defaultdict
from collections.abc import Iterable
from heapq import nlargest

from schemas.settings import DAY_MS
from serving.ranking.source import ALL, category_scope, segment_scope

HALF_LIFE_MS = 7 * DAY_MS
MOST = 200
STALE_AFTER = 100
"""So many interactions later a scope's order is made anew."""
VIEW, CART, ORDER = 1.0, 3.0, 8.0
"""What interactions weigh, as in `engagement`."""
_MOST_HALVINGS = 256
"""So many half-lives after it began counting begins anew: a float holds no count beyond 2 ** 1024."""


class Trending:
    """Decayed counts by scope (forward decay: Cormode et al., ICDE 2009). Bound: scopes times items."""

    def __init__(self, half_life_ms: int = HALF_LIFE_MS) -> None:
        self._half_life_ms = half_life_ms
        self._start_ms: int | None = None
        self._counts: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._sorted: dict[str, tuple[int, list[tuple[str, float]]]] = {}
        self._seen = 0

    def add(self, item_id: str, category: str | None, segments: Iterable[str], weight: float, at_ms: int) -> None:
        """An interaction of a customer who is in these segments."""
        if self._start_ms is None:
            self._start_ms = at_ms
        if at_ms - self._start_ms > _MOST_HALVINGS * self._half_life_ms:
            self._begin_anew(at_ms)
        amount = weight * 2.0 ** ((at_ms - self._start_ms) / self._half_life_ms)
        self._seen += 1
        scopes = [ALL, *map(segment_scope, segments)]
        for scope in scopes if category is None else [*scopes, category_scope(category)]:
            self._counts[scope][item_id] += amount

    def _begin_anew(self, at_ms: int) -> None:
        """Count from later on: what was counted so far weighs as much less, exactly, as a power of two does."""
        assert self._start_ms is not None  # noqa: S101  (for types)
        halvings = (at_ms - self._start_ms) // self._half_life_ms
        self._start_ms += halvings * self._half_life_ms
        factor = 0.5 ** min(halvings, 1_074)
        for counts in self._counts.values():
            for item_id in counts:
                counts[item_id] *= factor

    def top(self, scope: str, count: int) -> list[tuple[str, float]]:
        """The first items of a scope, ties by item id."""
        made, listed = self._sorted.get(scope, (-STALE_AFTER, []))
        if self._seen - made >= STALE_AFTER and scope in self._counts:
            listed = nlargest(MOST, self._counts[scope].items(), key=lambda entry: (entry[1], entry[0]))
            self._sorted[scope] = self._seen, listed
        return listed[:count]

    def plain_counts(self) -> dict[str, float]:
        """Of all items, as they are weighted now; for the measure of popularity bias."""
        return dict(self._counts.get(ALL, {}))
