"""From the bytes of one canonical event to the fact that state is folded from. The hottest code there is in Python.

Every record that passes is checked whole, so that nothing behind this module has to doubt an id, a time or an amount.
"""

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from schemas import diagnosis, events
from schemas.events import AnyEvent, Line
from schemas.facts import LAST_POSITION, Fact, FactLine, Kind
from schemas.money import Money, check_amount
from schemas.rejects import Reason, Rejected
from schemas.settings import Settings
from schemas.timestamps import EARLIEST_MS, format_ms, parse_rfc3339
from schemas.variant_label import arms_of

ID_MAX_BYTES: Final = 512
"""Bound of every id and label, in bytes of UTF-8: they are kept in state and become parts of Redis keys."""
MAX_QUANTITY: Final = 10**9
"""Units of one product; more are taken for a mistake."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
# Decimal() also reads "1_000" and digits of other scripts; a producer that writes those means something else
_ODD_AMOUNT: Final = re.compile(rb'"(?:price|total)"\s*:\s*"[^"]*[^-+.0-9eE\s"]').search
_FIRST_WITH_LINES: Final = int(Kind.CHECKOUT_STARTED)
_LAST_WITH_LINES: Final = int(Kind.ORDER_CANCELLED)
_NO_CONTEXT: Final = events.Context()


def wall_clock_ms() -> int:
    """Milliseconds since the epoch by this machine's clock."""
    return time.time_ns() // 1_000_000


