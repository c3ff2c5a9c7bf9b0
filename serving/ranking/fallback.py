"""The levels below a strategy: segment, category, trending, and the static list of the settings."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from serving.catalog.item import Item
from serving.ranking.context import Context
from serving.ranking.plan import Plan, ScopeVoice
from serving.ranking.request import CATEGORY, LEVELS, SEGMENT, TRENDING
from serving.ranking.source import ALL, category_scope, new_scope, segment_scope

COUNT = 100
"""So many items are asked for of each scope."""
NEW_WEIGHT = 0.5
"""A category's newest items beside what is popular there."""


class Level(NamedTuple):
    """One level, as voices like those of a strategy."""

    name: str
    plan: Plan


def levels(context: Context, items: Mapping[str, Item], below: str) -> list[Level]:
    """The levels below one that have anything to ask, best first; the static list is not among them.

    `items`: what the catalog says of the items at hand, for the category of the one that is being looked at.
    """
    found = [
        Level(SEGMENT, Plan(scopes=tuple(_segments(context)))),
        Level(CATEGORY, Plan(scopes=tuple(_categories(context, items)))),
        Level(TRENDING, Plan(scopes=(ScopeVoice(ALL, COUNT, 1.0, "trending", None),))),
    ]
    first = LEVELS.index(below) + 1
    return [level for level in found if level.plan.scopes and level.name in LEVELS[first:]]


def at_hand(context: Context) -> list[str]:
    """Items whose category says what the customer is after: those of the session, the newest first, and of the cart."""
    return list(dict.fromkeys((*(view.item_id for view in context.views[:3]), *context.cart[:2])))


def _segments(context: Context) -> Iterator[ScopeVoice]:
    for place, segment in enumerate(context.segments[: context.settings.segments_used]):
        yield ScopeVoice(segment_scope(segment), COUNT, 1 / (1 + place), "segment", segment)


def _categories(context: Context, items: Mapping[str, Item]) -> Iterator[ScopeVoice]:
    of_items = [items[item_id].category for item_id in at_hand(context) if item_id in items]
    wanted = [category for category in (*of_items, *context.categories) if category is not None]
    for place, category in enumerate(list(dict.fromkeys(wanted))[: context.settings.categories_used]):
        yield ScopeVoice(category_scope(category), COUNT, 1 / (1 + place), "category", category)
        weight, new_ms = NEW_WEIGHT / (1 + place), context.settings.new_ms
        yield ScopeVoice(new_scope(category), COUNT // 5, weight, "new", category, new_ms)
