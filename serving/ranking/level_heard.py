"""Of which level of fallback items are: that of the best voice which gave one of them something."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from serving.ranking.context import Context
from serving.ranking.plan import Heard, ListVoice, Plan
from serving.ranking.request import CATEGORY, LEVELS, PERSONAL, SEGMENT, SESSION, STATIC, TRENDING
from serving.ranking.votes import LEAST_AMOUNT, list_shares, scope_shares

_PLACES: Final = {level: place for place, level in enumerate(LEVELS)}
_OF_SCOPES: Final = {"segment": SEGMENT, "category": CATEGORY, "new": CATEGORY, "trending": TRENDING}


def level_heard(item_ids: AbstractSet[str], best: str, plan: Plan, heard: Heard, context: Context) -> str:
    """The best level among the voices that gave something to one of these items, but not above `best`.

    What the profile tells of is a personal voice, though the request may say it again; what the request alone says is
    one of the session. What is popular in a segment, or new in a category, is of the level that is named after it.
    """
    if _PLACES[best] > _PLACES[SESSION]:
        return best  # of others, whoever gave it
    found = STATIC
    for level in _levels(item_ids, plan, heard, context):
        found = min(found, level, key=_PLACES.__getitem__)
        if _PLACES[found] <= _PLACES[best]:
            return best
    return found


def is_of_others(level: str, best: str) -> bool:
    """Whether nothing but what is popular with others has given what should have been an answer to one customer."""
    return _PLACES[best] <= _PLACES[SESSION] < _PLACES[level]


def _levels(item_ids: AbstractSet[str], plan: Plan, heard: Heard, context: Context) -> Iterator[str]:
    for voice in plan.lists:
        if _gives(voice, heard, item_ids):
            yield PERSONAL if context.remembers(voice.kind, voice.item_id) else SESSION
    for item_id, _ in plan.own:
        if item_id in item_ids:
            yield PERSONAL if context.remembers("viewed", item_id) else SESSION
    for scope in plan.scopes:
        shares = scope_shares(scope, heard, context.request.now_ms)
        if any(share > 0 and item_id in item_ids for item_id, share in shares.items()):
            yield _OF_SCOPES[scope.kind]


def _gives(voice: ListVoice, heard: Heard, item_ids: AbstractSet[str]) -> bool:
    for item_id, share in list_shares(voice, heard).items():
        if voice.weight * share < LEAST_AMOUNT:
            return False  # those behind it are given less
        if item_id in item_ids:
            return True
    return False
