"""Reads from a source such that what fails or takes too long is missing, and nothing else is."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar, cast

from serving.catalog.item import Item
from serving.ranking.plan import Heard, Plan
from serving.ranking.source import UNREAD, Incomplete, Neighbour, Ready, Source, Unread, shares_of

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
        waiting = []
        for relation, wanted in asked.items():
            item_ids = list(wanted)
            lists = self._source.similar(relation, item_ids)
            if isinstance(lists, Ready):
                _keep_lists(heard, relation, item_ids, lists.value)
            else:
                waiting.append(self._similar(relation, item_ids, lists, heard))
        for name, count in counts.items():
            listed = self._source.popular(name, count)
            if isinstance(listed, Ready):
                heard.scopes[name] = listed.value
            else:
                waiting.append(self._popular(name, listed, heard))
        await _together(waiting)

    async def _similar(
        self, relation: str, item_ids: Sequence[str], reading: Awaitable[Sequence[Sequence[Neighbour]]], heard: Heard
    ) -> None:
        _keep_lists(heard, relation, item_ids, await self._part("similar", reading, ()))

    async def _popular(self, scope: str, reading: Awaitable[Sequence[tuple[str, float]]], heard: Heard) -> None:
        heard.scopes[scope] = await self._part("popular", reading, ())

    async def _part(self, name: str, reading: Awaitable[T], otherwise: T) -> T:
        if isinstance(reading, Ready):
            return cast("T", reading.value)
        try:
            if self._timeout_s is None:
                return await reading
            async with asyncio.timeout(self._timeout_s):
                return await reading
        except Exception:  # noqa: BLE001 - whatever it is, the answer goes on without this part and says so
            self.failed[name] = None
            return otherwise


def _keep_lists(heard: Heard, relation: str, item_ids: Sequence[str], lists: Sequence[Sequence[Neighbour]]) -> None:
    """What a source gave, as far as it gave anything."""
    for item_id, neighbours in zip(item_ids, lists, strict=False):
        heard.lists[relation, item_id] = shares_of(neighbours)


async def _together(waiting: Sequence[Awaitable[None]]) -> None:
    """All of them, at once if they are several; a single one needs no task of its own."""
    if len(waiting) == 1:
        await waiting[0]
    elif waiting:
        await asyncio.gather(*waiting)
