"""How each feature is read of a customer: as text, from which functions are written that read many of them."""

from math import exp2

from state.customer.counts import WINDOW_DAYS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS, Fold

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


EXPRESSIONS = _expressions()
"""By feature."""
HELPERS = {"engagement": engagement, "abandoned_at_ms": abandoned_at_ms, "average_order_cents": average_order_cents}
"""What they call."""
