"""From sums to a list of neighbours: cosine over decayed counts, with doubt about rare pairs.

    score(a, b) = pair(a, b) / sqrt(total(a) * total(b))  *  support / (support + shrink)

Decay by age divides pair and totals by the same factor, so it cancels, and the score needs no "now". The second
factor pulls pairs seen only a few times towards 0: a pair of support `shrink` counts half. A score is rounded to six
decimals (half up) with integers alone, so it is the same on every machine and in every order of events. It is at
least 0 and, but for a factor 2^(gap / 2 half-lives) by the time between the two interactions of a pair, at most 1.
"""

from collections.abc import Callable
from math import isqrt
from typing import Any, Final, NamedTuple, TypeAlias

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.row import ItemRow
from state.similar.settings import Relation, SimilarSettings
from state.similar.wide import narrow, widen, widen_all

Total: TypeAlias = tuple[int, int]
"""An item's own count as (number, base): number * 2^base."""
_VERSION: Final = 1
_MILLIONS: Final = 4 * 10**12
"""(2 * 10^6)^2: scores are computed in half millionths, then rounded."""


class Neighbour(NamedTuple):
    """One entry of a published list."""

    item: str
    score: float
    support: int


class Candidates(NamedTuple):
    """The part of a row that is scored: columns, by value from the largest, then by item."""

    total: Total
    items: list[str]
    values: list[int]
    """In multiples of 2^base, base that of the total."""
    supports: list[int]
    left_out: int
    """Partners of smaller sums that are not scored."""

    @property
    def partners(self) -> list[tuple[str, int, int]]:
        """(item, value, support) of each."""
        return list(zip(self.items, self.values, self.supports, strict=True))


def candidates(row: ItemRow, limit: int) -> Candidates:
    """The partners of the `limit` largest sums; ties go to the item id that sorts first."""
    partners, values, supports = row.columns()
    order = sorted(range(len(partners)), key=values.__getitem__, reverse=True)  # of equal sums the first stays first
    best = order[:limit]
    return Candidates(
        row.total,
        [partners[at] for at in best],
        [values[at] for at in best],
        [supports[at] for at in best],
        len(order) - len(best),
    )


def pack_candidates(found: Candidates) -> bytes:
    """As versioned bytes."""
    total, base = found.total
    flat: list[Any] = [None] * (3 * len(found.items))
    flat[0::3], flat[1::3], flat[2::3] = found.items, found.values, found.supports
    try:
        packed: bytes = pack([_VERSION, narrow(total), base, found.left_out, flat])
    except OverflowError:
        flat[1::3] = map(narrow, found.values)
        packed = pack([_VERSION, narrow(total), base, found.left_out, flat])
    return packed


def unpack_candidates(packed: bytes) -> Candidates:
    """The candidates again.

    Raises:
        SimilarStateError: a newer program wrote them.
    """
    fields: list[Any] = unpack(packed)
    expect_version(fields[0], _VERSION, "a row of candidates")
    _, total, base, left_out, flat = fields
    return Candidates((widen(total), base), flat[0::3], widen_all(flat[1::3]), flat[2::3], left_out)


def score_millionths(pair: Total, support: int, total: Total, partner_total: Total, shrink: int) -> int:
    """The score in millionths, rounded half up; 0 if a sum is not positive."""
    if pair[0] <= 0 or total[0] <= 0 or partner_total[0] <= 0 or support <= 0:
        return 0
    above = pair[0] ** 2 * support**2 * _MILLIONS
    below = total[0] * partner_total[0] * (support + shrink) ** 2
    shift = 2 * pair[1] - total[1] - partner_total[1]
    halves = isqrt((above << shift) // below) if shift >= 0 else isqrt(above // (below << -shift))
    return (halves + 1) // 2


def neighbours(
    found: Candidates, total_of: Callable[[str], Total | None], relation: Relation, settings: SimilarSettings
) -> list[Neighbour]:
    """The best candidates by (score, highest first; item), those of a positive score, at most `neighbours_max`.

    This is the definition; `ranking.py` finds the same list quicker.

    Args:
        found: the item's candidates.
        total_of: a partner's total, or None while it is unknown; the partner is then left out.
        relation: decides the shrinkage.
        settings: shrinkage and limits.
    """
    shrink, base = settings.shrink(relation), found.total[1]
    scored = []
    for item, value, support in found.partners:
        partner_total = total_of(item)
        if partner_total is not None:
            millionths = score_millionths((value, base), support, found.total, partner_total, shrink)
            if millionths:
                scored.append((-millionths, item, support))
    scored.sort()
    return [Neighbour(item, -score / 1e6, support) for score, item, support in scored[: settings.neighbours_max]]
