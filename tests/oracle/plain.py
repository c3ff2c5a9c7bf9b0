"""All features of one customer from scratch, in plain Python: nothing is carried from one event to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .events import Event, Line

MINUTE = 60_000
DAY = 86_400_000
WINDOWS = (1, 7, 14, 30, 90)
GAP = 30 * MINUTE
ID_IDLE = DAY
COUNTED = {
    "views": "product_viewed",
    "cart_adds": "product_added",
    "searches": "products_searched",
    "wishlist_adds": "wishlist_added",
}
ENGAGEMENT = {
    "product_viewed": 1,
    "product_clicked": 1,
    "products_searched": 1,
    "wishlist_added": 2,
    "product_added": 3,
    "checkout_started": 4,
    "order_completed": 8,
    "recommendation_clicked": 1,
}
INTEREST = {"product_viewed": 1, "product_clicked": 1, "wishlist_added": 2, "product_added": 3}
LINE_INTEREST = 5
UNDOING = ("order_refunded", "order_cancelled")

Features = dict[str, Any]


@dataclass
class History:
    """What counts of a customer's events as of a moment."""

    applied: list[Event]
    denied: bool
    """Whether consent is withdrawn at that moment."""


def history_of(events: Iterable[Event], as_of_ms: int) -> History:
    """The applied events up to a moment, after the last erasure; those suppressed by a lack of consent are left out.

    An erasure leaves nothing behind, not even a withdrawal of consent before it.
    """
    applied: list[Event] = []
    denied = False
    for event in sorted(events, key=lambda event: event.order):
        if event.time_ms > as_of_ms:
            break
        if event.type == "erase":
            applied, denied = [], False
        elif event.type == "consent":
            applied.append(event)
            if event.personalization is not None:
                denied = not event.personalization
        elif not denied:
            applied.append(event)
    return History(applied, denied)


def features_at(events: Iterable[Event], as_of_ms: int) -> Features:
    """Every feature of one customer as of a moment; absent ones are None. Empty if there is no applied event."""
    applied = history_of(events, as_of_ms).applied
    return features_of(applied, Standing.of(applied), as_of_ms) if applied else {}


@dataclass
class Standing:
    """What some applied events say by themselves, whatever the time since; worked out once for many moments."""

    sessions: list["Session"]
    orders: list["Order"]
    unknown: list[tuple[int, int]]
    cart_open: bool
    engagement: tuple[float, int]
    """Score, and the time that it is of."""
    top_categories: list[str]
    context: dict[str, str | None]

    @classmethod
    def of(cls, applied: list[Event]) -> "Standing":
        context = {
            name: next((e.context[name] for e in reversed(applied) if name in e.context), None)
            for name in ("device", "location", "channel")
        }
        return cls(
            sessions_of(applied), *orders_of(applied), bool(cart_of(applied)), engagement_of(applied),
            top_categories(applied), context,
        )  # fmt: skip


def features_of(applied: list[Event], standing: Standing, as_of_ms: int) -> Features:
    """As `features_at`, of one applied event or more and what they say."""
    features: Features = {}
    for days in WINDOWS:
        inside = [event.type for event in applied if event.time_ms > as_of_ms - days * DAY]
        for metric, kind in COUNTED.items():
            features[f"{metric}_{days}d"] = inside.count(kind)
    features["first_seen_ms"] = applied[0].time_ms
    features["last_seen_ms"] = applied[-1].time_ms
    features["since_first_seen_ms"] = as_of_ms - applied[0].time_ms
    features["since_last_seen_ms"] = as_of_ms - applied[-1].time_ms
    _add_sessions(features, standing.sessions, as_of_ms)
    _add_orders(features, standing, as_of_ms)
    abandoned_ms = applied[-1].time_ms + GAP
    features["cart_open"] = standing.cart_open
    features["cart_abandoned_at_ms"] = abandoned_ms if standing.cart_open and as_of_ms >= abandoned_ms else None
    features["engagement"] = decayed(*standing.engagement, as_of_ms)
    features["top_categories"] = list(standing.top_categories)
    return features | standing.context


