"""What a replayed log has written so far, read as serving reads it from Redis."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.keys import POPULAR_BOUGHT, POPULAR_VIEWED
from schemas.settings import MINUTE_MS
from schemas.writes import MOST_POPULAR as MOST_WRITTEN
from serving import popularity
from serving.catalog.item import Item
from serving.evaluation.sorted_set import SortedSet
from serving.popularity import MOST_POPULAR, Ranked
from serving.ranking.memory_source import MemorySource
from serving.ranking.source import ALL, new_scope

MADE_FOR_MS: Final = MINUTE_MS
"""So long of the log's time serves what was made for a category or a segment. A server makes it anew as soon as it has
changed; a log of months would ask for that with nearly every event."""


class ReplaySource(MemorySource):
    """A Redis of its own, with the popularity that `serving.redis_source.RedisSource` makes of what is in there.

    How fresh that is: the sets are as the job has written them up to the event before, with the job's own lag (an item
    hears of a session when it is over, and its count is written when it has moved enough), which serving sees at once,
    as Redis tells its cache. What is made for a category or a segment is up to `MADE_FOR_MS` old by the time
    of the log: `now_ms` must follow it.

    Bound: MOST_WRITTEN items a scope, one entry for every membership, as many lists as there are scopes asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self._written = {scope: SortedSet(MOST_WRITTEN) for scope in (POPULAR_VIEWED, POPULAR_BOUGHT)}
        self._members: dict[str, SortedSet] = {}
        self._newest: dict[str, SortedSet] = {}
        """Of the catalog, by scope; not bounded, as what is listed later than now is not there yet."""
        self._read: dict[str, Ranked] = {}
        """First ones of what is in `_written`, and what is popular with everybody, until something is written."""
        self._made_until_ms: dict[str, tuple[int, Ranked]] = {}

    def put_popular(self, scope: str, item_id: str, log2: float) -> None:
        """The job says how popular an item is; not positive: not at all."""
        if log2 > 0:
            self._written[scope].put(item_id, log2)
        else:
            self._written[scope].take(item_id)
        self._read.clear()

    def put_members(self, customer_id: str, since_ms: Mapping[str, int], others: Iterable[str]) -> None:
        """A customer is in these segments since then, and in no others."""
        for segment, at_ms in since_ms.items():
            self._members.setdefault(segment, SortedSet()).put(customer_id, at_ms)
        for segment in others:
            if segment in self._members:
                self._members[segment].take(customer_id)

    def put_items(self, items: Iterable[Item]) -> None:
        """Add these to the catalog. An item is new from when it is listed, not before; without a time it never is."""
        for item in items:
            super().put_items([item])
            if item.category is not None and item.listed_ms is not None:
                self._newest.setdefault(new_scope(item.category), SortedSet()).put(item.item_id, item.listed_ms)

    def returns(self, customer_id: str) -> bool:
        """Whether somebody has viewed anything before."""
        recent: Mapping[str, Any] = (self.profiles.get(customer_id) or {}).get("recent") or {}
        return bool(recent.get("viewed"))

    async def popular(self, scope: str, count: int) -> Sequence[tuple[str, float]]:
        return self.first(scope, count)

    def first(self, scope: str, count: int) -> Ranked:
        """`popular`, without waiting."""
        if scope == ALL or scope in self._written:
            return self._at_hand(scope)[:count]
        if scope in self._newest:
            return self._newest[scope].first(min(count, MOST_POPULAR), up_to=self.now_ms)
        until_ms, found = self._made_until_ms.get(scope, (self.now_ms, ()))
        if self.now_ms >= until_ms:
            found = self._made(scope)
            self._made_until_ms[scope] = self.now_ms + MADE_FOR_MS, found
        return found[:count]

    def _at_hand(self, scope: str) -> Ranked:
        found = self._read.get(scope)
        if found is None:
            if scope == ALL:
                found = popularity.together(*[self._at_hand(one) for one in (POPULAR_VIEWED, POPULAR_BOUGHT)])
            else:
                found = self._written[scope].first(MOST_POPULAR)
            self._read[scope] = found
        return found

    def _made(self, scope: str) -> Ranked:
        name = scope.partition(":")[2]
        if scope.startswith(popularity.OF_CATEGORY):
            everything = self._at_hand(ALL)[:MOST_POPULAR]
            return popularity.of_category(everything, [self.catalog.get(item_id) for item_id, _ in everything], name)
        if scope.startswith(popularity.OF_SEGMENT) and name in self._members:
            members = self._members[name].first(popularity.MEMBERS)
            return popularity.of_members(self.profiles.get(customer) for customer, _ in members)[:MOST_POPULAR]
        return ()
