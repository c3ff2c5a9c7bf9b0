"""Canonical documents to test with: a plain one of each type, and random ones."""

import json
from typing import Any

from hypothesis import strategies as st

TIME_MS = 1_714_564_800_123
NOW_MS = 1_800_000_000_000

COMMON: dict[str, Any] = {"event_id": "e-1", "timestamp": TIME_MS, "customer_id": "c-1"}
LINES: list[dict[str, Any]] = [
    {"product_id": "p-1", "quantity": 2, "price": 3.5, "category": "mugs"},
    {"product_id": "p-2"},
]
PRODUCT: dict[str, Any] = {"product_id": "p-1", "category": "mugs", "price": 3.5, "quantity": 2, "currency": "USD"}
RECOMMENDATION: dict[str, Any] = {"product_id": "p-1", "variant": "a", "position": 3, "request_id": "r-1"}

DETAILS: dict[str, dict[str, Any]] = {
    "product_viewed": PRODUCT,
    "product_clicked": PRODUCT,
    "product_added": PRODUCT,
    "product_removed": PRODUCT,
    "wishlist_added": PRODUCT,
    "products_searched": {"query": "blue mug"},
    "checkout_started": {"products": LINES},
    "order_completed": {"order_id": "o-1", "products": LINES, "total": "7.00", "currency": "USD", "coupon": "MAY"},
    "order_refunded": {"order_id": "o-1", "products": LINES},
    "order_cancelled": {"order_id": "o-1"},
    "identify": {"anonymous_id": "a-1", "traits": {"name": "Ann", "age": 7}},
    "consent": {"purposes": {"personalization": False, "ads": True}},
    "erase": {},
    "recommendation_shown": RECOMMENDATION,
    "recommendation_clicked": RECOMMENDATION,
}


def document(event_type: str, /, **changes: Any) -> dict[str, Any]:
    """The plain document of that type with these fields changed; a field set to `...` is left out."""
    whole = {"type": event_type} | COMMON | DETAILS[event_type] | changes
    return {name: value for name, value in whole.items() if value is not ...}


def line(event_type: str, /, **changes: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(document(event_type, **changes)).encode()


ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
amounts = st.integers(0, 10**8).map(lambda cents: cents / 100)
labels = st.none() | ids
product_lines = st.lists(
    st.fixed_dictionaries(
        {"product_id": ids},
        optional={"quantity": st.integers(1, 99), "price": amounts, "category": labels},
    ),
    max_size=4,
)
contexts = st.none() | st.fixed_dictionaries({}, optional={"device": labels, "location": labels, "channel": labels})


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document of any type, with any of its optional fields."""
    event_type = draw(st.sampled_from(sorted(DETAILS)))
    changes: dict[str, Any] = {"event_id": draw(ids), "timestamp": draw(st.integers(631_152_000_000, NOW_MS))}
    changes["customer_id"] = draw(ids)
    changes["session_id"] = draw(labels)
    changes["context"] = draw(contexts)
    if "product_id" in DETAILS[event_type]:
        changes["product_id"] = draw(ids)
    if "products" in DETAILS[event_type]:
        changes["products"] = draw(product_lines)
    return document(event_type, **changes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
