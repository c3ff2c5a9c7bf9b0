"""A small shop in memory, and ways to break what is read of it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from serving.catalog.item import Item
from serving.ranking.engine import Recommender
from serving.ranking.memory_source import MemorySource
from serving.ranking.request import Answer, Request
from serving.ranking.settings import RankingSettings
from serving.ranking.shop_rules_file import parse_shop_rules
from serving.ranking.source import UNREAD
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH

NOW_MS = 1_772_445_600_000
"""2026-03-02T10:00:00Z, a Monday."""
MINUTE_MS, DAY_MS = 60_000, 86_400_000


class BrokenSource(MemorySource):
    """Parts named in `broken` raise; those in `slow` never answer; of items in `unread` nobody knows anything."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.slow: set[str] = set()
        self.unread: set[str] = set()
        self.asked: list[tuple[str, Any]] = []

    async def _check(self, part: str, what: Any) -> None:
        self.asked.append((part, what))
        if part in self.broken:
            raise ConnectionError(part)
        if part in self.slow:
            await asyncio.sleep(3600)

    async def profile(self, customer_id: str) -> Any:
        await self._check("profile", customer_id)
        return await super().profile(customer_id)

    async def similar(self, relation: str, item_ids: Sequence[str]) -> Any:
        await self._check("similar", (relation, tuple(item_ids)))
        return await super().similar(relation, item_ids)

    async def popular(self, scope: str, count: int) -> Any:
        await self._check("popular", scope)
        return await super().popular(scope, count)

    async def items(self, item_ids: Sequence[str]) -> Any:
        await self._check("items", tuple(item_ids))
        found = await super().items(item_ids)
        return [UNREAD if item_id in self.unread else item for item_id, item in zip(item_ids, found, strict=True)]


def shop() -> BrokenSource:
    """Shoes s0…s9 and hats h0…h9; each is viewed with the two after it, and bought with the one of the other kind."""
    source = BrokenSource()
    for kind, other in (("s", "h"), ("h", "s")):
        for number in range(10):
            after = [f"{kind}{(number + step) % 10}" for step in (1, 2)]
            source.put_similar(VIEWED_WITH, f"{kind}{number}", [(after[0], 0.4, 40), (after[1], 0.2, 20)])
            source.put_similar(BOUGHT_WITH, f"{kind}{number}", [(f"{other}{number}", 0.3, 30)])
    source.scopes["all"] = [(f"t{number}", 100.0 - number) for number in range(20)]
    source.scopes["segment:vip"] = [("v0", 9.0), ("v1", 8.0)]
    source.scopes["category:shoes"] = [("s9", 5.0), ("c1", 4.0)]
    source.scopes["new:shoes"] = [("n0", float(NOW_MS - DAY_MS))]
    source.put_items(
        Item(item_id=f"{kind}{number}", category=category, tags=("sale",) if number % 2 else ())
        for kind, category in (("s", "shoes"), ("h", "hats"))
        for number in range(10)
    )
    return source


def profile(
    viewed: Iterable[tuple[str, int]] = (),
    cart: Iterable[str] = (),
    bought: Iterable[tuple[str, int]] = (),
    segments: Iterable[str] = (),
    categories: Iterable[str] = (),
    **features: Any,
) -> dict[str, Any]:
    """A profile; `viewed` and `bought` with how long ago (ms), newest first. The session began an hour ago."""
    return {
        "version": 1,
        "as_of_ms": NOW_MS,
        "customer_id": "c",
        "features": {"top_categories": list(categories), **features},
        "segments": {name: place for place, name in enumerate(segments)},
        "recent": {
            "viewed": [[item_id, NOW_MS - ago_ms] for item_id, ago_ms in viewed],
            "cart": dict.fromkeys(cart, 1),
            "bought": [[item_id, NOW_MS - ago_ms] for item_id, ago_ms in bought],
            "session_ms": NOW_MS - 60 * MINUTE_MS,
        },
    }


def ask(source: MemorySource, rules: str | None = None, settings: dict[str, Any] | None = None, **asked: Any) -> Answer:
    """One question; of customer `c`, now, if nothing else is said."""
    parsed = None if rules is None else parse_shop_rules(rules)
    recommender = Recommender(RankingSettings(**(settings or {})), source, parsed)
    return asyncio.run(recommender.recommend(Request(**{"customer_id": "c", "now_ms": NOW_MS, **asked})))


def names(answer: Answer) -> list[str]:
    """The items of an answer."""
    return [item.item_id for item in answer.items]
