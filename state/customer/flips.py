"""When passing time alone can next change the answer of a rule: to the millisecond, without an event.

Each atom (a feature and a threshold) gets one function from (fold, now_ms) to the first moment after now at which
`feature >= threshold` can turn over, or one shortly before it; the customer then needs one timer, at the earliest.
"""

from collections.abc import Callable, Iterable
from math import ceil, log2
from typing import Any

from schemas.facts import Kind
from state.customer.counts import NEVER_MS, WINDOW_DAYS, WINDOWS_MS
from state.customer.features import engagement
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS, KIND_NUMBERS, Fold
from state.rules.atoms import Atom
from state.rules.features import FEATURES

Flip = Callable[[Fold, int], int]

_COUNTED = {
    Kind.PRODUCT_VIEWED: "views",
    Kind.PRODUCT_ADDED: "cart_adds",
    Kind.PRODUCTS_SEARCHED: "searches",
    Kind.WISHLIST_ADDED: "wishlist_adds",
}
_ALWAYS_TOUCHED = (
    "sessions", "session_ms", "since_last_seen_ms", "since_first_seen_ms", "engagement", "cart_abandoned_at_ms",
)  # fmt: skip

_AGES: dict[str, Callable[[Fold], int | None]] = {
    "recency_ms": lambda fold: fold.orders.newest_ms,
    "since_last_seen_ms": lambda fold: fold.last_seen_ms,
    "since_first_seen_ms": lambda fold: fold.first_seen_ms,
}


def flips_of(atoms: Iterable[Atom]) -> list[Flip]:
    """The functions for all atoms."""
    return [_flip(atom.feature, atom.threshold) for atom in atoms]


def flips_by_kind(atoms: Iterable[Atom]) -> list[list[Flip]]:
    """For each kind of event the flips that it can bring forward; the others are no earlier than they were.

    An order or refund can do so to any of them, as can a consent.
    """
    atoms = list(atoms)
    everything = flips_of(atoms)
    by_kind = [everything] * KIND_NUMBERS
    for kind in Kind:
        if kind not in (Kind.ORDER_COMPLETED, Kind.ORDER_REFUNDED, Kind.ORDER_CANCELLED, Kind.CONSENT, Kind.ERASE):
            touched = (_COUNTED.get(kind), *_ALWAYS_TOUCHED)
            by_kind[kind] = flips_of(a for a in atoms if a.feature in touched or FEATURES[a.feature].metric in touched)
    return by_kind


def next_flip(flips: list[Flip], fold: Fold, now_ms: int) -> int:
    """The earliest moment after `now_ms` at which any atom can turn over; NEVER_MS if none can."""
    earliest = NEVER_MS
    for flip in flips:
        at_ms = flip(fold, now_ms)
        if at_ms < earliest:
            earliest = at_ms
    return earliest


def _flip(feature: str, threshold: Any) -> Flip:
    spec = FEATURES[feature]
    if spec.drift in ("count", "sum"):
        window = WINDOW_DAYS.index(spec.window_days or 0)
        return _window_flip(str(spec.metric), window, None if threshold is None else ceil(threshold))
    if spec.drift == "age":
        return _age_flip(_AGES[feature], ceil(threshold))
    if spec.drift == "decay":
        return _decay_flip(float(threshold))
    return _appears


def _window_flip(metric: str, window: int, threshold: int | None) -> Flip:
    if threshold is None:
        return _leaving(metric, window)
    if metric == "revenue":
        return lambda fold, now_ms: fold.orders.revenue_crosses(threshold, window, now_ms)
    if metric == "orders":
        return lambda fold, now_ms: fold.orders.count_falls_below(threshold, window)
    if metric == "session_ms":
        return lambda fold, now_ms: fold.sessions.length_falls_below(threshold, window)
    if metric == "sessions":
        return lambda fold, now_ms: fold.sessions.falls_below(threshold, window)
    return lambda fold, now_ms: getattr(fold, metric).falls_below(threshold, window)


def _leaving(metric: str, window: int) -> Flip:
    """When the oldest entry leaves the window, whatever it is worth."""
    width_ms = WINDOWS_MS[window]

    def oldest(fold: Fold, now_ms: int) -> int:
        if metric in ("revenue", "orders"):
            book = fold.orders
            times = [orphan[0][0] for orphan in book.orphans if orphan[0][0] > now_ms - width_ms]
            if book.heads[window] < book.column.end:
                times.append(book.column.values[book.heads[window] - book.column.first][0])
            return min(times) + width_ms if times else NEVER_MS
        if metric in ("sessions", "session_ms"):
            return fold.sessions.falls_below(fold.sessions.count(window), window)
        counter = getattr(fold, metric)
        return counter.falls_below(counter.count(window), window)  # type: ignore[no-any-return]

    return oldest


def _age_flip(anchor: Callable[[Fold], int | None], threshold_ms: int) -> Flip:
    def flip(fold: Fold, now_ms: int) -> int:
        anchor_ms = anchor(fold)
        if anchor_ms is None or anchor_ms + threshold_ms <= now_ms:
            return NEVER_MS
        return anchor_ms + threshold_ms

    return flip


def _decay_flip(threshold: float) -> Flip:
    def flip(fold: Fold, now_ms: int) -> int:
        if threshold <= 0 or engagement(fold, now_ms) < threshold:
            return NEVER_MS
        at_ms = fold.engagement_at_ms + int(ENGAGEMENT_HALF_LIFE_MS * log2(fold.engagement / threshold))
        # rounded down, so never late; one look too early costs one more look
        return max(at_ms, now_ms + 1)

    return flip


def _appears(fold: Fold, now_ms: int) -> int:
    """When the cart counts as abandoned."""
    if not fold.cart.units or fold.last_seen_ms is None or fold.last_seen_ms + fold.gap_ms <= now_ms:
        return NEVER_MS
    return fold.last_seen_ms + fold.gap_ms
