"""The axes that customers are compared by unless settings say otherwise.

Of some twenty sets that were tried, this one is among the best at finding the simulated kinds (adjusted Rand index of
batch k-means at five clusters: 0.16 to 0.21, by the clip; 0.11 with amounts alone: visits, views, orders, money), and
tells the customers of Online Retail, who only order, apart by frequency, money and recency. Ratios say how somebody
shops; one axis says how much.
"""

from typing import Final

from state.population.axes import DAY_MS, Axis

_LONG_AGO_DAYS: Final = 180.0
"""Who was never seen is read as someone who was last seen two of the longest windows ago."""

DEFAULT_AXES: Final = (
    Axis(name="views", feature="views_90d", topic="views", high="many views", low="few views"),
    Axis(
        name="carts per view",
        feature="cart_adds_90d",
        per="views_90d",
        topic="carts",
        high="fills carts",
        low="looks only",
    ),
    Axis(
        name="orders per cart add",
        feature="orders_90d",
        per="cart_adds_90d",
        topic="orders",
        high="orders readily",
        low="leaves carts behind",
    ),
    Axis(name="spend", feature="revenue_90d_cents", unit=100.0, topic="spend", high="high spend", low="low spend"),
    Axis(
        name="absence",
        feature="since_last_seen_ms",
        unit=DAY_MS,
        absent=_LONG_AGO_DAYS,
        topic="absence",
        high="not seen lately",
        low="seen lately",
    ),
)
