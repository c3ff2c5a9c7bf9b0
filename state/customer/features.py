"""Features of a customer as of now: generated readers, one call for all the values that somebody needs.

A reader is one Python function written from the names it has to read, so that reading fifteen features costs one call.
The fold must have been advanced to the time that is asked about.
"""

from collections.abc import Callable, Sequence
from math import exp2
from typing import Any

import msgspec

from state.customer.counts import WINDOW_DAYS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS, Fold
from state.rules.features import FEATURES

Values = tuple[Any, ...]
Reader = Callable[[Fold, int], Values]

_COUNTERS = ("views", "cart_adds", "searches", "wishlist_adds")


def engagement(fold: Fold, now_ms: int) -> float:
    """Decayed activity score: each event's weight halves every 7 days."""
    if not fold.engagement:
        return 0.0
    return fold.engagement * exp2((fold.engagement_at_ms - now_ms) / ENGAGEMENT_HALF_LIFE_MS)


def abandoned_at_ms(fold: Fold, now_ms: int) -> int | None:
    """When the open cart was left alone, once that has happened."""
    if not fold.cart.units or fold.last_seen_ms is None or now_ms < fold.last_seen_ms + fold.gap_ms:
        return None
    return fold.last_seen_ms + fold.gap_ms


def average_order_cents(fold: Fold) -> int | None:
    book = fold.orders
    return book.total_cents // book.total_count if book.total_count else None


def _since(expression: str) -> str:
    return f"(None if {expression} is None else t - {expression})"


def _expressions() -> dict[str, str]:
    """How each feature is read, over `f` (the fold) and `t` (now, ms)."""
    read = {
        "recency_ms": _since("f.orders.newest_ms"),
        "since_last_seen_ms": _since("f.last_seen_ms"),
        "since_first_seen_ms": _since("f.first_seen_ms"),
        "last_seen_ms": "f.last_seen_ms",
        "first_seen_ms": "f.first_seen_ms",
        "orders_total": "f.orders.total_count",
        "revenue_total_cents": "f.orders.total_cents",
        "average_order_cents": "average_order_cents(f)",
        "cart_open": "(True if f.cart.units else False)",
        "cart_abandoned_at_ms": "(abandoned_at_ms(f, t) if f.cart.units else None)",
        "top_categories": "f.interests.top()",
        "purchase_interval_ms": "f.orders.interval_ms()",
        "engagement": "engagement(f, t)",
        "device": "f.device",
        "location": "f.location",
        "channel": "f.channel",
    }
    for window, days in enumerate(WINDOW_DAYS):
        for name in _COUNTERS:
            column = f"f.{name}.column"
            read[f"{name}_{days}d"] = f"({column}.end - f.{name}.heads[{window}])"
        read[f"orders_{days}d"] = f"f.orders.counts[{window}]"
        revenue = f"(f.orders.revenue_cents({window}, t) if f.orders.orphans else f.orders.revenues[{window}])"
        read[f"revenue_{days}d_cents"] = revenue
        starts = "f.sessions.starts"
        read[f"sessions_{days}d"] = f"({starts}.end - f.sessions.heads[{window}])"
        read[f"session_ms_{days}d"] = f"f.sessions.length_ms[{window}]"
    return read


_EXPRESSIONS = _expressions()
_HELPERS = {"engagement": engagement, "abandoned_at_ms": abandoned_at_ms, "average_order_cents": average_order_cents}


def reader(names: Sequence[str]) -> Reader:
    """One function that reads `names`, in this order, from (fold, now_ms).

    Raises:
        KeyError: a name that is no feature.
    """
    source = "lambda f, t: (" + "".join(f"{_EXPRESSIONS[name]}, " for name in names) + ")"
    # the text is built from the table above alone, never from what a user wrote
    return eval(compile(source, "<features>", "eval"), dict(_HELPERS))  # type: ignore[no-any-return]  # noqa: S307


FEATURE_NAMES = tuple(FEATURES)
read_all = reader(FEATURE_NAMES)
Features: Any = msgspec.defstruct(
    "Features", [(name, Any, None) for name in FEATURE_NAMES], omit_defaults=True, gc=False
)
"""All features, encoded as a map without the absent ones."""


def features(fold: Fold) -> Any:
    """All features as of the fold's clock, as a `Features`."""
    return Features(*read_all(fold, fold.clock_ms))
