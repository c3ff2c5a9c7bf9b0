"""A source in memory: for tests, for replays of logs, and for a shop small enough."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.keys import POPULAR_CLICKED, POPULAR_SHOWN
from serving.catalog.item import Item
from serving.ranking.clicks import Clicks
from serving.ranking.source import Neighbour, Neighbours


class KeptNeighbours(Neighbours):
    """A list as it is."""

    __slots__ = ("_listed",)

    def __init__(self, listed: Iterable[Neighbour]) -> None:
        super().__init__()
        self._listed = tuple(listed)

    def listed(self) -> Sequence[Neighbour]:
        """The list."""
        return self._listed


class MemorySource:
    """What ranking reads, in dictionaries that may be changed at any time between two answers."""

    def __init__(self) -> None:
        self.profiles: dict[str, Mapping[str, Any]] = {}
        self.lists: dict[str, dict[str, Sequence[Neighbour]]] = {}
        """Relation: item: neighbours, best first."""
        self.scopes: dict[str, Sequence[tuple[str, float]]] = {}
        """Scope: (item, score), highest score first."""
        self.catalog: dict[str, Item] = {}
        self._counts: dict[str, dict[str, float]] = {}
        self._clicks: Clicks | None = None

    def put_similar(self, relation: str, item_id: str, neighbours: Iterable[tuple[str, float, int]]) -> None:
        """An item's list from now on; an empty one takes it away."""
        listed = KeptNeighbours(Neighbour(*neighbour) for neighbour in neighbours)
        lists = self.lists.setdefault(relation, {})
        if listed:
            lists[item_id] = listed
        else:
            lists.pop(item_id, None)

    def put_count(self, scope: str, item_id: str, log2: float) -> None:
        """How often an item was shown, or clicked, from now on; not positive: never."""
        counts = self._counts.setdefault(scope, {})
        if log2 > 0:
            counts[item_id] = log2
        else:
            counts.pop(item_id, None)
        self._clicks = None

    def put_items(self, items: Iterable[Item]) -> None:
        """Add these to the catalog, in place of what was said of them."""
        self.catalog.update((item.item_id, item) for item in items)

    async def profile(self, customer_id: str) -> Mapping[str, Any] | None:
        return self.profiles.get(customer_id)

    async def similar(self, relation: str, item_ids: Sequence[str]) -> Sequence[Sequence[Neighbour]]:
        lists = self.lists.get(relation, {})
        return [lists.get(item_id, ()) for item_id in item_ids]

    async def popular(self, scope: str, count: int) -> Sequence[tuple[str, float]]:
        return self.scopes.get(scope, ())[:count]

    async def items(self, item_ids: Sequence[str]) -> Sequence[Item | None]:
        return [self.catalog.get(item_id) for item_id in item_ids]

    def clicks(self) -> Clicks:
        if self._clicks is None:
            shown, clicked = (tuple(self._counts.get(scope, {}).items()) for scope in (POPULAR_SHOWN, POPULAR_CLICKED))
            self._clicks = Clicks(shown, clicked, whole=sys.maxsize)
        return self._clicks
