"""Similar items in one batch: ledgers, pairs and scores from all lines at once, in absolute integers."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from math import isqrt

from .events import Event, parse_events
from .plain import DAY, History, history_of, order_by_id, session_of_each

VIEWED, BOUGHT = "viewed-with", "bought-with"
HALF_LIFE = {VIEWED: 30 * DAY, BOUGHT: 90 * DAY}
SHRINK = {VIEWED: 10, BOUGHT: 10}
NEAR = (64, 32, 21, 16, 13, 11, 9, 8, 7, 6)
FULL, OTHER_ORDER = 64, 32
SPAN = 30 * DAY
LEDGER, CANDIDATES, NEIGHBOURS = 50, 200, 50

Neighbours = dict[str, list[tuple[str, float, int]]]
"""Item to its neighbours: (item, score, support), best first."""


@dataclass
class Sums:
    """Of one relation: each item's own count, and of each unordered pair the value and the support."""

    totals: Counter[str] = field(default_factory=Counter)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    supports: Counter[tuple[str, str]] = field(default_factory=Counter)

    def pair(self, one: str, other: str, value: int) -> None:
        key = (one, other) if one < other else (other, one)
        self.values[key] += value
        self.supports[key] += 1


def batch_similar(
    lines: Iterable[bytes], as_of_ms: int, currency: str = "USD", denied_count: bool = True
) -> dict[str, Neighbours]:
    """The lists of both relations as of a moment; items without neighbours are left out.

    Args:
        lines: accepted canonical lines, in any order, with duplicates.
        denied_count: whether what customers did before they withdrew their consent still counts.
    """
    sums = batch_sums(lines, as_of_ms, currency, denied_count)
    return {relation: neighbours(sums[relation], relation) for relation in (VIEWED, BOUGHT)}


def batch_sums(
    lines: Iterable[bytes], as_of_ms: int, currency: str = "USD", denied_count: bool = True
) -> dict[str, Sums]:
    """What the lists are computed from."""
    customers: dict[str, list[Event]] = defaultdict(list)
    for event in parse_events(lines, currency):
        customers[event.subject].append(event)
    sums = {VIEWED: Sums(), BOUGHT: Sums()}
    for events in customers.values():
        history = history_of(events, as_of_ms)
        if denied_count or not history.denied:
            _add_views(sums[VIEWED], history)
            _add_purchases(sums[BOUGHT], history)
    return sums


def _add_views(sums: Sums, history: History) -> None:
    """Of the newest views, in each session: the distinct products by their first view."""
    sessions = session_of_each(history.applied)
    views = [
        (event, session)
        for event, session in zip(history.applied, sessions, strict=True)
        if event.type == "product_viewed"
    ]
    seen: dict[int, dict[str, int]] = defaultdict(dict)
    for event, session in views[-LEDGER:]:
        assert event.product_id is not None
        seen[id(session)].setdefault(event.product_id, event.time_ms)
    for products in seen.values():
        ranked = list(products.items())
        for place, (product, time_ms) in enumerate(ranked):
            sums.totals[product] += FULL * weight(time_ms, VIEWED)
            for distance, (later, later_ms) in enumerate(ranked[place + 1 : place + 1 + len(NEAR)]):
                sums.pair(product, later, NEAR[distance] * weight(later_ms, VIEWED))


def _add_purchases(sums: Sums, history: History) -> None:
    """Of the newest purchases, each product by the newest that was not returned."""
    entries = []
    for order in order_by_id(history.applied).values():
        for product in order.units:
            live = order.counts and order.left[product] > 0
            entries.append((order.time_ms, order.event_id, product, live))
    newest: dict[str, tuple[int, str]] = {}
    for time_ms, order_name, product, live in sorted(entries)[-LEDGER:]:
        if live:
            newest[product] = time_ms, order_name
    for product, (time_ms, _) in newest.items():
        sums.totals[product] += FULL * weight(time_ms, BOUGHT)
    for (one, (one_ms, one_order)), (other, (other_ms, other_order)) in combinations(newest.items(), 2):
        later = weight(max(one_ms, other_ms), BOUGHT)
        if one_order == other_order:
            sums.pair(one, other, FULL * later)
        elif abs(one_ms - other_ms) <= SPAN:
            sums.pair(one, other, OTHER_ORDER * later)


def weight(time_ms: int, relation: str) -> int:
    """Of an interaction of a relation."""
    return weight_of(time_ms, HALF_LIFE[relation])


def weight_of(time_ms: int, half_life: int) -> int:
    """2^(12 + time / half-life), to a 2,048th of the half-life, rounded down to 13 significant bits."""
    lives, rest = divmod(time_ms, half_life)
    return _powers()[2_048 * rest // half_life] << lives


@cache
def _powers() -> list[int]:
    """floor(2^(12 + i / 2048)): the greatest m with m^2048 <= 2^(12 * 2048 + i)."""
    powers = [0] * 2_048
    for mantissa in range(4_096, 8_192):
        first = (mantissa**2_048 - 1).bit_length() - 12 * 2_048  # 2^(12 * 2048 + i) reaches m^2048 from this i on
        if first < 2_048:
            powers[first] = mantissa
    for i in range(1, 2_048):
        powers[i] = max(powers[i], powers[i - 1])
    return powers


def neighbours(sums: Sums, relation: str) -> Neighbours:
    """The best of the partners with the largest sums."""
    partners: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for (one, other), value in sums.values.items():
        support = sums.supports[one, other]
        partners[one].append((-value, other, support))
        partners[other].append((-value, one, support))
    lists: Neighbours = {}
    for item, all_partners in partners.items():
        scored = [
            (-millionths(-value, support, sums.totals[item], sums.totals[other], SHRINK[relation]), other, support)
            for value, other, support in sorted(all_partners)[:CANDIDATES]
        ]
        best = [(other, -score / 1_000_000, support) for score, other, support in sorted(scored) if score < 0]
        if best:
            lists[item] = best[:NEIGHBOURS]
    return lists


def millionths(value: int, support: int, total: int, other_total: int, shrink: int) -> int:
    """value / sqrt(total * other_total) * support / (support + shrink) in millionths, half up, in integers."""
    above = (2_000_000 * value * support) ** 2
    below = total * other_total * (support + shrink) ** 2
    return (isqrt(above // below) + 1) // 2
