"""Segment's tracking messages, one a line: the Ecommerce Spec's event names, version 2 and version 1.

Sources: the Segment documentation, "Spec: V2 Ecommerce Events", "Spec: V1 Ecommerce Events", "Spec: Common Fields".
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.adapters import fields
from schemas.adapters.fields import Converted
from schemas.rejects import Reason, Rejected

Properties = dict[str, Any]

TYPES: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})
"""What the `type` of a Segment message can be."""

EVENTS: Final[Mapping[str, str]] = {
    "product viewed": "product_viewed",
    "viewed product": "product_viewed",
    "product clicked": "product_clicked",
    "clicked product": "product_clicked",
    "product added": "product_added",
    "added product": "product_added",
    "wishlist product added to cart": "product_added",
    "product removed": "product_removed",
    "removed product": "product_removed",
    "product added to wishlist": "wishlist_added",
    "added product to wishlist": "wishlist_added",
    "products searched": "products_searched",
    "searched products": "products_searched",
    "checkout started": "checkout_started",
    "started checkout": "checkout_started",
    "order completed": "order_completed",
    "completed order": "order_completed",
    "order refunded": "order_refunded",
    "refunded order": "order_refunded",
    "order cancelled": "order_cancelled",
    "cancelled order": "order_cancelled",
    "segment consent preference updated": "consent",
}
"""Event names in lower case, to canonical types."""


def convert(raw: bytes) -> Converted:
    """The canonical event of a Segment message, or why there is none."""
    try:
        return [_convert(fields.load(raw))]
    except Rejected as rejected:
        return [rejected.with_traceback(None)]


def _convert(message: dict[str, Any]) -> bytes:
    kind = message.get("type")
    if kind == "identify":
        return fields.dump({"type": "identify"} | _common(message))
    if kind != "track":
        if isinstance(kind, str) and kind in TYPES:
            raise Rejected(Reason.NOT_A_SHOP_EVENT, f"$.type: {kind!r} messages say nothing that is kept")
        raise Rejected(Reason.UNKNOWN_TYPE, f"$.type: {kind!r} is no type of Segment message")
    name = message.get("event")
    if not isinstance(name, str):
        raise Rejected(Reason.MISSING_FIELD, "$.event: a track message needs the name of its event")
    event_type = EVENTS.get(" ".join(name.lower().split()))
    if event_type is None:
        raise Rejected(Reason.NOT_A_SHOP_EVENT, f"$.event: {name!r} is not an event of a shop that is kept")
    properties = fields.part(message, "properties")
    return fields.dump({"type": event_type} | _common(message) | _DETAILS[event_type](properties, message))


def _common(message: dict[str, Any]) -> dict[str, Any]:
    context = fields.part(message, "context")
    campaign = fields.part(context, "campaign")
    return {
        "event_id": fields.identifier(fields.first(message, "messageId", "message_id")),
        "timestamp": fields.first(message, "timestamp", "originalTimestamp", "sentAt"),
        "customer_id": fields.identifier(fields.first(message, "userId", "user_id")),
        "anonymous_id": fields.identifier(fields.first(message, "anonymousId", "anonymous_id")),
        "session_id": fields.identifier(
            fields.first(context, "sessionId", "session_id")
            or fields.first(fields.part(message, "properties"), "session_id", "sessionId")
        ),
        "context": fields.context(
            fields.part(context, "device").get("type"),
            fields.first(fields.part(context, "location"), "country", "city"),
            fields.first(campaign, "medium", "source") or message.get("channel"),
        ),
    }


def _product(properties: Properties) -> dict[str, Any]:
    known = {
        "product_id": fields.identifier(fields.first(properties, "product_id", "productId", "id", "sku")),
        "category": fields.label(properties.get("category")),
        "price": fields.first(properties, "price"),
        "quantity": fields.quantity(properties.get("quantity")),
    }
    return {name: value for name, value in known.items() if value is not None}


def _products(properties: Properties) -> list[dict[str, Any]] | None:
    lines = fields.objects(properties, "products")
    return None if lines is None else [_product(line) for line in lines]


def _product_event(properties: Properties, _: dict[str, Any]) -> dict[str, Any]:
    return _product(properties) | {"currency": properties.get("currency")}


def _search(properties: Properties, _: dict[str, Any]) -> dict[str, Any]:
    return {"query": fields.label(properties.get("query"))}


def _checkout(properties: Properties, _: dict[str, Any]) -> dict[str, Any]:
    return {"products": _products(properties)}


def _order(properties: Properties, _: dict[str, Any]) -> dict[str, Any]:
    return {
        "order_id": fields.identifier(fields.first(properties, "order_id", "orderId", "id")),
        "products": _products(properties),
        # version 2 has `total`, with shipping and taxes; where only `revenue` was sent it is the best there is
        "total": fields.first(properties, "total", "revenue"),
        "currency": fields.first(properties, "currency"),
        "coupon": fields.label(properties.get("coupon")),
    }


def _consent(_: Properties, message: dict[str, Any]) -> dict[str, Any]:
    choices = fields.part(fields.part(fields.part(message, "context"), "consent"), "categoryPreferences")
    if not choices:
        raise Rejected(Reason.MISSING_FIELD, "$.context.consent.categoryPreferences: what the customer chose")
    return {"purposes": {name.lower(): allowed for name, allowed in choices.items()}}


_DETAILS: Final[Mapping[str, Callable[[Properties, dict[str, Any]], dict[str, Any]]]] = {
    "product_viewed": _product_event,
    "product_clicked": _product_event,
    "product_added": _product_event,
    "product_removed": _product_event,
    "wishlist_added": _product_event,
    "products_searched": _search,
    "checkout_started": _checkout,
    "order_completed": _order,
    "order_refunded": _order,
    "order_cancelled": _order,
    "consent": _consent,
}