@dataclass
class Session:
    first_ms: int
    last_ms: int


def sessions_of(applied: list[Event]) -> list[Session]:
    """All sessions, by their first events."""
    return list({id(session): session for session in session_of_each(applied)}.values())


def session_of_each(applied: list[Event]) -> list[Session]:
    """The session that each event belongs to.

    The idle time of an id is counted from the last event of its session, be that one with an id or without.
    """
    found: list[Session] = []
    by_id: dict[str, Session] = {}
    previous_ms = 0
    for event in applied:
        session: Session | None = None
        if event.session_id is not None:
            session = by_id.get(event.session_id)
            if session is not None and event.time_ms - session.last_ms > ID_IDLE:
                session = None
        elif found and event.time_ms - previous_ms <= GAP:
            session = found[-1]
        if session is None:
            session = Session(event.time_ms, event.time_ms)
        if event.session_id is not None:
            by_id[event.session_id] = session
        session.last_ms = previous_ms = event.time_ms
        found.append(session)
    return found


def _add_sessions(features: Features, sessions: list[Session], as_of_ms: int) -> None:
    for days in WINDOWS:
        inside = [session for session in sessions if session.first_ms > as_of_ms - days * DAY]
        features[f"sessions_{days}d"] = len(inside)
        features[f"session_ms_{days}d"] = sum(session.last_ms - session.first_ms for session in inside)


@dataclass
class Order:
    """An order and what was undone of it."""

    time_ms: int
    event_id: str
    amount: int
    units: dict[str, int]
    prices: dict[str, int]
    taken: int = 0
    whole: bool = False
    left: dict[str, int] = field(default_factory=dict)

    @property
    def net(self) -> int:
        return max(0, self.amount - self.taken)

    @property
    def counts(self) -> bool:
        """Whether it is not wholly refunded. Of a free order, nothing can be taken but its units."""
        used_up = self.amount > 0 and self.net == 0
        returned = bool(self.units) and not any(self.left.values())
        return not (self.whole or used_up or returned)


def _make_order(event: Event) -> Order:
    units: dict[str, int] = {}
    prices: dict[str, int] = {}
    for line in event.lines:
        units[line.product_id] = units.get(line.product_id, 0) + line.quantity
        if line.price_cents is not None:
            prices.setdefault(line.product_id, line.price_cents)
    amount = event.total_cents
    if amount is None:
        amount = sum((line.price_cents or 0) * line.quantity for line in event.lines)
    return Order(event.time_ms, event.event_id, amount, units, prices, left=dict(units))


def orders_of(applied: list[Event]) -> tuple[list[Order], list[tuple[int, int]]]:
    """The orders, and (time, amount) of what was refunded of unknown ones."""
    orders = order_by_id(applied)
    unknown = [
        (event.time_ms, _unknown_amount(event))
        for event in applied
        if event.type in UNDOING and event.order_id not in orders
    ]
    return list(orders.values()), unknown


def order_by_id(applied: list[Event]) -> dict[str, Order]:
    """The orders with what was undone of them.

    All orders that are known as of now are made first: where a refund stands in event order does not matter.
    """
    orders: dict[str, Order] = {}
    for event in applied:
        if event.type == "order_completed":
            assert event.order_id is not None
            orders.setdefault(event.order_id, _make_order(event))
    for event in applied:
        if event.type in UNDOING and event.order_id in orders:
            _undo(orders[event.order_id], event)
    return orders


def _undo(order: Order, event: Event) -> None:
    for line in event.lines:
        if line.product_id in order.left:
            order.left[line.product_id] = max(0, order.left[line.product_id] - line.quantity)
    if event.total_cents is not None:
        order.taken += event.total_cents
    elif event.lines:
        order.taken += sum(line.quantity * _refund_price(line, order) for line in event.lines)
    else:
        order.whole = True
        order.taken = order.amount


def _refund_price(line: Line, order: Order) -> int:
    return order.prices.get(line.product_id, 0) if line.price_cents is None else line.price_cents


