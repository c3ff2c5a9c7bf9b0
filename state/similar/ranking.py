"""The lists of `score.neighbours`, found quicker: a float decides wherever it can, integers where it cannot.

A score in millionths is estimated as

    scale * value * root(partner) * support / (support + shrink),   scale = 10^6 / sqrt(total),   root = 1 / sqrt(total)

with totals in multiples of 2^reference, so that they fit a float. That is at most a dozen roundings, each off by at
most 2^-53 of the result: below 10^-14 of it in all, and below `_DOUBT` for estimates below `_LARGEST`. Such an estimate
whose distance from the nearest rounding boundary (a half) is `_DOUBT` or more rounds as the exact score does; one in
half a million is nearer, and is computed exactly. A row in which a number is out of a float's range is computed exactly
as a whole.

Nothing is lost where a product gets too small for a float: then the score rounds to 0 anyway.
"""

from collections.abc import Callable
from math import isnan, ldexp, nan, sqrt
from typing import Final, TypeAlias

from state.similar.score import Candidates, Total, neighbours, score_millionths
from state.similar.settings import Relation, SimilarSettings

Listed: TypeAlias = tuple[str, float, int]
"""(item, score, support): what a `Neighbour` is, without the names."""
Lookup: TypeAlias = Callable[[str], Total | None]
"""An item's total that is not in memory; None: unknown."""

_DOUBT: Final = 1e-6
_LARGEST: Final = 1e8
"""In millionths; a score above 1 is rare, one above 100 odd."""
_ABOVE_ALL: Final = 1 << 62
"""Millionths that no score has."""
_FAR: Final = 1_900
"""Exponents, on either side of the reference, whose square roots are within a float's range."""
_SHARES: Final = 1_024
"""Supports whose shares are in a table."""
_BITS: Final = 64


class Ranking:
    """The totals of one relation's items, and the ranking of candidates by them.

    Bound: a total and a float for each item.
    """

    def __init__(self, relation: Relation, settings: SimilarSettings) -> None:
        self._relation, self._settings = relation, settings
        self._shrink = settings.shrink(relation)
        self._shares = {support: self._share(support) for support in range(_SHARES)}
        self._totals: dict[str, Total] = {}
        self._roots: dict[str, float] = {}
        self._reference: int | None = None

    def put(self, item: str, total: Total) -> None:
        """An item's total from now on."""
        number, base = total
        if self._reference is None:
            self._reference = base
        self._totals[item] = total
        self._roots[item] = _root(number, base - self._reference)

    def best(self, found: Candidates, lookup: Lookup) -> list[Listed]:
        """What `score.neighbours` says, to the last bit; totals not in memory are asked for and remembered."""
        known, shares = self._roots, self._shares
        try:
            roots = [known[item] for item in found.items]
        except KeyError:
            roots = [self._root_of(item, lookup) for item in found.items]
        number, base = found.total
        scale = 1e6 * _root(number, (self._reference or 0) - base)
        supports = found.supports
        try:
            parts = [shares[support] for support in supports]
        except KeyError:
            parts = [self._share(support) for support in supports]
        try:
            # in this order a product is too small for a float only if the score is, or too large: then it is inf or nan
            estimates = [
                scale * value * root * part for value, root, part in zip(found.values, roots, parts, strict=True)
            ]
        except OverflowError:
            return self._exactly(found)
        order = sorted(range(len(estimates)), key=estimates.__getitem__, reverse=True)
        if not order or isnan(sum(estimates)) or estimates[order[0]] > _LARGEST:
            return self._exactly(found)
        return self._rounded(found, estimates, order)

    def _rounded(self, found: Candidates, estimates: list[float], order: list[int]) -> list[Listed]:
        """The best of those that round to more than nothing, given their places by estimate."""
        limit = self._settings.neighbours_max
        least = 0.5 - _DOUBT
        if len(order) > limit:  # of equal millionths, the item decides: who is less than one behind may be equal
            least = max(least, estimates[order[limit - 1]] - 1 - _DOUBT)
        items, supports = found.items, found.supports
        best: list[Listed] = []
        last, last_item, sorted_by_now = _ABOVE_ALL, "", True
        for at in order:
            estimate = estimates[at]
            if estimate < least:
                break
            raised = estimate + 0.5
            millionths = int(raised)
            if not _DOUBT < raised - millionths < 1 - _DOUBT:
                millionths = self._score(found, at)
            if millionths:
                item = items[at]
                if millionths >= last and (millionths > last or item < last_item):
                    sorted_by_now = False
                last, last_item = millionths, item
                best.append((item, millionths / 1e6, supports[at]))
        if not sorted_by_now:
            best.sort(key=lambda listed: (-listed[1], listed[0]))
        return best[:limit]

    def _score(self, found: Candidates, at: int) -> int:
        """The exact score of one candidate."""
        total = self._totals.get(found.items[at])
        if total is None:
            return 0
        pair = found.values[at], found.total[1]
        return score_millionths(pair, found.supports[at], found.total, total, self._shrink)

    def _exactly(self, found: Candidates) -> list[Listed]:
        listed = neighbours(found, self._totals.get, self._relation, self._settings)
        return [(item, score, support) for item, score, support in listed]

    def _root_of(self, item: str, lookup: Lookup) -> float:
        """Of a total in memory or the one looked up; 0 if it is unknown: nothing scores with it."""
        if item not in self._roots and (total := lookup(item)) is not None:
            self.put(item, total)
        return self._roots.get(item, 0.0)

    def _share(self, support: int) -> float:
        return support / (support + self._shrink) if support > 0 else 0.0


def _root(number: int, exponent: int) -> float:
    """1 / sqrt(number * 2^exponent); 0 if the number is not positive; nan if it is too far from 1 for a float."""
    if number <= 0:
        return 0.0
    dropped = max(0, number.bit_length() - _BITS)
    exponent += dropped
    if not -_FAR < exponent < _FAR:
        return nan
    odd = exponent & 1
    return ldexp(1 / sqrt((number >> dropped) << odd), -(exponent - odd) // 2)
