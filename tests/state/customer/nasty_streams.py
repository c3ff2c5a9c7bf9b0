"""Streams made to meet at the limits: one millisecond for all, orders reported again and again, consent that flips
within a session, session ids that return after a day, one event exactly a window after another, erasures in between.

`odd_stream` of the oracles mixes everything a little; here each stream takes one thing too far.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

SECOND = 1_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START_MS = 1_740_787_200_000
WINDOWS = (DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY)


@dataclass(frozen=True)
class Spice:
    """What a stream has too much of."""

    pauses: tuple[int, ...] = (0, 1, SECOND, 5 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, DAY, 7 * DAY)
    """Time from one event to the next, one of these."""
    kinds: tuple[str, ...] = (
        "product_viewed", "product_viewed", "product_added", "product_removed", "wishlist_added", "products_searched",
        "order_completed", "order_refunded", "product_clicked", "checkout_started", "recommendation_clicked",
    )  # fmt: skip
    consents: float = 0.02
    erasures: float = 0.01
    sessions: float = 0.4
    """Share of events with a producer's session id."""
    orders: int = 6
    """Distinct order ids."""
    products: int = 5
    echoes: float = 0.0
    """Share of events at exactly a window's length (or one millisecond beside) after an older one."""
    anonymous: float = 0.0
    duplicates: float = 0.05
    variants: tuple[str | None, ...] = ()
    """Of recommendations, one of these."""
    recommended: bool = False
    """Whether recommendations are of any product, place and request."""


ORDERS = ("order_completed", "order_completed", "order_refunded", "order_refunded", "order_cancelled")
RECOMMENDED = (
    "recommendation_shown", "recommendation_shown", "recommendation_shown", "recommendation_clicked", "product_viewed",
)  # fmt: skip
SPICES = {
    "one-millisecond": Spice(pauses=(0,), consents=0.06, erasures=0.04),
    "two-milliseconds": Spice(pauses=(0, 0, 0, 0, 1), consents=0.06, erasures=0.04),
    "orders-again": Spice(kinds=ORDERS, orders=2, pauses=(0, 0, 1, HOUR, DAY, 7 * DAY, 30 * DAY)),
    "orders-in-a-millisecond": Spice(kinds=ORDERS, orders=2, pauses=(0,), products=2, consents=0.0, erasures=0.0),
    "consent-flips": Spice(consents=0.5, pauses=(0, 1, SECOND, MINUTE, 29 * MINUTE, 31 * MINUTE), sessions=0.7),
    "erasures": Spice(erasures=0.2, pauses=(0, 0, 1, HOUR, DAY, 3 * DAY)),
    "sessions-return": Spice(sessions=0.9, pauses=(0, 30 * MINUTE, 12 * HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY)),
    "windows": Spice(echoes=0.6, pauses=(0, HOUR, DAY, 3 * DAY)),
    "anonymous": Spice(anonymous=0.5),
    "busy": Spice(pauses=(0, SECOND, 5 * SECOND, MINUTE), products=12),
    "recommended": Spice(
        kinds=RECOMMENDED, recommended=True, pauses=(0, 0, 1, SECOND, MINUTE, HOUR, DAY), erasures=0.005
    ),
}


def nasty_stream(random: Random, count: int, spice: Spice, subjects: int = 2) -> list[bytes]:
    """Accepted canonical lines in random order, some of them twice."""
    lines: list[bytes] = []
    times: list[int] = []
    time_ms = START_MS
    for number in range(count):
        time_ms += random.choice(spice.pauses)
        at_ms = time_ms
        if times and random.random() < spice.echoes:
            at_ms = random.choice(times) + random.choice(WINDOWS) + random.choice((-1, 0, 0, 1))
        times.append(at_ms)
        lines.append(json.dumps(_event(random, number, at_ms, spice, subjects)).encode())
        if random.random() < spice.duplicates:
            lines.append(lines[-1])
    random.shuffle(lines)
    return lines


def _event(random: Random, number: int, at_ms: int, spice: Spice, subjects: int) -> dict[str, Any]:
    event: dict[str, Any] = {"event_id": f"{random.randrange(36**3):x}-{number}", "timestamp": at_ms}
    # an anonymous visitor of the same name is the same subject
    event["anonymous_id" if random.random() < spice.anonymous else "customer_id"] = f"c{random.randrange(subjects)}"
    rare = random.random()
    if rare < spice.consents:
        purposes = random.choice(({"personalization": False}, {"personalization": True}, {"ads": False}))
        event |= {"type": "consent", "purposes": purposes}
    elif rare < spice.consents + spice.erasures:
        event["type"] = "erase"
    else:
        event["type"] = random.choice(spice.kinds)
        event |= _details(random, event["type"], spice)
    if event["type"] != "erase" and random.random() < spice.sessions:
        event["session_id"] = random.choice(("s1", "s2"))
    if random.random() < 0.2:
        event["context"] = {random.choice(("device", "location", "channel")): random.choice("xyz")}
    return event


def _details(random: Random, kind: str, spice: Spice) -> dict[str, Any]:
    if kind == "products_searched":
        return {"query": "q"}
    if kind == "checkout_started":
        return {"products": [_product(random, spice)]}
    if kind.startswith("recommendation_") and spice.recommended:
        requests = ({}, {"request_id": ""}, {"request_id": "r1"}, {"request_id": "r2"})
        places = ({}, {"position": 0}, {"position": 1}, {"position": 2}, {"position": 7}, {"position": 1_000})
        return {"product_id": f"p{random.randrange(spice.products)}"} | random.choice(requests) | random.choice(places)
    if kind.startswith("recommendation_") and spice.variants:
        variant = random.choice(spice.variants)
        return {"product_id": "p0", "position": 1} | ({} if variant is None else {"variant": variant})
    if kind == "recommendation_clicked":
        return {"product_id": "p0", "variant": "a", "position": 1, "request_id": "r"}
    if not kind.startswith("order_"):
        return _product(random, spice)
    details: dict[str, Any] = {"order_id": f"o{random.randrange(spice.orders)}"}
    if kind == "order_completed" or random.random() < 0.6:
        details["products"] = [_product(random, spice) for _ in range(random.randint(1, 3))]
    if random.random() < 0.4:
        details["total"] = random.choice((0, 1, 10, 25.5, "12.345"))
    return details


def _product(random: Random, spice: Spice) -> dict[str, Any]:
    product: dict[str, Any] = {"product_id": f"p{random.randrange(spice.products)}"}
    if random.random() < 0.6:
        product["quantity"] = random.choice((1, 1, 2, 3))
    if random.random() < 0.7:
        product["price"] = random.choice((0, 1, 9.99, "0.015", 20))
    if random.random() < 0.8:
        product["category"] = f"k{random.randrange(25)}"
    return product