def _unknown_amount(event: Event) -> int:
    if event.total_cents is not None:
        return event.total_cents
    return sum(line.quantity * (line.price_cents or 0) for line in event.lines)


def _add_orders(features: Features, standing: Standing, as_of_ms: int) -> None:
    orders, unknown = standing.orders, standing.unknown
    whole = [order for order in orders if order.counts]
    for days in WINDOWS:
        start = as_of_ms - days * DAY
        features[f"orders_{days}d"] = sum(order.time_ms > start for order in whole)
        features[f"revenue_{days}d_cents"] = sum(order.net for order in orders if order.time_ms > start) - sum(
            amount for time_ms, amount in unknown if time_ms > start
        )
    count = len(whole)
    revenue = sum(order.net for order in orders) - sum(amount for _, amount in unknown)
    newest = max((order.time_ms for order in whole), default=0)
    oldest = min((order.time_ms for order in whole), default=0)
    features["orders_total"] = count
    features["revenue_total_cents"] = revenue
    features["average_order_cents"] = revenue // count if count else None
    features["recency_ms"] = as_of_ms - newest if count else None
    features["purchase_interval_ms"] = (newest - oldest) // (count - 1) if count > 1 else None


def cart_of(applied: list[Event]) -> dict[str, int]:
    """Units by product, the most recently added last. An order that is reported again takes nothing out."""
    cart: dict[str, int] = {}
    known: set[str | None] = set()
    for event in applied:
        if event.type == "product_added":
            assert event.product_id is not None
            units = cart.pop(event.product_id, 0)
            cart[event.product_id] = units + (1 if event.quantity is None else event.quantity)
            if len(cart) > 50:
                del cart[next(iter(cart))]
        elif event.type == "product_removed":
            assert event.product_id is not None
            left = cart.get(event.product_id, 0) - event.quantity if event.quantity is not None else 0
            if left > 0:
                cart[event.product_id] = left
            else:
                cart.pop(event.product_id, None)
        elif event.type == "order_completed" and event.order_id not in known:
            known.add(event.order_id)
            for line in event.lines:
                cart.pop(line.product_id, None)
            if not event.lines:
                cart.clear()
    return cart


def engagement_of(applied: list[Event]) -> tuple[float, int]:
    """Score and time of it, decayed only at events that weigh something: a needless step would add to the rounding."""
    score, at_ms = 0.0, 0
    for event in applied:
        if weight := ENGAGEMENT.get(event.type, 0):
            score = score * 0.5 ** ((event.time_ms - at_ms) / (7 * DAY)) + weight
            at_ms = event.time_ms
    return score, at_ms


def decayed(score: float, at_ms: int, as_of_ms: int) -> float:
    """A score of `at_ms` as of a later moment."""
    return float(score * 0.5 ** ((as_of_ms - at_ms) / (7 * DAY)))


def top_categories(applied: list[Event]) -> list[str]:
    """Up to five names; scores are relative to each other, so they are not decayed to any other moment."""
    scores: dict[str, float] = {}
    at_ms = 0
    known: set[str | None] = set()
    for event in applied:
        gained: list[tuple[str | None, int]] = []
        if event.type in INTEREST:
            gained = [(event.category, INTEREST[event.type])]
        elif event.type == "order_completed" and event.order_id not in known:
            known.add(event.order_id)
            gained = [(line.category, LINE_INTEREST) for line in event.lines]
        factor = 0.5 ** ((event.time_ms - at_ms) / (30 * DAY))
        at_ms = event.time_ms
        scores = {name: score * factor for name, score in scores.items()}
        for name, weight in gained:
            if name is not None:
                scores[name] = scores.get(name, 0.0) + weight
        scores = {name: scores[name] for name in ranked(scores)[:20]}
    return ranked(scores)[:5]


def ranked(scores: dict[str, float]) -> list[str]:
    """Names by score, then name; scores that differ in the last digits only are equal."""
    return sorted(scores, key=lambda name: (-float(f"{scores[name]:.9e}"), name))
