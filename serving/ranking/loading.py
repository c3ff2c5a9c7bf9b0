"""Reads from a source such that what fails or takes too long is missing, and nothing else is."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from serving.catalog.item import Item
from serving.ranking.plan import Heard, Plan
from serving.ranking.source import UNREAD, Incomplete, Source, Unread

T = TypeVar("T")


class Loading:
    """What is read for one answer. `failed` names the parts that could not be."""

    def __init__(self, source: Source, part_timeout_ms: int) -> None:
        self._source = source
        self._timeout_s = part_timeout_ms / 1000 or None
        self.failed: dict[str, None] = {}  # in the order in which they failed
        self.unread: set[str] = set()
        """Items of which nobody could say what the catalog says."""

    async def profile(self, customer_id: str) -> Mapping[str, Any] | None:
        """The customer's profile; None as well if it cannot be read."""
        found = await self._part("profile", self._source.profile(customer_id), None)
        if isinstance(found, Incomplete):
            self.failed["profile"] = None
        return found

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """What the catalog says, of items that it knows; those it could not be asked about are in `unread`."""
        if not item_ids:
            return {}
        nothing: Sequence[Item | Unread | None] = [UNREAD] * len(item_ids)
        found = await self._part("items", self._source.items(item_ids), nothing)
        known = {}
        for item_id, item in zip(item_ids, found, strict=True):
            if item is UNREAD:
                self.unread.add(item_id)
                self.failed["items"] = None
            elif item is not None:
                known[item_id] = item
        return known

    async def hear(self, plan: Plan, heard: Heard) -> None:
        """What a plan wants, so far as it is not in `heard` yet: one question for each relation and scope, at once."""
        asked: dict[str, dict[str, None]] = {}
        for voice in plan.lists:
            if (voice.relation, voice.item_id) not in heard.lists:
                asked.setdefault(voice.relation, {})[voice.item_id] = None
        counts: dict[str, int] = {}
        for scope in plan.scopes:
            if scope.scope not in heard.scopes:
                counts[scope.scope] = max(scope.most, counts.get(scope.scope, 0))
        waiting = [
            *(self._similar(relation, list(item_ids), heard) for relation, item_ids in asked.items()),
            *(self._popular(scope, count, heard) for scope, count in counts.items()),
        ]
        await _together(waiting)

    async def _similar(self, relation: str, item_ids: Sequence[str], heard: Heard) -> None:
        found = await self._part("similar", self._source.similar(relation, item_ids), ())
        for item_id, neighbours in zip(item_ids, found, strict=False):
            heard.lists[relation, item_id] = neighbours

    async def _popular(self, scope: str, count: int, heard: Heard) -> None:
        heard.scopes[scope] = await self._part("popular", self._source.popular(scope, count), ())

    async def _part(self, name: str, reading: Awaitable[T], otherwise: T) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reading
        except Exception:  # noqa: BLE001 - whatever it is, the answer goes on without this part and says so
            self.failed[name] = None
            return otherwise


async def _together(waiting: Iterable[Awaitable[None]]) -> None:
    """All of them, at once if they are several; a single one needs no task of its own."""
    several = list(waiting)
    if len(several) == 1:
        await several[0]
    elif several:
        await asyncio.gather(*several)
