"""What a customer contributes to the similar items: the definition, as a pure function of a ledger.

viewed-with. In each session of the ledger its distinct products stand in the order in which the session first saw
them (seeing one again changes nothing). Two at distance d <= len(near) make a pair of `near[d - 1]` times the weight of
the later of their two times, support 1. Each product of the session counts 64 times the weight of its time, support 1.

bought-with. Each distinct live product of the ledger counts once, by its newest live purchase: 64 times the weight of
that time, support 1. Two products whose newest live purchases are of the same order make a pair of `same_order` times
that weight; of two orders at most `bought_span_ms` apart, of `other_order` times the weight of the later; support 1.

Nothing here depends on when or in what order the events arrived. `changes.py` computes the difference of two ledgers'
contributions without computing either; this is what it must equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import cast

from state.similar.ledger import Bought, Viewed
from state.similar.settings import FULL, VIEWED_WITH, Relation, SimilarSettings
from state.similar.weights import weight


@dataclass(slots=True)
class Contribution:
    """What a customer adds to one item; values are absolute (relative to base exponent 0)."""

    value: int = 0
    """Sum of the item's own counts."""
    support: int = 0
    """How many counts that are."""
    partners: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each partner: sum of the pair's counts, and their number."""


def contributions(
    relation: Relation, ledger: Sequence[Viewed] | Sequence[Bought], settings: SimilarSettings
) -> dict[str, Contribution]:
    """Everything that one ledger of one customer contributes, by item."""
    if relation == VIEWED_WITH:
        return _viewed(cast("Sequence[Viewed]", ledger), settings)
    return _bought(cast("Sequence[Bought]", ledger), settings)


def _viewed(ledger: Sequence[Viewed], settings: SimilarSettings) -> dict[str, Contribution]:
    sessions: dict[int, dict[str, int]] = {}
    for time_ms, session, product in ledger:
        sessions.setdefault(session, {}).setdefault(product, time_ms)
    result: dict[str, Contribution] = {}
    for first_views in sessions.values():
        for product, time_ms in first_views.items():
            _count(result, product, FULL * _absolute(time_ms, settings.viewed_half_life_ms))
        for (i, (a, a_ms)), (j, (b, b_ms)) in combinations(enumerate(first_views.items()), 2):
            if j - i <= len(settings.near):
                later = _absolute(max(a_ms, b_ms), settings.viewed_half_life_ms)
                _pair(result, a, b, settings.near[j - i - 1] * later)
    return result


def _bought(ledger: Sequence[Bought], settings: SimilarSettings) -> dict[str, Contribution]:
    bought = {product: (time_ms, order) for time_ms, order, product, live in ledger if live}
    result: dict[str, Contribution] = {}
    for product, (time_ms, _) in bought.items():
        _count(result, product, FULL * _absolute(time_ms, settings.bought_half_life_ms))
    for (a, (a_ms, a_order)), (b, (b_ms, b_order)) in combinations(bought.items(), 2):
        later = _absolute(max(a_ms, b_ms), settings.bought_half_life_ms)
        if a_order == b_order:
            _pair(result, a, b, settings.same_order * later)
        elif abs(a_ms - b_ms) <= settings.bought_span_ms:
            _pair(result, a, b, settings.other_order * later)
    return result


def _absolute(time_ms: int, half_life_ms: int) -> int:
    mantissa, exponent = weight(time_ms, half_life_ms)
    return mantissa << exponent


def _count(result: dict[str, Contribution], product: str, value: int) -> None:
    item = result.setdefault(product, Contribution())
    item.value += value
    item.support += 1


def _pair(result: dict[str, Contribution], a: str, b: str, value: int) -> None:
    for item, partner in ((a, b), (b, a)):
        partners = result[item].partners
        known, support = partners.get(partner, (0, 0))
        partners[partner] = (known + value, support + 1)
