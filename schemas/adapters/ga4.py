"""Rows of Google Analytics 4's BigQuery export (`events_YYYYMMDD`), one JSON object a line.

A row about several products becomes one event for each of them. The export has no event ids, so they are derived from
what tells rows apart: exporting the same day again gives the same ids.

Source: Google's documentation, "[GA4] BigQuery Export schema" and "Measure ecommerce".
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from schemas.adapters import fields
from schemas.adapters.fields import Converted
from schemas.rejects import Reason, Rejected

Row = dict[str, Any]
Parameters = dict[str, Any]

PER_ITEM: Final[Mapping[str, str]] = {
    "view_item": "product_viewed",
    "select_item": "product_clicked",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "add_to_wishlist": "wishlist_added",
}
PER_ROW: Final[Mapping[str, str]] = {
    "search": "products_searched",
    "view_search_results": "products_searched",
    "begin_checkout": "checkout_started",
    "purchase": "order_completed",
    "ecommerce_purchase": "order_completed",
    "refund": "order_refunded",
}

_NOT_SET: Final = "(not set)"
_IDENTITY: Final = (
    "stream_id",
    "event_timestamp",
    "event_name",
    "event_bundle_sequence_id",
    "batch_page_id",
    "batch_ordering_id",
    "batch_event_index",
)
_canonical = msgspec.json.Encoder(decimal_format="number").encode


def convert(raw: bytes) -> Converted:
    """The canonical events of a row, one for each product where that is what the row is about."""
    try:
        return _convert(fields.load(raw))
    except Rejected as rejected:
        return [rejected.with_traceback(None)]


def _convert(row: Row) -> Converted:
    name = row.get("event_name")
    if not isinstance(name, str):
        raise Rejected(Reason.MISSING_FIELD, "$.event_name: a row of the export has the name of its event")
    if name in PER_ITEM:
        return _per_item(PER_ITEM[name], row, _parameters(row))
    if name in PER_ROW:
        return [_per_row(PER_ROW[name], row, _parameters(row))]
    raise Rejected(Reason.NOT_A_SHOP_EVENT, f"$.event_name: {name!r} is not an event of a shop that is kept")


def _common(row: Row, parameters: Parameters) -> dict[str, Any]:
    collected = fields.part(row, "collected_traffic_source")
    source = fields.part(row, "traffic_source")
    return {
        "timestamp": _time_ms(row.get("event_timestamp")),
        "customer_id": fields.identifier(_set(row.get("user_id"))),
        "anonymous_id": fields.identifier(_set(row.get("user_pseudo_id"))),
        # unique within a user, which is all that a session id has to be
        "session_id": fields.identifier(parameters.get("ga_session_id")),
        "context": fields.context(
            _set(fields.part(row, "device").get("category")),
            _set(fields.part(row, "geo").get("country")),
            _set(collected.get("manual_medium")) or _set(source.get("medium")),
        ),
    }


def _per_item(event_type: str, row: Row, parameters: Parameters) -> Converted:
    items = fields.objects(row, "items")
    if not items:
        raise Rejected(Reason.MISSING_FIELD, f"$.items: a {row['event_name']} names at least one product")
    events: Converted = []
    common = _common(row, parameters) | {"currency": parameters.get("currency")}
    for index, item in enumerate(items):
        line = _line(item)
        if "product_id" not in line:
            events.append(Rejected(Reason.MISSING_FIELD, f"$.items[{index}]: neither item_id nor item_name"))
            continue
        identity = {"event_id": _event_id(row, parameters, index, line["product_id"])}
        events.append(fields.dump({"type": event_type} | identity | common | line))
    return events


def _per_row(event_type: str, row: Row, parameters: Parameters) -> bytes:
    event = {"type": event_type, "event_id": _event_id(row, parameters, None, None)} | _common(row, parameters)
    if event_type == "products_searched":
        return fields.dump(event | {"query": fields.label(parameters.get("search_term"))})
    event["products"] = [_line(item) for item in fields.objects(row, "items") or ()] or None
    if event_type == "checkout_started":
        return fields.dump(event)
    ecommerce = fields.part(row, "ecommerce")
    order_id = _transaction(row, parameters)
    if order_id is None and event_type == "order_completed":
        order_id = event["event_id"]  # a purchase that nobody will be able to refer to is still a purchase
    amount = "purchase_revenue" if event_type == "order_completed" else "refund_value"
    total = fields.first(ecommerce, amount)
    return fields.dump(
        event
        | {
            "order_id": order_id,
            "total": parameters.get("value") if total is None else total,
            "currency": parameters.get("currency"),
            "coupon": fields.label(parameters.get("coupon")),
        }
    )


def _line(item: dict[str, Any]) -> dict[str, Any]:
    known = {
        "product_id": fields.identifier(_set(item.get("item_id")) or _set(item.get("item_name"))),
        "category": fields.label(_set(item.get("item_category"))),
        "price": fields.first(item, "price"),
        "quantity": fields.quantity(item.get("quantity")),
    }
    return {name: value for name, value in known.items() if value is not None}


def _time_ms(value: Any) -> int:
    """Milliseconds of the export's microseconds, which BigQuery writes as text because they are 64-bit integers."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Rejected(
            Reason.INVALID_TIMESTAMP, f"$.event_timestamp: microseconds since 1970 are needed, got {value!r}"
        )
    return value // 1_000


def _parameters(row: Row) -> Parameters:
    """The event's parameters by name, each with the value of whichever type it has."""
    listed = row.get("event_params")
    return {
        parameter["key"]: _set(
            fields.first(fields.part(parameter, "value"), "string_value", "int_value", "double_value", "float_value")
        )
        for parameter in (listed if isinstance(listed, list) else ())
        if isinstance(parameter, dict) and isinstance(parameter.get("key"), str)
    }


def _transaction(row: Row, parameters: Parameters) -> Any:
    value = _set(fields.part(row, "ecommerce").get("transaction_id"))
    return fields.identifier(parameters.get("transaction_id") if value is None else value)


def _set(value: Any) -> Any:
    return None if value in ("", _NOT_SET) else value


def _event_id(row: Row, parameters: Parameters, index: int | None, product_id: Any) -> str:
    user = row.get("user_pseudo_id") or row.get("user_id")
    identity = [
        user,
        *(_plain(row.get(name)) for name in _IDENTITY),
        _plain(_transaction(row, parameters)),
        index,
        product_id,
    ]
    return f"ga4-{hashlib.blake2b(_canonical(identity), digest_size=16).hexdigest()}"


def _plain(value: Any) -> Any:
    """64-bit integers come as text or as numbers, depending on the tool that exported them: one id for both."""
    return str(value) if isinstance(value, int | Decimal) else value
