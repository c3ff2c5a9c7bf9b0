"""The change of the bought-with contributions from one ledger to another."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from state.similar.ledger import Bought
from state.similar.message import SUPPORT, VALUE, VERSION, Fields, add_up
from state.similar.settings import FULL, SimilarSettings
from state.similar.weights import weight

Purchases: TypeAlias = dict[str, tuple[int, int]]
"""By product, time and order of its newest live purchase."""


def bought_changes(old: Sequence[Bought], new: Sequence[Bought], settings: SimilarSettings) -> dict[str, Fields]:
    """By item, the message that leads from the contributions of `old` to those of `new`."""
    before, after = _newest(old), _newest(new)
    gone = {product: before[product] for product in before if after.get(product) != before[product]}
    come = {product: after[product] for product in after if before.get(product) != after[product]}
    rows: dict[str, Fields] = {}
    if gone or come:
        half_life_ms = settings.bought_half_life_ms
        base = weight(min(time_ms for time_ms, _ in (*gone.values(), *come.values())), half_life_ms)[1]
        _pairs(rows, before, gone, -1, base, settings)
        _pairs(rows, after, come, 1, base, settings)
    if gone and come:
        rows = {item: short for item, fields in rows.items() if (short := add_up(fields)) is not None}
    return rows


def _newest(ledger: Iterable[Bought]) -> Purchases:
    return {product: (time_ms, order) for time_ms, order, product, live in ledger if live}


def _pairs(
    rows: dict[str, Fields], purchases: Purchases, changed: Purchases, sign: int, base: int, settings: SimilarSettings
) -> None:
    """The counts of the changed products, and their pairs with all others, each pair once."""
    half_life_ms, span_ms = settings.bought_half_life_ms, settings.bought_span_ms
    same, other_order = sign * settings.same_order, sign * settings.other_order
    others = purchases.copy()
    for a, (a_ms, a_order) in changed.items():
        del others[a]
        mantissa, exponent = weight(a_ms, half_life_ms)
        a_weight = mantissa << (exponent - base)
        row = rows.get(a)
        if row is None:
            row = rows[a] = [VERSION, 0, base, 0, 0]
        row[VALUE] += sign * FULL * a_weight
        row[SUPPORT] += sign
        for b, (b_ms, b_order) in others.items():
            if a_order == b_order:
                count = same
            elif -span_ms <= a_ms - b_ms <= span_ms:
                count = other_order
            else:
                continue
            if b_ms > a_ms:
                mantissa, exponent = weight(b_ms, half_life_ms)
                value = count * mantissa << (exponent - base)
            else:
                value = count * a_weight
            row += (b, value, sign)
            paired = rows.get(b)
            if paired is None:
                paired = rows[b] = [VERSION, 0, base, 0, 0]
            paired += (a, value, sign)
