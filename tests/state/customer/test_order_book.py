"""The order book against working out all orders and refunds anew."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.events import Event, Line
from oracle.plain import DAY, features_at, orders_of

from state.customer.counts import NEVER_MS, WINDOW_DAYS, WINDOWS_MS
from state.customer.orders import OrderBook
from state.dict_chunks import DictChunkStore
from state.packing import pack, unpack

FOREVER_MS = 1 << 60
PAUSES = (0, 0, 1, 3_600_000, DAY, DAY + 1, 7 * DAY, 7 * DAY - 1, 30 * DAY, 60 * DAY)
NAMES = ("orders_total", "revenue_total_cents", "purchase_interval_ms")


def events_of(seed: int, length: int) -> list[Event]:
    """Orders and refunds in event order: refunds before their orders, ids reported again, too much taken back."""
    random, now_ms, events = Random(seed), 1_000 * DAY, []
    for number in range(length):
        now_ms += random.choice(PAUSES)
        lines = tuple(
            Line(f"p{random.randrange(3)}", random.randint(1, 3), random.choice((None, 0, 1, 999)), None)
            for _ in range(random.choice((0, 1, 1, 2)))
        )
        events.append(
            Event(
                now_ms,
                f"e{number:04d}",
                "c",
                random.choice(("order_completed", "order_completed", "order_refunded", "order_cancelled")),
                order_id=f"o{random.randrange(4)}",
                lines=lines,
                total_cents=random.choice((None, None, 0, 1, 500, 2_500)),
            )
        )
    return events


def enter(book: OrderBook, event: Event) -> None:
    book.expire(event.time_ms)
    lines = [(line.product_id, line.quantity, line.price_cents) for line in event.lines]
    order_id = str(event.order_id)
    if event.type != "order_completed":
        book.refund(event.time_ms, event.event_id, order_id, event.total_cents, lines or None)
        return
    cents = event.total_cents
    if cents is None:
        cents = sum(quantity * (price or 0) for _, quantity, price in lines)
    book.order(event.time_ms, order_id, cents, lines)


def found(book: OrderBook, now_ms: int) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for window, days in enumerate(WINDOW_DAYS):
        features[f"orders_{days}d"] = book.counts[window]
        features[f"revenue_{days}d_cents"] = book.revenue_cents(window, now_ms)
    features["orders_total"] = book.total_count
    features["revenue_total_cents"] = book.total_cents
    features["purchase_interval_ms"] = book.interval_ms()
    features["recency_ms"] = None if book.newest_ms is None else now_ms - book.newest_ms
    return features


def expected(events: list[Event], now_ms: int) -> dict[str, Any]:
    features = features_at(events, now_ms)
    kept = [*NAMES, "recency_ms", *(name for name in features if name.startswith(("orders_", "revenue_")))]
    return {name: features[name] for name in kept}


def book_of(events: list[Event]) -> OrderBook:
    book = OrderBook(6, FOREVER_MS)
    for event in events:
        enter(book, event)
    return book


class TestAgainstAllOrders:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 25))
    def test_at_every_event_and_as_time_passes(self, seed: int, length: int) -> None:
        book, done = OrderBook(6, FOREVER_MS), []
        for event in events_of(seed, length):
            enter(book, event)
            done.append(event)
            assert found(book, event.time_ms) == expected(done, event.time_ms)
        now_ms = done[-1].time_ms
        for _ in range(12):
            leaving_ms = book.expire(now_ms)
            if leaving_ms == NEVER_MS:
                break
            for at_ms in (max(now_ms, leaving_ms - 1), leaving_ms):
                book.expire(at_ms)
                assert found(book, at_ms) == expected(done, at_ms)
            now_ms = leaving_ms

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(2, 25), st.data())
    def test_rewound_and_lived_through_again(self, seed: int, length: int, data: st.DataObject) -> None:
        """With other events after the moment, and after a way through packed state."""
        events = events_of(seed, length)
        cuts = [at for at in range(1, length) if events[at - 1].time_ms < events[at].time_ms] or [length]
        cut = data.draw(st.sampled_from(cuts))
        at_ms = events[cut - 1].time_ms
        book = book_of(events[:cut])
        totals = book.snapshot()
        for event in events[cut:]:
            enter(book, event)
        book.rewind(at_ms)
        book.restore_totals(totals)
        assert found(book, at_ms) == expected(events[:cut], at_ms)
        done = events[:cut]
        for event in [one for one in events_of(seed + 1, 8) if one.time_ms > at_ms]:
            enter(book, event)
            done.append(event)
            assert found(book, event.time_ms) == expected(done, event.time_ms)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 25))
    def test_the_newest_products(self, seed: int, length: int) -> None:
        """Each product of an order once, by name; not live any more once all its units, or the order, went back."""
        events = events_of(seed, length)
        orders = sorted(orders_of(events)[0], key=lambda order: (order.time_ms, order.event_id))
        entries = [
            (order.time_ms, name, order.counts and order.left[name] > 0)
            for order in orders
            for name in sorted(order.units)
        ]
        for limit in (3, 50):
            newest = book_of(events).newest_products(limit)
            assert [(time_ms, name, live) for time_ms, _, name, live in newest] == entries[-limit:]


class TestForetelling:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 20), st.integers(0, 4), st.integers(-3_000, 6_000))
    def test_never_later_than_the_first_change(self, seed: int, length: int, window: int, threshold: int) -> None:
        """Revenue may rise, too, as a refund without an order leaves its window; a count only falls."""
        events = events_of(seed, length)
        book, now_ms = book_of(events), events[-1].time_ms
        moments = sorted({event.time_ms + WINDOWS_MS[window] for event in events})
        later = [at for at in moments if at > now_ms]
        revenue, count = f"revenue_{WINDOW_DAYS[window]}d_cents", f"orders_{WINDOW_DAYS[window]}d"
        above = expected(events, now_ms)[revenue] >= threshold
        crossing = [at for at in later if (expected(events, at)[revenue] >= threshold) != above]
        foretold = book.revenue_crosses(threshold, window, now_ms)
        assert now_ms < foretold <= min(crossing, default=NEVER_MS)
        wanted = threshold // 1_500 + 1
        if expected(events, now_ms)[count] >= wanted > 0:
            crossing = [at for at in later if expected(events, at)[count] < wanted]
            assert book.count_falls_below(wanted, window) == min(crossing)


class TestMemory:
    def test_an_order_out_of_memory_still_counts_in_the_totals(self) -> None:
        """It can no longer be refunded: the refund is one without an order, at its own time."""
        book = OrderBook(6, 100 * DAY)
        book.order(0, "old", 1_000, [])
        book.expire(150 * DAY)
        book.order(150 * DAY, "new", 500, [])
        book.forget(151 * DAY)
        assert len(book.column.values) == 1
        assert (book.total_count, book.total_cents, book.interval_ms()) == (2, 1_500, 150 * DAY)
        book.expire(152 * DAY)
        assert not book.refund(152 * DAY, "r", "old", 300, None)
        assert book.total_cents == 1_200
        assert book.revenue_cents(0, 152 * DAY) == -300

    def test_an_order_out_of_memory_is_still_the_newest_after_a_rewind(self) -> None:
        """A late event must not make the only order disappear from the recency."""
        book = OrderBook(6, 100 * DAY)
        book.order(0, "old", 1_000, [])
        book.expire(150 * DAY)
        book.forget(150 * DAY)
        assert book.newest_ms == 0
        book.rewind(150 * DAY)
        assert book.newest_ms == 0
        store = DictChunkStore()
        again = OrderBook(6, 100 * DAY)
        again.load(unpack(pack(book.save(store))), store)
        again.rewind(150 * DAY)
        assert again.newest_ms == 0
        book.order(150 * DAY, "new", 500, [])
        book.refund(151 * DAY, "r", "new", None, None)
        assert book.newest_ms == 0

    def test_the_state_is_bounded_by_it(self) -> None:
        """Ten years of an order and a stray refund a day: what is kept is what the memory spans."""
        book = OrderBook(6, 100 * DAY)
        for day in range(3_650):
            book.expire(day * DAY)
            book.order(day * DAY, f"o{day}", 100, [("p", 1, 100)])
            book.refund(day * DAY, f"r{day}", f"unknown{day}", 1, None)
            book.forget((day - 7) * DAY)
        assert len(book.column.values) == len(book.standings) == len(book.by_id) == 108
        assert len(book.orphans) == 108
        assert (book.total_count, book.total_cents) == (3_650, 3_650 * 99)

    def test_saved_and_loaded(self) -> None:
        """Refunds of orders in sealed chunks are saved with them."""
        store, book = DictChunkStore(), OrderBook(6, FOREVER_MS)
        for number in range(200):
            book.order(number * DAY, f"o{number}", 100, [("p", 1, 100)])
            if number == 150:
                book.column.save(store)
        book.refund(200 * DAY, "r", "o3", 40, None)
        again = OrderBook(6, FOREVER_MS)
        again.load(unpack(pack(book.save(store))), store)
        assert pack(list(again.column.values)) == pack(list(book.column.values))
        assert found(again, 200 * DAY) == found(book, 200 * DAY)


def test_an_id_used_again_after_the_memory_stands_for_its_older_order_after_a_rewind() -> None:
    """A refund that comes late, dated before the second order, is one of the first."""
    day = 86_400_000
    book = OrderBook(6, 100 * day)
    book.order(0, "o1", 1_000, [])
    book.order(101 * day, "o1", 2_000, [])
    book.rewind(99 * day)
    assert book.refund(99 * day, "r", "o1", None, None)
    assert [standing.left_cents for _, standing in book] == [0]
