"""What is popular, made of what the job writes: counts of views and purchases of every item, and profiles.

The job scores the scopes `viewed` and `bought` by the logarithm to base 2 of a count in which each view, or purchase,
halves with time (docs/similar-items.md): one more is twice as popular. For the scope `all` both are read as shares of
their first one and added up. A category's scope is what of that the catalog puts into it. A segment's is counted from
what its newest members did last.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from schemas.settings import DAY_MS
from serving.catalog.item import Item
from serving.ranking.source import Unread

OF_CATEGORY, OF_SEGMENT = "category:", "segment:"
"""How the other scopes begin."""
MOST_POPULAR: Final = 200
"""So many of a scope are read and kept."""
MEMBERS: Final = 200
"""So many of a segment are asked."""
OF_EACH: Final = 50
"""So many of the newest views and purchases of each of them count."""
PURCHASE: Final = 4.0
"""What a purchase counts beside a view."""
AT_ONCE: Final = 20
"""So many members are one part."""
HALF_LIFE_MS: Final = 7 * DAY_MS

Ranked = tuple[tuple[str, float], ...]


def together(*lists: Sequence[tuple[str, float]]) -> Ranked:
    """Lists of (item, log2 of a count), the largest first, as one: the mean of an item's shares of each first one."""
    scores: defaultdict[str, float] = defaultdict(float)
    given = [listed for listed in lists if listed]
    for listed in given:
        most = listed[0][1]
        for item_id, score in listed:
            scores[item_id] += 2.0 ** (score - most) / len(given)
    return ranked(scores)


def of_category(
    everything: Sequence[tuple[str, float]], items: Iterable[Item | Unread | None], category: str
) -> Ranked:
    """What of a list the catalog puts into a category; `items`: what it says of each entry."""
    pairs = zip(everything, items, strict=True)
    return tuple(entry for entry, item in pairs if isinstance(item, Item) and item.category == category)


T = TypeVar("T")


def parts(members: Sequence[T]) -> Iterator[list[T]]:
    """Some at a time: to unpack and count all takes as long as to answer some requests."""
    return (list(members[begin : begin + AT_ONCE]) for begin in range(0, len(members), AT_ONCE))


class OfMembers:
    """What customers viewed and bought last, each view or purchase by its age beside the newest of all."""

    def __init__(self) -> None:
        self._newest_ms = 0
        self._scores: defaultdict[str, float] = defaultdict(float)
        """By age beside the newest so far."""

    def add(self, profiles: Iterable[Mapping[str, Any] | None]) -> None:
        """One of `parts`: how they are parted decides the last digits of sums."""
        seen = [
            (item_id, at_ms, weight)
            for profile in profiles
            for kind, weight in (("viewed", 1.0), ("bought", PURCHASE))
            for item_id, at_ms in (((profile or {}).get("recent") or {}).get(kind) or ())[:OF_EACH]
        ]
        newest_ms = max((at_ms for _, at_ms, _ in seen), default=0)
        if newest_ms > self._newest_ms:
            aged = 2.0 ** ((self._newest_ms - newest_ms) / HALF_LIFE_MS)
            self._newest_ms = newest_ms
            for item_id in self._scores:
                self._scores[item_id] *= aged
        for item_id, at_ms, weight in seen:
            self._scores[item_id] += weight * 2.0 ** ((at_ms - self._newest_ms) / HALF_LIFE_MS)

    def ranked(self) -> Ranked:
        """All of it."""
        return ranked(self._scores)


def of_members(profiles: Iterable[Mapping[str, Any] | None]) -> Ranked:
    """What these customers viewed and bought last (`OfMembers`)."""
    counted = OfMembers()
    for some in parts(tuple(profiles)):
        counted.add(some)
    return counted.ranked()


def ranked(scores: Mapping[str, float]) -> Ranked:
    """Highest score first, of equal ones by id."""
    return tuple(sorted(scores.items(), key=lambda one: (-one[1], one[0])))
