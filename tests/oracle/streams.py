"""Small streams in which everything that can meet does meet: ties, reused orders, odd refunds, consents, erasures.

The simulator makes logs like a shop's; these are for corners that a shop would reach once a year.
"""

import json
from random import Random
from typing import Any

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PAUSES = (0, 0, 1, 1_000, 5 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, HOUR, DAY, DAY + 1, 3 * DAY, 7 * DAY, 20 * DAY)
"""What lies between two events: none, the limits of sessions, the lengths of windows."""
KINDS = (
    "product_viewed", "product_viewed", "product_clicked", "product_added", "product_added", "product_removed",
    "wishlist_added", "products_searched", "checkout_started", "order_completed", "order_completed", "order_completed",
    "order_refunded", "order_refunded", "order_cancelled", "identify", "recommendation_shown", "recommendation_clicked",
)  # fmt: skip
AMOUNTS: tuple[Any, ...] = (0, 1, 5, 9.99, "12.345", "0.005", "0.015", 100, 19.9)


def odd_stream(random: Random, count: int, subjects: int = 2, start_ms: int = 1_740_787_200_000) -> list[bytes]:
    """Accepted canonical lines in random order, some of them twice."""
    lines: list[bytes] = []
    time_ms = start_ms
    for number in range(count):
        time_ms += random.choice(PAUSES)
        event = {
            "event_id": f"e{random.randrange(10**6):06d}-{number}",
            "type": random.choice(KINDS),
            "timestamp": time_ms,
        }
        event |= {"customer_id": f"c{random.randrange(subjects)}"}
        rare = random.random()
        if rare < 0.03:
            event |= {
                "type": "consent",
                "purposes": random.choice([{"personalization": False}, {"personalization": True}]),
            }
        elif rare < 0.05:
            event |= {"type": "consent", "purposes": {"ads": False}}
        elif rare < 0.06:
            event |= {"type": "erase"}
        else:
            event |= _details(random, str(event["type"]))
        lines.append(json.dumps(event).encode())
        if random.random() < 0.05:
            lines.append(lines[-1])
    random.shuffle(lines)
    return lines


def _details(random: Random, kind: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if random.random() < 0.5:
        details["session_id"] = random.choice(("s1", "s2", "s3"))
    names = [name for name in ("device", "location", "channel") if random.random() < 0.3]
    if names:
        details["context"] = {name: random.choice("xyz") for name in names}
    if kind.startswith("order_"):
        details |= _order(random, kind)
    elif kind == "checkout_started":
        details["products"] = [_product(random)]
    elif kind == "products_searched":
        details["query"] = "q"
    elif kind == "identify":
        details["traits"] = {}
    else:
        details |= _product(random)
    if kind.startswith("recommendation"):
        details |= {"variant": "a", "position": 1, "request_id": "r"}
    return details


def _order(random: Random, kind: str) -> dict[str, Any]:
    details: dict[str, Any] = {"order_id": f"o{random.randrange(8)}"}
    how = random.random()
    if kind == "order_completed":
        products = [
            _product(random) for _ in range(random.choice((0, 1, 1, 2, 3)) if how < 0.2 else random.randint(1, 3))
        ]
        details["products"] = products
        if how < 0.5:
            details["total"] = random.choice(AMOUNTS)
        return details
    if how < 0.7:
        details["products"] = [_product(random) for _ in range(random.randint(1, 3))]
    if 0.5 < how < 0.85:
        details["total"] = random.choice(AMOUNTS)
    return details


def _product(random: Random) -> dict[str, Any]:
    product: dict[str, Any] = {"product_id": f"p{random.randrange(4)}"}
    if random.random() < 0.7:
        product["quantity"] = random.choice((1, 1, 2, 3))
    if random.random() < 0.7:
        product["price"] = random.choice(AMOUNTS)
    if random.random() < 0.8:
        product["category"] = f"k{random.randrange(30) if random.random() < 0.5 else random.randrange(3)}"
    return product