class Decoder:
    """Decodes and checks one record at a time. Not for use by several threads at once.

    Raises:
        ValueError: `settings.rates` holds a rate that is not a positive number.
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._max_bytes = settings.max_record_bytes
        self._max_future_ms = settings.max_future_ms
        self._now_ms = now_ms
        # The clock is asked only when a time lies beyond what was allowed at the last look; it never runs back.
        self._latest_ms = EARLIEST_MS - 1
        self._money = Money(settings.currency, settings.rates)
        self._request = "", ""  # the last request's id, and what is kept of it
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(AnyEvent).decode
        self._builders: dict[type, tuple[int, Callable[[Any, int, int, Any], Fact]]] = {
            events.ProductViewed: (int(Kind.PRODUCT_VIEWED), self._product),
            events.ProductClicked: (int(Kind.PRODUCT_CLICKED), self._product),
            events.ProductAdded: (int(Kind.PRODUCT_ADDED), self._product),
            events.ProductRemoved: (int(Kind.PRODUCT_REMOVED), self._product),
            events.WishlistAdded: (int(Kind.WISHLIST_ADDED), self._product),
            events.ProductsSearched: (int(Kind.PRODUCTS_SEARCHED), self._plain),
            events.CheckoutStarted: (int(Kind.CHECKOUT_STARTED), self._checkout),
            events.OrderCompleted: (int(Kind.ORDER_COMPLETED), self._order),
            events.OrderRefunded: (int(Kind.ORDER_REFUNDED), self._order),
            events.OrderCancelled: (int(Kind.ORDER_CANCELLED), self._order),
            events.Identify: (int(Kind.IDENTIFY), self._plain),
            events.Consent: (int(Kind.CONSENT), self._consent),
            events.Erase: (int(Kind.ERASE), self._plain),
            events.RecommendationShown: (int(Kind.RECOMMENDATION_SHOWN), self._recommendation),
            events.RecommendationClicked: (int(Kind.RECOMMENDATION_CLICKED), self._recommendation),
        }

    def decode(self, raw: bytes | memoryview) -> tuple[str, Fact]:
        """The subject (customer, else anonymous visitor) and the fact of one event.

        Raises:
            Rejected: the record cannot be used, for the reason it carries; nothing else is ever raised.
        """
        size = len(raw) if raw.__class__ is bytes else memoryview(raw).nbytes
        if size > self._max_bytes:
            raise Rejected(Reason.RECORD_TOO_LARGE, f"{size:,} bytes; at most {self._max_bytes:,} are allowed")
        if raw.__class__ is not bytes:
            raw = bytes(raw)
        try:
            event = self._decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise (diagnosis.invalid_utf8(raw) or diagnosis.explain(raw, error)) from None
        # A short record of printable signs cannot hold an id that is too long or has a control character in it.
        if size > ID_MAX_BYTES or b"\\" in raw or b"\x7f" in raw or not (raw.isascii() or _is_printable(raw)):
            _check_text(raw, event)
        subject: str | None = event.customer_id or event.anonymous_id
        if not subject:
            raise Rejected(Reason.NO_SUBJECT, "neither $.customer_id nor $.anonymous_id says whose event this is")
        if not event.event_id:
            raise Rejected(Reason.EMPTY_EVENT_ID, "$.event_id is empty, so a repetition could not be told")
        time_ms = event.timestamp
        if time_ms.__class__ is not int:
            try:
                time_ms = parse_rfc3339(time_ms)
            except ValueError as error:
                raise Rejected(Reason.INVALID_TIMESTAMP, f"$.timestamp: {error}; got {event.timestamp!r}") from None
        if not EARLIEST_MS <= time_ms <= self._latest_ms:
            self._check_time(time_ms)
        kind, build = self._builders[event.__class__]
        if _FIRST_WITH_LINES <= kind <= _LAST_WITH_LINES and _ODD_AMOUNT(raw):
            raise Rejected(Reason.INVALID_AMOUNT, "an amount is written with signs that do not belong in a number")
        return subject, build(event, kind, time_ms, event.context or _NO_CONTEXT)

    def _check_time(self, time_ms: int) -> None:
        if time_ms < EARLIEST_MS:
            hint = " (is it in seconds? milliseconds are needed)" if 10**8 <= time_ms < 10**11 else ""
            raise Rejected(Reason.TIMESTAMP_TOO_OLD, f"$.timestamp: {format_ms(time_ms)} is before 1990{hint}")
        self._latest_ms = max(self._latest_ms, self._now_ms() + self._max_future_ms)
        if time_ms > self._latest_ms:
            raise Rejected(
                Reason.TIMESTAMP_IN_FUTURE,
                f"$.timestamp: {format_ms(time_ms)} is more than {self._max_future_ms:,} ms ahead of the clock",
            )

    def _plain(self, event: events.Event, kind: int, time_ms: int, context: events.Context) -> Fact:
        return Fact(
            time_ms,
            event.event_id,
            kind,
            None,
            None,
            event.session_id or None,
            context.device or None,
            context.location or None,
            context.channel or None,
        )

    def _product(self, event: events.ProductViewed, kind: int, time_ms: int, context: events.Context) -> Fact:
        quantity = event.quantity
        if quantity is not None and not 0 < quantity <= MAX_QUANTITY:
            raise _bad_quantity("$.quantity", quantity)
        if event.price is not None:
            check_amount(event.price, "$.price")
        return Fact(
            time_ms,
            event.event_id,
            kind,
            event.product_id or _empty("$.product_id"),
            event.category or None,
            event.session_id or None,
            context.device or None,
            context.location or None,
            context.channel or None,
            quantity,
        )

    def _recommendation(
        self, event: events.RecommendationShown, kind: int, time_ms: int, context: events.Context
    ) -> Fact:
        return Fact(
            time_ms,
            event.event_id,
            kind,
            event.product_id or _empty("$.product_id"),
            None,
            event.session_id or None,
            context.device or None,
            context.location or None,
            context.channel or None,
            _place(event.position),
            self._request_key(event.request_id) if event.request_id else None,
            variant=event.variant if event.variant and arms_of(event.variant) else None,
        )

    def _request_key(self, request_id: str) -> str:
        """All that is kept of a request's id, however long it is: enough to tell a customer's requests apart."""
        if request_id != self._request[0]:  # what is shown of one answer comes together
            digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8)
            self._request = request_id, digest.hexdigest()
        return self._request[1]

    def _consent(self, event: events.Consent, kind: int, time_ms: int, context: events.Context) -> Fact:
        return msgspec.structs.replace(
            self._plain(event, kind, time_ms, context), personalization=event.purposes.get("personalization")
        )

    def _checkout(self, event: events.CheckoutStarted, kind: int, time_ms: int, context: events.Context) -> Fact:
        # Prices at the till are looked at by nobody; they are checked, but a currency without a rate does no harm.
        lines = self._lines(event.products, None) if event.products else ()
        return msgspec.structs.replace(self._plain(event, kind, time_ms, context), lines=lines)

    def _order(self, event: events.OrderCompleted, kind: int, time_ms: int, context: events.Context) -> Fact:
        rate = self._money.rate(event.currency)
        total = event.total
        return Fact(
            time_ms,
            event.event_id,
            kind,
            None,
            None,
            event.session_id or None,
            context.device or None,
            context.location or None,
            context.channel or None,
            None,
            event.order_id or _empty("$.order_id"),
            self._lines(event.products, event.currency) if event.products else (),
            None if total is None else self._money.cents(total, rate, "$.total"),
        )

    def _lines(self, products: list[Line], currency: str | None) -> tuple[FactLine, ...]:
        rate = self._money.rate(currency)
        cents = self._money.cents
        lines: list[FactLine] = []
        amount_cents = 0
        for index, line in enumerate(products):
            quantity = 1 if line.quantity is None else line.quantity
            if not 0 < quantity <= MAX_QUANTITY:
                raise _bad_quantity(f"$.products[{index}].quantity", quantity)
            price = line.price
            price_cents = None if price is None else cents(price, rate, f"$.products[{index}].price")
            if price_cents:
                amount_cents += price_cents * quantity
            product_id = line.product_id or _empty(f"$.products[{index}].product_id")
            lines.append((product_id, quantity, price_cents, line.category or None))
        if amount_cents > self._money.max_cents:
            raise Rejected(Reason.INVALID_AMOUNT, f"$.products: together more than {self._money.max_cents:,} cents")
        return tuple(lines)


def _place(position: int | None) -> int | None:
    """Where a recommendation was; None: in the first place, or nobody knows."""
    return None if position is None or position <= 1 else min(position, LAST_POSITION)


def _bad_quantity(path: str, quantity: int) -> Rejected:
    return Rejected(Reason.INVALID_QUANTITY, f"{path}: from 1 to {MAX_QUANTITY:,} units, got {quantity}")


def _empty(path: str) -> str:
    raise Rejected(Reason.MISSING_FIELD, f"{path} is empty")


def _is_printable(raw: bytes) -> bool:
    """Whether these are printable characters in valid UTF-8."""
    try:
        return raw.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _check_text(raw: bytes, event: AnyEvent) -> None:
    """Check what only records that are long, hold escapes, or something that cannot be printed can have wrong."""
    if not raw.isascii() and (rejected := diagnosis.invalid_utf8(raw)):
        raise rejected
    if diagnosis.is_too_deep(raw):
        raise diagnosis.too_deep()
    for name in ("event_id", "customer_id", "anonymous_id", "session_id", "product_id", "order_id", "category"):
        _check_id(getattr(event, name, None), name)
    if event.context is not None:
        for name in ("device", "location", "channel"):
            _check_id(getattr(event.context, name), f"context.{name}")
    for index, line in enumerate(getattr(event, "products", None) or ()):
        _check_id(line.product_id, "products[{}].product_id", index)
        _check_id(line.category, "products[{}].category", index)


def _check_id(text: str | None, path: str, index: int = 0) -> None:
    if not text or (len(text) <= ID_MAX_BYTES // 4 and text.isprintable()):
        return
    if len(text) > ID_MAX_BYTES or len(text.encode("utf-8")) > ID_MAX_BYTES:
        raise Rejected(Reason.ID_TOO_LONG, f"$.{path.format(index)}: more than {ID_MAX_BYTES} bytes of UTF-8")
    if _CONTROL(text):
        raise Rejected(Reason.INVALID_ID, f"$.{path.format(index)}: a control character, in {text[:80]!r}")
