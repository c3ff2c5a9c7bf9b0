"""Canonical lines read for the plain oracle: no checks, accepted lines only."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3}


@dataclass(frozen=True)
class Line:
    """One line of an order or a refund."""

    product_id: str
    quantity: int
    price_cents: int | None
    category: str | None


@dataclass(frozen=True)
class Event:
    """One event; what it does not have is None or empty."""

    time_ms: int
    event_id: str
    subject: str
    type: str
    session_id: str | None = None
    product_id: str | None = None
    category: str | None = None
    quantity: int | None = None
    order_id: str | None = None
    lines: tuple[Line, ...] = ()
    total_cents: int | None = None
    personalization: bool | None = None
    variant: str | None = None
    position: int | None = None
    request_id: str | None = None
    context: dict[str, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, str]:
        return self.time_ms, self.event_id


def parse_events(lines: Iterable[bytes], currency: str = "USD") -> list[Event]:
    """All distinct events of accepted lines, in event order; of equal ids of a subject the first line counts."""
    found: dict[tuple[str, str], Event] = {}
    for line in lines:
        event = parse_event(line, currency)
        found.setdefault((event.subject, event.event_id), event)
    return sorted(found.values(), key=lambda event: event.order)


def parse_event(line: bytes, currency: str = "USD") -> Event:
    raw = json.loads(line, parse_float=Decimal)
    context = raw.get("context") or {}
    return Event(
        time_ms=parse_time(raw["timestamp"]),
        event_id=raw["event_id"],
        subject=raw.get("customer_id") or raw["anonymous_id"],
        type=raw["type"],
        session_id=raw.get("session_id"),
        product_id=raw.get("product_id"),
        category=raw.get("category"),
        quantity=raw.get("quantity"),
        order_id=raw.get("order_id"),
        lines=tuple(_line(entry, currency) for entry in raw.get("products") or ()),
        total_cents=to_cents(raw.get("total"), currency),
        personalization=(raw.get("purposes") or {}).get("personalization"),
        variant=raw.get("variant"),
        position=raw.get("position"),
        request_id=raw.get("request_id"),
        context={name: context[name] for name in ("device", "location", "channel") if context.get(name) is not None},
    )


def _line(entry: dict[str, Any], currency: str) -> Line:
    quantity = entry.get("quantity")
    return Line(
        entry["product_id"],
        1 if quantity is None else quantity,
        to_cents(entry.get("price"), currency),
        entry.get("category"),
    )


def to_cents(amount: Any, currency: str) -> int | None:
    if amount is None:
        return None
    scaled = Decimal(str(amount)).scaleb(EXPONENTS.get(currency, 2))
    return int(scaled.to_integral_value(rounding=ROUND_HALF_EVEN))


def parse_time(stamp: int | str) -> int:
    if isinstance(stamp, int):
        return stamp
    body, fraction = stamp.upper().replace("Z", "+00:00"), 0
    if "." in body:  # `fromisoformat` knows microseconds only, and the rest is cut off anyway
        head, tail = body.split(".")
        digits = len(tail) - len(tail.lstrip("0123456789"))
        fraction = int(tail[:digits][:3].ljust(3, "0"))
        body = head + tail[digits:]
    since = datetime.fromisoformat(body) - EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + fraction
