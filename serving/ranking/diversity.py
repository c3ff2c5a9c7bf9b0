"""Order with variety: a share of the places at most for one category, and no two alike where others are as good.

`spread` is a cap. `mmr` is Maximal Marginal Relevance (Carbonell, Goldstein: SIGIR 1998): the next item is the one with
the highest (1 - d) * relevance - d * (largest likeness to one before it).
"""

from collections.abc import Mapping, Sequence
from math import ceil

from serving.catalog.item import Item

_SAME_CATEGORY = 0.5


def spread(
    before: Sequence[str], ranked: Sequence[str], items: Mapping[str, Item], limit: int, share: float
) -> list[str]:
    """The ranked items in their order, but those that are too many of a category after all others.

    Args:
        before: items that have their places already, and count.
        ranked: those to be put in order.
        items: what is known of them; items whose category is unknown are never too many.
        limit: places in all.
        share: of them that one category may have at most; a place at least.
    """
    kept, later = capped(before, ranked, items, limit, share)
    return kept + later


def capped(
    before: Sequence[str], ranked: Sequence[str], items: Mapping[str, Item], limit: int, share: float
) -> tuple[list[str], list[str]]:
    """Those that `spread` keeps where they are, and those that it puts after all others; its arguments."""
    if share >= 1:
        return list(ranked), []
    most = max(1, ceil(share * limit - 1e-9))
    taken: dict[str, int] = {}
    kept: list[str] = []
    later: list[str] = []
    for item_id in before:
        if (category := _category(items.get(item_id))) is not None:
            taken[category] = taken.get(category, 0) + 1
    for item_id in ranked:
        if (category := _category(items.get(item_id))) is not None:
            taken[category] = taken.get(category, 0) + 1
        (later if category is not None and taken[category] > most else kept).append(item_id)
    return kept, later


def _category(item: Item | None) -> str | None:
    return None if item is None else item.category


def mmr(
    ranked: Sequence[str], scores: Mapping[str, float], items: Mapping[str, Item], limit: int, weight: float
) -> list[str]:
    """The first `limit` places by marginal relevance (ties: as they were ranked), the rest as it was."""
    if weight <= 0 or not ranked:
        return list(ranked)
    highest = max(scores[item_id] for item_id in ranked) or 1.0
    left = list(ranked)
    likeness = dict.fromkeys(left, 0.0)
    chosen: list[str] = []
    while left and len(chosen) < limit:
        # max takes the first of equals
        best = max(left, key=lambda one: (1 - weight) * scores[one] / highest - weight * likeness[one])
        left.remove(best)
        chosen.append(best)
        for item_id in left:
            likeness[item_id] = max(likeness[item_id], alike(items.get(best), items.get(item_id)))
    return chosen + left


def alike(one: Item | None, other: Item | None) -> float:
    """0 to 1: half for the category, half for the share of tags in common (Jaccard)."""
    if one is None or other is None:
        return 0.0
    same = _SAME_CATEGORY if one.category is not None and one.category == other.category else 0.0
    tags, others = set(one.tags), set(other.tags)
    return same + ((1 - _SAME_CATEGORY) * len(tags & others) / len(tags | others) if tags and others else 0.0)
