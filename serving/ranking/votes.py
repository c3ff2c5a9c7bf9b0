"""Scores from voices: each list of neighbours shares out its weight, and an item gets the sum of its shares.

    strength(a, b) = sqrt(score(a, b) * support(a, b))
    share(a, b)    = strength(a, b) / sum of the strengths in a's list
    score(b)       = sum over voices a of weight(a) * share(a, b)

A list's score alone (a cosine) prefers rare pairs, its support alone what everybody views; their geometric mean is
between the two, and a share of the list's sum reads as "of those who went on from a, this part went to b". With weights
that fall with the place in the session this is what V-SKNN (Ludewig, Jannach 2018) and STAN (Garg et al. 2019) take
from whole sessions: later items of a session weigh more. docs/recommendations.md has what it was compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.settings import DAY_MS
from serving.ranking.plan import Heard, ListVoice, Plan, ScopeVoice
from serving.ranking.request import Reason

_TEXTS = {
    "viewed": "because you viewed {about}",
    "cart": "goes with {about} in your cart",
    "bought": "because you bought {about}",
    "segment": "popular with customers like you ({about})",
    "category": "popular in {about}",
    "new": "new in {about}",
    "trending": "popular now",
    "returned": "you viewed it just now",
    "static": "chosen by the shop",
    "rule": "placed by the shop ({about})",
}
MOST_REASONS = 3
LEAST_AMOUNT = 0.002
"""Less than this that a list would give an item is not counted: it decides nothing, and weak voices are many."""
_NO_SHARES: Final[Mapping[str, float]] = {}
_NEW_HALF_LIFE_MS = 14 * DAY_MS


def reason(kind: str, about: str | None) -> Reason:
    """A reason with its sentence."""
    return Reason(kind, about, _TEXTS[kind].format(about=about))


def count_votes(plan: Plan, heard: Heard, now_ms: int) -> dict[str, float]:
    """The score of every item that a voice names."""
    scores: dict[str, float] = {}
    so_far = scores.get  # quicker than a defaultdict: most items have one voice alone
    for voice in plan.lists:
        weight = voice.weight
        for item_id, share in list_shares(voice, heard).items():
            amount = weight * share
            if amount < LEAST_AMOUNT:
                break  # those behind it give less
            scores[item_id] = so_far(item_id, 0.0) + amount
    for scope in plan.scopes:
        weight = scope.weight
        for item_id, share in scope_shares(scope, heard, now_ms).items():
            scores[item_id] = so_far(item_id, 0.0) + weight * share
    for item_id, weight in plan.own:
        scores[item_id] = so_far(item_id, 0.0) + weight
    return scores


def list_shares(voice: ListVoice, heard: Heard) -> Mapping[str, float]:
    """What part of the voice's weight each item of its list gets, largest first."""
    return heard.lists.get((voice.relation, voice.item_id), _NO_SHARES)


def scope_shares(voice: ScopeVoice, heard: Heard, now_ms: int) -> Mapping[str, float]:
    """What part of the voice's weight each item of a scope that was heard gets."""
    shares = heard.scope_shares.get(voice.scope)
    if shares is None:
        shares = _shares_of_scope(voice, heard.scopes.get(voice.scope) or (), now_ms)
        heard.scope_shares[voice.scope] = shares
    return shares


def _shares_of_scope(voice: ScopeVoice, listed: Sequence[tuple[str, float]], now_ms: int) -> dict[str, float]:
    """New ones by age, others by their score."""
    if voice.kind == "new":
        aged = ((item_id, max(0.0, now_ms - at_ms)) for item_id, at_ms in listed)
        return {item_id: 0.5 ** (age_ms / _NEW_HALF_LIFE_MS) for item_id, age_ms in aged if age_ms <= voice.for_ms}
    most = listed[0][1] if listed else 0.0
    return {item_id: score / most for item_id, score in listed} if most > 0 else {}


def reasons_of(items: Iterable[str], plan: Plan, heard: Heard, now_ms: int) -> dict[str, tuple[Reason, ...]]:
    """Why each of these items has its score: the weightiest voices first, at most `MOST_REASONS`."""
    given: dict[str, list[tuple[float, str, str | None]]] = {item_id: [] for item_id in items}
    for voice in plan.lists:
        share_of, weight = list_shares(voice, heard).get, voice.weight
        for item_id, amounts in given.items():
            amount = weight * share_of(item_id, 0.0)
            if amount >= LEAST_AMOUNT:  # others have given nothing
                amounts.append((-amount, voice.kind, voice.item_id))
    for scope in plan.scopes:
        share_of, weight = scope_shares(scope, heard, now_ms).get, scope.weight
        for item_id, amounts in given.items():
            if share := share_of(item_id):
                amounts.append((-weight * share, scope.kind, scope.about))
    for item_id, weight in plan.own:
        if item_id in given:
            given[item_id].append((-weight, "returned", item_id))
    return {item_id: _told(amounts) for item_id, amounts in given.items()}


def _told(amounts: list[tuple[float, str, str | None]]) -> tuple[Reason, ...]:
    """Each (kind, about) once."""
    amounts.sort()  # of one kind all are about something, or none is
    distinct = dict.fromkeys((kind, about) for _, kind, about in amounts)
    return tuple(reason(kind, about) for kind, about in list(distinct)[:MOST_REASONS])
