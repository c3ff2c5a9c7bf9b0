"""A second opinion on what ledgers contribute: absolute integers, every pair, nothing incremental."""

from decimal import Decimal, localcontext
from functools import cache

from state.similar.settings import SimilarSettings

Sums = dict[str, tuple[int, int, dict[str, tuple[int, int]]]]
"""By item: total, support, and by partner (value, support); all absolute."""


@cache
def naive_weight(time_ms: int, half_life_ms: int) -> int:
    whole = time_ms // half_life_ms
    step = (time_ms - whole * half_life_ms) * 2048 // half_life_ms
    with localcontext() as context:
        context.prec = 80
        mantissa = int(4096 * Decimal(2) ** (Decimal(step) / 2048))
    return mantissa * 2**whole


def naive_viewed(ledger, settings: SimilarSettings) -> list[tuple[str, str | None, int]]:
    """(item, partner or None, value) for every count."""
    counts = []
    for session in {entry[1] for entry in ledger}:
        order = []
        for time_ms, key, product in ledger:
            if key == session and product not in [seen for seen, _ in order]:
                order.append((product, time_ms))
        for i, (a, a_ms) in enumerate(order):
            counts.append((a, None, 64 * naive_weight(a_ms, settings.viewed_half_life_ms)))
            for j, (b, b_ms) in enumerate(order):
                if i != j and abs(i - j) <= len(settings.near):
                    value = settings.near[abs(i - j) - 1] * naive_weight(max(a_ms, b_ms), settings.viewed_half_life_ms)
                    counts.append((a, b, value))
    return counts


def naive_bought(ledger, settings: SimilarSettings) -> list[tuple[str, str | None, int]]:
    counts = []
    live = [entry for entry in ledger if entry[3]]
    products = {entry[2] for entry in live}
    last = {product: [entry for entry in live if entry[2] == product][-1] for product in products}
    for a in products:
        counts.append((a, None, 64 * naive_weight(last[a][0], settings.bought_half_life_ms)))
        for b in products:
            later = naive_weight(max(last[a][0], last[b][0]), settings.bought_half_life_ms)
            if a == b:
                continue
            if last[a][1] == last[b][1]:
                counts.append((a, b, settings.same_order * later))
            elif abs(last[a][0] - last[b][0]) <= settings.bought_span_ms:
                counts.append((a, b, settings.other_order * later))
    return counts


def naive_sums(relation, ledgers, settings: SimilarSettings) -> Sums:
    """The sums of all items over the ledgers of several customers."""
    sums: Sums = {}
    for ledger in ledgers:
        counts = naive_viewed(ledger, settings) if relation == "viewed-with" else naive_bought(ledger, settings)
        for item, partner, value in counts:
            total, support, partners = sums.get(item, (0, 0, {}))
            if partner is None:
                sums[item] = (total + value, support + 1, partners)
            else:
                known, times = partners.get(partner, (0, 0))
                sums[item] = (total, support, {**partners, partner: (known + value, times + 1)})
    return sums


def absolute(row) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """An item's row as absolute integers."""
    number, base = row.total
    partners = {item: (value << base, row.supports[item]) for item, value in row.values.items()}
    return number << base, row.support, partners
