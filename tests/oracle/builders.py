"""Events in one line each, for cases worked out by hand."""

import json
from itertools import count
from typing import Any

T0 = 1_740_787_200_000
"""2025-03-01T00:00:00Z"""
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_numbers = count(1)


def line(kind: str, at_ms: int, **members: Any) -> bytes:
    """A canonical line of customer c1 at T0 + at_ms; ids ascend in the order of the calls."""
    event = {"event_id": f"e{next(_numbers):09d}", "type": kind, "timestamp": T0 + at_ms, "customer_id": "c1"}
    return json.dumps(event | members).encode()


def view(at_ms: int, product: str = "p1", **members: Any) -> bytes:
    return line("product_viewed", at_ms, product_id=product, **members)


def add(at_ms: int, product: str = "p1", **members: Any) -> bytes:
    return line("product_added", at_ms, product_id=product, **members)


def order(at_ms: int, order_id: str, *products: tuple[str, int, Any], **members: Any) -> bytes:
    return line("order_completed", at_ms, order_id=order_id, products=products_of(*products), **members)


def refund(at_ms: int, order_id: str, *products: tuple[str, int, Any], **members: Any) -> bytes:
    if products:
        members["products"] = products_of(*products)
    return line("order_refunded", at_ms, order_id=order_id, **members)


def products_of(*products: tuple[str, int, Any]) -> list[dict[str, Any]]:
    return [
        {"product_id": name, "quantity": quantity} | ({} if price is None else {"price": price})
        for name, quantity, price in products
    ]
