"""The fold: every fact of one customer, applied in event order, into what the features are read from.

`apply` only ever sees facts in order; lateness is somebody else's trouble (see customer.py, which rewinds the fold to
a snapshot and applies again). So each part below needs to know only "next" and "as of".
"""

from collections.abc import Callable
from math import exp2
from typing import Any

from schemas.facts import Fact, Kind
from schemas.settings import Settings
from state.chunks import ChunkStore, RecordColumn
from state.customer.cart import Cart
from state.customer.counts import DAY_MS, NEVER_MS, SlidingCount
from state.customer.interests import Interests
from state.customer.orders import OrderBook
from state.customer.sessions import Sessions

ENGAGEMENT_HALF_LIFE_MS = 7 * DAY_MS
VIEWS_PER_CHUNK = 256
KIND_NUMBERS = 64  # kinds of events, with room to grow
_VIEWED, _CONSENT = int(Kind.PRODUCT_VIEWED), int(Kind.CONSENT)  # plain integers compare faster

# Columns of sealed chunks; the numbers are stored, so they never change their meaning.
VIEWS, CART_ADDS, SEARCHES, WISHLIST_ADDS, SESSIONS, ORDERS, VIEWED, RECENT = 0, 1, 2, 3, 4, 6, 7, 8


class Fold:
    """A customer as of `clock_ms`. Every method but `rewind` moves forward only."""

    __slots__ = (
        "applied", "cart", "cart_adds", "channel", "clock_ms", "denied", "device", "engagement", "engagement_at_ms",
        "expires_ms", "first_seen_ms", "gap_ms", "interests", "last_seen_ms", "location", "orders", "orphan_refunds",
        "searches", "sessions", "suppressed", "viewed", "views", "wishlist_adds",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.gap_ms = settings.session_gap_ms
        self.views = SlidingCount(VIEWS)
        self.cart_adds = SlidingCount(CART_ADDS)
        self.searches = SlidingCount(SEARCHES)
        self.wishlist_adds = SlidingCount(WISHLIST_ADDS)
        self.sessions = Sessions(SESSIONS, settings.session_gap_ms, settings.session_id_idle_ms)
        self.orders = OrderBook(ORDERS, settings.order_memory_ms)
        self.viewed = RecordColumn(VIEWED, VIEWS_PER_CHUNK)  # [time_ms, session, product_id]: see ledgers.py
        self.applied = self.suppressed = self.orphan_refunds = 0
        self._reset()

    def _reset(self) -> None:
        self.clock_ms = 0
        self.expires_ms = NEVER_MS  # no window changes before this by passing of time
        self.first_seen_ms: int | None = None
        self.last_seen_ms: int | None = None
        self.denied = False
        self.engagement = 0.0
        self.engagement_at_ms = 0
        self.device: str | None = None
        self.location: str | None = None
        self.channel: str | None = None
        self.cart = Cart()
        self.interests = Interests()

    # -- events ---------------------------------------------------------------------------------------------------

    def apply(self, fact: Fact) -> None:
        """Apply the next fact in event order; `advance` to its time must have gone before."""
        kind = fact.kind
        if self.denied and kind != _CONSENT:
            self.suppressed += 1
            return
        self.applied += 1
        time_ms = fact.time_ms
        session = self.sessions.see(time_ms, fact.session_id, self.last_seen_ms)
        if self.first_seen_ms is None:
            self.first_seen_ms = time_ms
        self.last_seen_ms = time_ms
        if fact.device is not None:
            self.device = fact.device
        if fact.location is not None:
            self.location = fact.location
        if fact.channel is not None:
            self.channel = fact.channel
        weight = ENGAGEMENT_WEIGHTS[kind]
        if weight:
            self.engagement = weight + self.engagement * exp2(
                (self.engagement_at_ms - time_ms) / ENGAGEMENT_HALF_LIFE_MS
            )
            self.engagement_at_ms = time_ms
        if kind == _VIEWED:
            self.views.column.append(time_ms)
            self.viewed.append([time_ms, session, fact.product_id])
        else:
            handler = HANDLERS[kind]
            if handler is not None:
                handler(self, fact)
        if fact.category is not None:
            interest = INTEREST_WEIGHTS[kind]
            if interest:
                self.interests.add(fact.category, interest, time_ms)
                self.interests.trim(time_ms)
        if time_ms + DAY_MS < self.expires_ms:
            self.expires_ms = time_ms + DAY_MS

    def _cart_added(self, fact: Fact) -> None:
        self.cart_adds.add(fact.time_ms)
        self.cart.add(str(fact.product_id), fact.quantity or 1)

    def _cart_removed(self, fact: Fact) -> None:
        self.cart.remove(str(fact.product_id), fact.quantity)

    def _wishlist_added(self, fact: Fact) -> None:
        self.wishlist_adds.add(fact.time_ms)

    def _searched(self, fact: Fact) -> None:
        self.searches.add(fact.time_ms)

    def _ordered(self, fact: Fact) -> None:
        lines = [(product, quantity, price) for product, quantity, price, _ in fact.lines]
        cents = fact.amount_cents
        if cents is None:
            cents = sum(quantity * (price or 0) for _, quantity, price in lines)
        if not self.orders.order(fact.time_ms, str(fact.order_id), cents, lines):
            return
        self.cart.buy([line[0] for line in lines])
        for line in fact.lines:
            if line[3] is not None:
                self.interests.add(line[3], ORDER_LINE_INTEREST, fact.time_ms)
        self.interests.trim(fact.time_ms)

    def _refunded(self, fact: Fact) -> None:
        lines = [(product, quantity, price) for product, quantity, price, _ in fact.lines] or None
        if not self.orders.refund(fact.time_ms, fact.event_id, str(fact.order_id), fact.amount_cents, lines):
            self.orphan_refunds += 1
            self.expires_ms = min(self.expires_ms, fact.time_ms + DAY_MS)

    def _consented(self, fact: Fact) -> None:
        if fact.personalization is not None:
            self.denied = not fact.personalization

    # -- time -----------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let time pass: entries that are too old leave their windows."""
        if now_ms >= self.expires_ms:
            next_ms = self.sessions.expire(now_ms)
            for part in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
                if part.column.values:
                    next_ms = min(next_ms, part.expire(now_ms))
            if self.orders.column.values or self.orders.orphans:
                next_ms = min(next_ms, self.orders.expire(now_ms))
            self.expires_ms = next_ms
        self.clock_ms = now_ms

    # -- undo, bounds, packing --------------------------------------------------------------------------------------

    def snapshot(self) -> list[Any]:
        """What is needed, beside the columns, to stand again as of `clock_ms`."""
        return [*self._scalars(), self.sessions.snapshot(), self.orders.snapshot()]

    def rewind(self, snapshot: list[Any]) -> None:
        """Stand again as the customer stood when `snapshot` was taken."""
        *scalars, sessions, orders = snapshot
        self._set_scalars(scalars)
        now_ms = self.clock_ms
        for part in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
            part.rewind(now_ms)
        self.sessions.rewind(now_ms, sessions)
        self.orders.rewind(now_ms)
        self.orders.restore_totals(orders)
        viewed = self.viewed
        keep = len(viewed.values)
        while keep and viewed.values[keep - 1][0] > now_ms:
            keep -= 1
        viewed.truncate(viewed.first + keep)
        self.expires_ms = now_ms  # worked out anew at the next `advance`

    def forget(self, before_ms: int, views_kept: int) -> None:
        """Drop what nothing can ask for again, `before_ms` being the oldest moment to which one may rewind."""
        for part in (self.views, self.cart_adds, self.searches, self.wishlist_adds, self.sessions, self.orders):
            part.forget(before_ms)
        viewed = self.viewed.values
        if len(viewed) > views_kept:
            settled = len(viewed)
            while settled and viewed[settled - 1][0] > before_ms:
                settled -= 1
            if settled > views_kept:
                self.viewed.drop_before(self.viewed.first + settled - views_kept)

    def erase(self, store: ChunkStore) -> None:
        """Back to nothing, but for the counters of outcomes, which are not about the customer."""
        for part in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
            part.column.clear(store)
            part.heads = [0] * 5
        self.sessions.clear(store)
        self.orders.clear(store)
        self.viewed.clear(store)
        self._reset()

    def _scalars(self) -> list[Any]:
        return [
            self.clock_ms, self.applied, self.suppressed, self.orphan_refunds, self.first_seen_ms, self.last_seen_ms,
            self.denied, self.engagement, self.engagement_at_ms, self.device, self.location, self.channel,
            self.cart.packed(), self.interests.packed(),
        ]  # fmt: skip

    def _set_scalars(self, packed: list[Any]) -> None:
        (
            self.clock_ms, self.applied, self.suppressed, self.orphan_refunds, self.first_seen_ms, self.last_seen_ms,
            self.denied, self.engagement, self.engagement_at_ms, self.device, self.location, self.channel,
            cart, interests,
        ) = packed  # fmt: skip
        self.cart = Cart.unpacked(cart)
        self.interests = Interests.unpacked(interests)

    def save(self, store: ChunkStore) -> list[Any]:
        counts = [
            [part.column.save(store), part.heads] if part.column.end else None
            for part in (self.views, self.cart_adds, self.searches, self.wishlist_adds)
        ]
        orders = self.orders
        has_orders = orders.column.end or orders.orphans
        return [
            self._scalars(), self.expires_ms, counts, self.sessions.save(store),
            orders.save(store) if has_orders else None, self.viewed.save(store),
        ]  # fmt: skip

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        scalars, self.expires_ms, counts, sessions, orders, viewed = packed
        self._set_scalars(scalars)
        for part, saved in zip((self.views, self.cart_adds, self.searches, self.wishlist_adds), counts, strict=True):
            if saved is not None:
                part.column.load(saved[0], store)
                part.heads = saved[1]
        self.sessions.load(sessions, store)
        if orders is not None:
            self.orders.load(orders, store)
        self.viewed.load(viewed, store)


def _table(entries: dict[Kind, Any], default: Any) -> list[Any]:
    return [entries.get(number, default) for number in range(KIND_NUMBERS)]  # type: ignore[call-overload]


ENGAGEMENT_WEIGHTS: list[int] = _table(
    {
        Kind.PRODUCT_VIEWED: 1,
        Kind.PRODUCT_CLICKED: 1,
        Kind.PRODUCTS_SEARCHED: 1,
        Kind.WISHLIST_ADDED: 2,
        Kind.PRODUCT_ADDED: 3,
        Kind.CHECKOUT_STARTED: 4,
        Kind.ORDER_COMPLETED: 8,
        Kind.RECOMMENDATION_CLICKED: 1,
    },
    0,
)
INTEREST_WEIGHTS: list[float] = _table(
    {Kind.PRODUCT_VIEWED: 1.0, Kind.PRODUCT_CLICKED: 1.0, Kind.WISHLIST_ADDED: 2.0, Kind.PRODUCT_ADDED: 3.0}, 0.0
)
ORDER_LINE_INTEREST = 5.0
HANDLERS: list[Callable[[Fold, Fact], None] | None] = _table(
    {
        Kind.PRODUCT_ADDED: Fold._cart_added,
        Kind.PRODUCT_REMOVED: Fold._cart_removed,
        Kind.WISHLIST_ADDED: Fold._wishlist_added,
        Kind.PRODUCTS_SEARCHED: Fold._searched,
        Kind.ORDER_COMPLETED: Fold._ordered,
        Kind.ORDER_REFUNDED: Fold._refunded,
        Kind.ORDER_CANCELLED: Fold._refunded,
        Kind.CONSENT: Fold._consented,
    },
    None,
)
