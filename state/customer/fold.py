"""The fold: every fact of one customer, applied in event order, into what the features are read from.

`apply` only ever sees facts in order; lateness is somebody else's trouble (see customer.py, which rewinds the fold to
a snapshot and applies again). So each part below needs to know only "next" and "as of".
"""

from bisect import bisect_right
from collections.abc import Callable
from math import exp2
from typing import Any, TypeVar

from msgspec import Raw

from schemas.facts import Fact, Kind
from schemas.settings import Settings
from schemas.variant_label import arms_of
from state.chunks import ChunkStore, RecordColumn
from state.customer.cart import Cart
from state.customer.counts import DAY_MS, NEVER_MS, SlidingCount
from state.customer.interests import Interests
from state.customer.orders import OrderBook
from state.customer.sessions import Sessions
from state.experiments.exposures import Exposures
from state.impressions.ledger import Impressions
from state.packing import part

T = TypeVar("T")
ENGAGEMENT_HALF_LIFE_MS = 7 * DAY_MS
VIEWS_PER_CHUNK = 128
KIND_NUMBERS = 64  # kinds of events, with room to grow
_VIEWED, _CONSENT = int(Kind.PRODUCT_VIEWED), int(Kind.CONSENT)  # plain integers compare faster

# Columns of sealed chunks; the numbers are stored, so they never change their meaning.
VIEWS, CART_ADDS, SEARCHES, WISHLIST_ADDS, SESSIONS, ORDERS, VIEWED, RECENT, SNAPSHOTS, ERASED = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
    10,
)


