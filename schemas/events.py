"""The canonical events, one type each: what a producer writes, a line per event in files, a record per event in Kafka.

The `type` field tells them apart. Fields that are not named here are ignored. Required on every event: `event_id`,
`type`, `timestamp`, and `customer_id` or `anonymous_id`; an empty string counts as absent.
"""

from decimal import Decimal
from typing import Any

import msgspec

Timestamp = int | str
"""Integer milliseconds since 1970-01-01T00:00:00Z, or RFC 3339 with a zone."""


class Context(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where an event came from. An IP address does not belong here and is not read."""

    device: str | None = None
    location: str | None = None
    channel: str | None = None


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A product of an order, a refund or a checkout. Without `quantity`: one unit. `price` is per unit."""

    product_id: str
    quantity: int | None = None
    price: Decimal | None = None
    category: str | None = None


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True, tag_field="type"):
    """What every event has."""

    event_id: str
    timestamp: Timestamp
    customer_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    context: Context | None = None
    received_at: Timestamp | None = None


class _ProductEvent(Event, frozen=True, kw_only=True):
    product_id: str
    category: str | None = None
    price: Decimal | None = None
    quantity: int | None = None
    currency: str | None = None


class ProductViewed(_ProductEvent, frozen=True, tag="product_viewed"):
    """The customer looked at a product's page."""


class ProductClicked(_ProductEvent, frozen=True, tag="product_clicked"):
    """The customer clicked a product in a list."""


class ProductAdded(_ProductEvent, frozen=True, tag="product_added"):
    """The customer put units of a product into the cart; without `quantity`, one."""


class ProductRemoved(_ProductEvent, frozen=True, tag="product_removed"):
    """The customer took units of a product out of the cart; without `quantity`, all of them."""


class WishlistAdded(_ProductEvent, frozen=True, tag="wishlist_added"):
    """The customer put a product on a wish list."""


class ProductsSearched(Event, frozen=True, tag="products_searched", kw_only=True):
    """The customer searched."""

    query: str | None = None


class CheckoutStarted(Event, frozen=True, tag="checkout_started", kw_only=True):
    """The customer went to the till."""

    products: list[Line] | None = None


class _OrderEvent(Event, frozen=True, kw_only=True):
    order_id: str
    products: list[Line] | None = None
    total: Decimal | None = None
    currency: str | None = None


class OrderCompleted(_OrderEvent, frozen=True, tag="order_completed", kw_only=True):
    """The customer bought. Its amount is `total`, else the sum of its lines."""

    coupon: str | None = None


class OrderRefunded(_OrderEvent, frozen=True, tag="order_refunded"):
    """Money was given back: for `products`, for `total`, or for the whole order when neither is given."""


class OrderCancelled(_OrderEvent, frozen=True, tag="order_cancelled"):
    """The order was called off; like a refund."""


class Identify(Event, frozen=True, tag="identify", kw_only=True):
    """An `anonymous_id` turned out to be a `customer_id`. Traits are not kept."""

    traits: dict[str, Any] | None = None


class Consent(Event, frozen=True, tag="consent", kw_only=True):
    """What the customer allows from now on. Only `personalization` is read."""

    purposes: dict[str, bool]


class Erase(Event, frozen=True, tag="erase"):
    """The customer wants to be forgotten."""


class _RecommendationEvent(Event, frozen=True, kw_only=True):
    product_id: str
    variant: str | None = None
    position: int | None = None
    request_id: str | None = None


class RecommendationShown(_RecommendationEvent, frozen=True, tag="recommendation_shown"):
    """A recommendation was on the screen."""


class RecommendationClicked(_RecommendationEvent, frozen=True, tag="recommendation_clicked"):
    """A recommendation was clicked."""


ProductEvent = ProductViewed | ProductClicked | ProductAdded | ProductRemoved | WishlistAdded
OrderEvent = OrderCompleted | OrderRefunded | OrderCancelled
RecommendationEvent = RecommendationShown | RecommendationClicked
AnyEvent = (
    ProductEvent | ProductsSearched | CheckoutStarted | OrderEvent | Identify | Consent | Erase | RecommendationEvent
)

_encode = msgspec.json.Encoder(decimal_format="number").encode


def encode_event(event: AnyEvent) -> bytes:
    """Canonical JSON of an event, without a newline; amounts are numbers, absent fields are left out."""
    return _encode(event)
