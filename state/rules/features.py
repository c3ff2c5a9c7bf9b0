"""Every feature a rule may read, and how each one changes by the mere passing of time.

The registry is the one place that knows names, types and units; the customer state computes the values and the rule
compiler asks here what it may compare and what has to wake a customer without an event.
"""

from dataclasses import dataclass
from typing import Final, Literal

Type = Literal["int", "float", "str", "bool", "list[str]"]
Unit = Literal["count", "cents", "ms", "epoch_ms", "score", "none"]
Drift = Literal["static", "count", "sum", "age", "decay", "appears"]
"""How a value changes while no event arrives:

static: not at all. count: falls by one as an entry leaves the window. sum: changes by an entry's amount as it leaves
the window (up or down: a window may hold a negative amount). age: grows with the clock. decay: falls by a half-life.
appears: from absent to present, once.
"""

METRICS: Final = (
    "views",
    "cart_adds",
    "searches",
    "wishlist_adds",
    "orders",
    "revenue",
    "sessions",
    "session_ms",
)
WINDOW_DAYS: Final = (1, 7, 14, 30, 90)

_METRIC_UNITS: Final[dict[str, Unit]] = {"revenue": "cents", "session_ms": "ms"}
_METRIC_MEANINGS: Final = {
    "views": "products viewed",
    "cart_adds": "products put into the cart",
    "searches": "searches",
    "wishlist_adds": "products put on the wishlist",
    "orders": "orders not wholly refunded",
    "revenue": "revenue, net of refunds",
    "sessions": "sessions that began",
    "session_ms": "time spent in the sessions that began",
}


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature: its name, its type and unit, how it drifts, and whether it can be absent (None)."""

    name: str
    type: Type
    unit: Unit
    drift: Drift
    meaning: str
    optional: bool = False
    """False: the value handed to a rule is never None."""
    metric: str | None = None
    window_days: int | None = None

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers (int or float)."""
        return self.type in ("int", "float")


def window_feature(metric: str, window_days: int) -> str:
    """Name of the feature for a metric and a window, such as `orders_30d` or `revenue_30d_cents`."""
    return f"{metric}_{window_days}d_cents" if metric == "revenue" else f"{metric}_{window_days}d"


def _window_spec(metric: str, days: int) -> FeatureSpec:
    unit = _METRIC_UNITS.get(metric, "count")
    drift: Drift = "count" if unit == "count" else "sum"
    meaning = f"{_METRIC_MEANINGS[metric]} in the last {days} d"
    return FeatureSpec(window_feature(metric, days), "int", unit, drift, meaning, metric=metric, window_days=days)


_OTHERS: Final = (
    FeatureSpec("recency_ms", "int", "ms", "age", "time since the newest order not wholly refunded", True),
    FeatureSpec("since_last_seen_ms", "int", "ms", "age", "time since the newest event", True),
    FeatureSpec("since_first_seen_ms", "int", "ms", "age", "time since the oldest event", True),
    FeatureSpec("last_seen_ms", "int", "epoch_ms", "static", "time of the newest event", True),
    FeatureSpec("first_seen_ms", "int", "epoch_ms", "static", "time of the oldest event", True),
    FeatureSpec("orders_total", "int", "count", "static", "orders ever, not wholly refunded"),
    FeatureSpec("revenue_total_cents", "int", "cents", "static", "revenue ever, net of refunds"),
    FeatureSpec("average_order_cents", "int", "cents", "static", "revenue per order; absent without orders", True),
    FeatureSpec("cart_open", "bool", "none", "static", "something lies in the cart"),
    FeatureSpec("cart_abandoned_at_ms", "int", "epoch_ms", "appears", "when the open cart was left alone", True),
    FeatureSpec("top_categories", "list[str]", "none", "static", "up to five categories of most interest"),
    FeatureSpec("purchase_interval_ms", "int", "ms", "static", "mean time between orders; absent below two", True),
    FeatureSpec("engagement", "float", "score", "decay", "activity score with a half-life of 7 d"),
    FeatureSpec("device", "str", "none", "static", "device of the newest event that names one", True),
    FeatureSpec("location", "str", "none", "static", "location of the newest event that names one", True),
    FeatureSpec("channel", "str", "none", "static", "channel of the newest event that names one", True),
)

FEATURES: Final[dict[str, FeatureSpec]] = {
    spec.name: spec for spec in (*(_window_spec(metric, days) for metric in METRICS for days in WINDOW_DAYS), *_OTHERS)
}
"""All features by name, window features first, in the fixed order of METRICS and WINDOW_DAYS."""

POPULATION_SCORES: Final = ("rfm_recency", "rfm_frequency", "rfm_monetary")
"""Scores from 1 to 5 by quintiles of all customers: known only beside the population."""

PROPENSITIES: Final = ("buys_7d", "lapses_30d")
"""Probabilities that are learned from what has become of all customers, between 0 and 1; known only there, too."""