class Fold:
    """A customer as of `clock_ms`. Every method but `rewind` moves forward only."""

    __slots__ = (
        "applied", "cart", "cart_adds", "channel", "clock_ms", "denied", "device", "engagement", "engagement_at_ms",
        "expires_ms", "exposures", "first_seen_ms", "gap_ms", "impressions", "interests", "last_seen_ms", "location",
        "orders", "orphan_refunds", "saved_rest", "searches", "sessions", "suppressed", "viewed", "views",
        "wishlist_adds",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.gap_ms = settings.session_gap_ms
        self.views = SlidingCount(VIEWS)
        self.cart_adds = SlidingCount(CART_ADDS)
        self.searches = SlidingCount(SEARCHES)
        self.wishlist_adds = SlidingCount(WISHLIST_ADDS)
        self.sessions = Sessions(SESSIONS, settings.session_gap_ms, settings.session_id_idle_ms)
        self.orders = OrderBook(ORDERS, settings.order_memory_ms)
        self.viewed = RecordColumn(
            VIEWED, VIEWS_PER_CHUNK
        )  # (session, product_id) of the entry of `views` of this index
        self.applied = self.suppressed = self.orphan_refunds = 0
        self._reset()

    def _reset(self) -> None:
        self.saved_rest: Raw | None = None  # packed: what most events leave as it is, until one of them changes it
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
        self.exposures: Exposures | None = None  # most customers are shown nothing of an experiment
        self.impressions: Impressions | None = None  # nor anything else that would be told

    # -- events ---------------------------------------------------------------------------------------------------

    def apply(self, fact: Fact) -> None:
        """Apply the next fact in event order; `advance` to its time must have gone before."""
        kind = fact.kind
        if self.denied and kind != _CONSENT:
            self.suppressed += 1
            self.saved_rest = None
            return
        self.applied += 1
        time_ms = fact.time_ms
        session = self.sessions.see(time_ms, fact.session_id, self.last_seen_ms)
        if self.first_seen_ms is None:
            self.first_seen_ms = time_ms
            self.saved_rest = None
        self.last_seen_ms = time_ms
        if fact.device != self.device or fact.location != self.location or fact.channel != self.channel:
            self._come_from(fact)
        weight = ENGAGEMENT_WEIGHTS[kind]
        if weight:
            self.engagement = weight + self.engagement * exp2(
                (self.engagement_at_ms - time_ms) / ENGAGEMENT_HALF_LIFE_MS
            )
            self.engagement_at_ms = time_ms
        if kind == _VIEWED:
            self.views.column.append(time_ms)
            self.viewed.append((session, fact.product_id))
        else:
            handler = HANDLERS[kind]
            if handler is not None:
                self.saved_rest = None
                handler(self, fact)
        if fact.category is not None:
            interest = INTEREST_WEIGHTS[kind]
            if interest:
                self.interests.add(fact.category, interest, time_ms)
                self.interests.trim(time_ms)
        if time_ms + DAY_MS < self.expires_ms:
            self.expires_ms = time_ms + DAY_MS

    def _come_from(self, fact: Fact) -> None:
        """Take over what the fact says of where it came from; what it does not say stays."""
        device, location, channel = fact.device, fact.location, fact.channel
        if device is not None and device != self.device:
            self.device, self.saved_rest = device, None
        if location is not None and location != self.location:
            self.location, self.saved_rest = location, None
        if channel is not None and channel != self.channel:
            self.channel, self.saved_rest = channel, None

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

    def _shown(self, fact: Fact) -> None:
        if self.impressions is None:
            self.impressions = Impressions()
        self.impressions.show(fact.time_ms, str(fact.product_id), fact.position, fact.request)
        if fact.variant is not None:
            if self.exposures is None:
                self.exposures = Exposures()
            self.exposures.show(arms_of(fact.variant), fact.time_ms)

    def _clicked(self, fact: Fact) -> None:
        if self.impressions is not None:
            self.impressions.click(str(fact.product_id), fact.request)
        if fact.variant is not None and self.exposures is not None:
            self.exposures.click(arms_of(fact.variant))

    def _consented(self, fact: Fact) -> None:
        if fact.personalization is not None:
            self.denied = not fact.personalization

    # -- time -----------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let time pass: entries that are too old leave their windows."""
        if now_ms >= self.expires_ms:
            self.saved_rest = None
            next_ms = self.sessions.expire(now_ms)
            for one in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
                if one.column.values:
                    next_ms = min(next_ms, one.expire(now_ms))
            if self.orders.column.values or self.orders.orphans:
                next_ms = min(next_ms, self.orders.expire(now_ms))
            self.expires_ms = next_ms
        self.clock_ms = now_ms

    def as_of(self, now_ms: int, read: Callable[["Fold", int], T]) -> T:
        """What `read(fold, now_ms)` says of a time that is not before the clock's, up to which nothing happens.

        The fold stays as it is: windows are moved for the reading, and back.
        """
        if now_ms < self.expires_ms:
            return read(self, now_ms)
        clock_ms, expires_ms, saved_rest = self.clock_ms, self.expires_ms, self.saved_rest
        counts = self.views, self.cart_adds, self.searches, self.wishlist_adds
        heads = [one.heads[:] for one in counts]
        sessions, orders = self.sessions.windows(), self.orders.windows()
        self.advance(now_ms)
        try:
            return read(self, now_ms)
        finally:
            for one, before in zip(counts, heads, strict=True):
                one.heads = before
            self.sessions.set_windows(sessions)
            self.orders.set_windows(orders)
            self.clock_ms, self.expires_ms, self.saved_rest = clock_ms, expires_ms, saved_rest

    # -- undo, bounds, packing --------------------------------------------------------------------------------------

    def snapshot(self) -> list[Any]:
        """What is needed, beside the columns, to stand again as of `clock_ms`."""
        return [
            *self._scalars(),
            self.interests.scores,
            *self._rest(),
            self.sessions.snapshot(),
            self.orders.snapshot(),
        ]

    def rewind(self, snapshot: list[Any]) -> None:
        """Stand again as the customer stood when `snapshot` was taken."""
        scalars, interests, rest = snapshot[:_SCALARS], snapshot[_SCALARS], snapshot[_SCALARS + 1 : -2]
        self._set_scalars(scalars)
        self.interests = Interests(interests)
        self._set_rest(rest)
        now_ms = self.clock_ms
        for one in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
            one.rewind(now_ms)
        self.viewed.truncate(self.views.column.end)
        self.sessions.rewind(now_ms, snapshot[-2])
        self.orders.rewind(now_ms)
        self.orders.restore_totals(snapshot[-1])
        self.expires_ms = now_ms  # worked out anew at the next `advance`

    def view_entries(self, start: int, end: int) -> list[tuple[int, int, str]]:
        """The views with indices from `start` to `end` as (time_ms, session, product_id)."""
        times, viewed = self.views.column, self.viewed
        return [
            (time_ms, session, product)
            for time_ms, (session, product) in zip(
                times.values[start - times.first : end - times.first],
                viewed.values[start - viewed.first : end - viewed.first],
                strict=True,
            )
        ]

    def forget(self, before_ms: int, views_kept: int, views_from: int) -> None:
        """Drop what nothing can ask for again, `before_ms` being the oldest moment to which one may rewind.

        Of the views, what has been seen until then is kept from the newest `views_kept` on, and from index
        `views_from` on, if that is more.
        """
        self.saved_rest = None
        times = self.views.column
        settled = bisect_right(times.values, before_ms) + times.first
        self.viewed.drop_before(min(settled - views_kept, views_from))
        self.views.forget(before_ms, self.viewed.first)
        for one in (self.cart_adds, self.searches, self.wishlist_adds, self.sessions, self.orders):
            one.forget(before_ms)

    def erase(self, store: ChunkStore) -> None:
        """Back to nothing, but for the counters of outcomes, which are not about the customer."""
        for one in (self.views, self.cart_adds, self.searches, self.wishlist_adds):
            one.column.clear(store)
            one.heads = [0] * 5
        self.sessions.clear(store)
        self.orders.clear(store)
        self.viewed.clear(store)
        self._reset()

    def _scalars(self) -> list[Any]:
        return [self.clock_ms, self.applied, self.last_seen_ms, self.engagement, self.engagement_at_ms, self.expires_ms]

    def _set_scalars(self, packed: list[Any]) -> None:
        (
            self.clock_ms, self.applied, self.last_seen_ms, self.engagement, self.engagement_at_ms, self.expires_ms,
        ) = packed  # fmt: skip

    def _rest(self) -> list[Any]:
        rest = [
            self.suppressed, self.orphan_refunds, self.first_seen_ms, self.denied, self.device, self.location,
            self.channel, self.cart.packed(),
        ]  # fmt: skip
        if self.impressions is not None:
            return [*rest, None if self.exposures is None else self.exposures.packed(), self.impressions.packed()]
        return rest if self.exposures is None else [*rest, self.exposures.packed()]

    def _set_rest(self, packed: list[Any]) -> None:
        (
            self.suppressed, self.orphan_refunds, self.first_seen_ms, self.denied, self.device, self.location,
            self.channel, cart, *shown,
        ) = packed  # fmt: skip
        self.cart = Cart.unpacked(cart)
        self.exposures = Exposures.unpacked(shown[0]) if shown and shown[0] is not None else None
        self.impressions = Impressions.unpacked(shown[1]) if len(shown) > 1 else None
        self.saved_rest = None

    def save(self, store: ChunkStore) -> list[Any]:
        """What changes at nearly every event, and beside it, packed once for many events, the rest."""
        sessions, views = self.sessions, self.views
        if self.saved_rest is None:
            self.saved_rest = self._save_rest(store)
        return [
            self.clock_ms, self.applied, self.last_seen_ms, self.engagement, self.engagement_at_ms, self.expires_ms,
            self.interests.scores, views.column.saved or views.column.save(store),
            self.viewed.saved or self.viewed.save(store), sessions.starts.saved or sessions.starts.save(store),
            sessions.lasts.saved or sessions.lasts.save(store), sessions.length_ms, sessions.current, sessions.ids,
            self.saved_rest,
        ]  # fmt: skip

    def _save_rest(self, store: ChunkStore) -> Raw:
        counts = [
            [one.column.save(store), one.heads] if one.column.end else None
            for one in (self.cart_adds, self.searches, self.wishlist_adds)
        ]
        has_orders = self.orders.column.end or self.orders.orphans
        orders = self.orders.save(store) if has_orders else None
        return part([*self._rest(), self.views.heads, self.sessions.heads, counts, orders])

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        """Take up what `save` returned, after packing."""
        sessions = self.sessions
        self._set_scalars(packed[:_SCALARS])
        scores, views, viewed, starts, lasts, sessions.length_ms, sessions.current, sessions.ids, rest = packed[
            _SCALARS:
        ]
        self.interests = Interests(scores)
        self.views.column.load(views, store)
        self.viewed.load(viewed, store)
        sessions.starts.load(starts, store)
        sessions.lasts.load(lasts, store)
        *rest, self.views.heads, sessions.heads, counts, orders = rest
        self._set_rest(rest)
        for one, saved in zip((self.cart_adds, self.searches, self.wishlist_adds), counts, strict=True):
            if saved is not None:
                one.column.load(saved[0], store)
                one.heads = saved[1]
        if orders is not None:
            self.orders.load(orders, store)


_SCALARS = 6  # how many of them `_scalars` gives


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
        Kind.RECOMMENDATION_SHOWN: Fold._shown,
        Kind.RECOMMENDATION_CLICKED: Fold._clicked,
    },
    None,
)
