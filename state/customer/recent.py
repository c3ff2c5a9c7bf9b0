"""What a customer has looked at, put into the cart and bought lately: where recommendations begin."""

from typing import Any, Final

from state.customer.fold import Fold

VIEWED_MAX: Final = 20
BOUGHT_MAX: Final = 500
"""As many as may be left out of recommendations for being bought. Few customers have so many: only theirs cost more."""


def recent(fold: Fold) -> dict[str, Any]:
    """The newest views and purchases, the newest first, as [product, ms]; what is in the cart; since when the session.

    What there is none of is left out. Purchases are those that were not wholly given back, at the order's time. Bound:
    VIEWED_MAX views, BOUGHT_MAX products that were bought, and the cart's own.
    """
    found: dict[str, Any] = {}
    viewed, times = fold.viewed, fold.views.column
    end = viewed.end
    start = max(viewed.first, end - VIEWED_MAX)
    if start < end:
        products = viewed.values[start - viewed.first :]
        at_ms = times.values[start - times.first :]
        found["viewed"] = [(products[at][1], at_ms[at]) for at in range(end - start - 1, -1, -1)]
    if fold.cart.units:
        found["cart"] = fold.cart.units
    if fold.orders.column.values:
        bought = fold.orders.newest_products(BOUGHT_MAX)
        found["bought"] = [(product, time_ms) for time_ms, _, product, kept in reversed(bought) if kept]
    sessions = fold.sessions
    if sessions.current >= sessions.starts.first:
        found["session_ms"] = sessions.starts.values[sessions.current - sessions.starts.first]
    return found
