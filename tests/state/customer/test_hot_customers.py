"""Customers with a hundred thousand events in their windows: what an event costs does not grow with them.

Counted, not timed: the bytes packed, the chunks written, the facts applied again, the times looked at.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from customer_runs import RULES, key_and_time, run, run_live, shuffled

from schemas.facts import Fact, Kind
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.customer.calendar import Calendar
from state.customer.customer import Customer
from state.customer.fold import Fold
from state.customer.orders import OrderBook
from state.dict_chunks import DictChunkStore

START_MS = 1_740_787_200_000
SPAN_MS = 60 * DAY_MS  # within the longest window
SIZES = (100, 10_000, 100_000)
CALENDAR = Calendar.of(Settings(), RULES)


class CountingStore(DictChunkStore):
    """Counts what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = self.put_bytes = 0

    def put_chunk(self, number: int, chunk: bytes) -> None:
        self.puts += 1
        self.put_bytes += len(chunk)
        super().put_chunk(number, chunk)


@dataclass
class Hot:
    """One customer with `size` events behind it, and what the last few of them cost."""

    size: int
    customer: Customer = field(default_factory=lambda: Customer(CALENDAR))
    store: CountingStore = field(default_factory=CountingStore)
    largest: int = 0

    def feed(self, facts: list[Fact], watermark_lag_ms: int = 5_000) -> None:
        newest_ms = 0
        for at, fact in enumerate(facts):
            newest_ms = max(newest_ms, fact.time_ms)
            self.customer.accept(fact, newest_ms - watermark_lag_ms, self.store)
            for turn in self.customer.say():
                self.customer.publish_as(turn, "00" * 12)
            if at >= len(facts) - 300 or at % 50 == 0:  # most are only followed, so that the test is quick
                self.largest = max(self.largest, len(self.customer.pack(self.store)))


def facts_of(size: int, kinds: tuple[Kind, ...], span_ms: int = SPAN_MS) -> list[Fact]:
    step_ms = span_ms // size
    return [fact(number, START_MS + number * step_ms, kinds[number % len(kinds)]) for number in range(size)]


def fact(number: int, time_ms: int, kind: Kind) -> Fact:
    line = (f"p{number % 500}", 1, 100, f"k{number % 40}")
    if kind == Kind.ORDER_COMPLETED:
        return Fact(time_ms, f"event-{number:08}", kind, order_id=f"o{number}", lines=(line,), amount_cents=100)
    if kind == Kind.ORDER_REFUNDED:
        return Fact(time_ms, f"event-{number:08}", kind, order_id=f"o{number - 1}", amount_cents=30)
    return Fact(
        time_ms, f"event-{number:08}", kind, product_id=line[0], category=line[3], session_id=f"s{number // 40}"
    )


MIXES: dict[str, tuple[Kind, ...]] = {
    "views": (Kind.PRODUCT_VIEWED,),
    "mixed": (Kind.PRODUCT_VIEWED, Kind.PRODUCT_ADDED, Kind.PRODUCTS_SEARCHED, Kind.WISHLIST_ADDED),
    "orders": (Kind.ORDER_COMPLETED, Kind.ORDER_REFUNDED),
}  # fmt: skip


class TestPacked:
    @pytest.mark.parametrize("mix", MIXES)
    def test_the_head_does_not_grow(self, mix: str) -> None:
        """The tails of all columns are at most a chunk each, and the snapshots are few, however many events there are.

        Full tails: 4 KB for each of three columns of times, 4 KB for views, 64 facts, 10 snapshots of a KB or two.
        """
        for size in SIZES if mix == "views" else SIZES[:2]:
            hot = Hot(size)
            hot.feed(facts_of(size, MIXES[mix]))
            assert hot.largest < 40_000, size

    def test_few_chunks_are_written(self) -> None:
        """Per thousand events some tens, whatever lies in the windows."""
        puts = {}
        for size in (5_000, 20_000):
            hot = Hot(size)
            facts = facts_of(size, MIXES["views"])
            hot.feed(facts[:-1_000])
            hot.store.puts = 0
            for one in facts[-1_000:]:
                hot.customer.accept(one, one.time_ms - 5_000, hot.store)
                hot.customer.pack(hot.store)
            puts[size] = hot.store.puts
        assert max(puts.values()) < 100, puts

    def test_what_left_the_windows_leaves_the_store(self) -> None:
        """Ten times the window: chunks and memory are those of one."""
        hot = Hot(15_000)
        hot.feed(facts_of(15_000, MIXES["views"], span_ms=1_000 * DAY_MS))
        assert len(hot.store) < 40
        assert len(hot.customer.fold.views.column.values) < 15_000 // 10 + 1_000


class TestForetelling:
    @pytest.mark.parametrize("size", [100, 10_000])
    def test_few_orders_are_looked_at(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """For the next moment at which a rule can change only the newest orders matter."""
        looked = 0

        class Watched(list):  # type: ignore[type-arg]
            def __getitem__(self, at: Any) -> Any:
                nonlocal looked
                looked += 1
                return super().__getitem__(at)

        book = OrderBook(6, Settings().order_memory_ms)
        for number in range(size):
            book.expire(START_MS + number)
            book.order(START_MS + number, f"o{number}", 100, [])
        book.standings = Watched(book.standings)
        for window in range(5):
            assert book.count_falls_below(6, window) == START_MS + size - 6 + [1, 7, 14, 30, 90][window] * DAY_MS
            assert book.revenue_crosses(450, window, START_MS + size) == (
                START_MS + size - 5 + [1, 7, 14, 30, 90][window] * DAY_MS
            )
        assert looked <= 5 * (6 + 5)


class TestOutOfOrder:
    @pytest.mark.parametrize("mode", [run, run_live])
    def test_late_events_are_put_in_place_in_bundles(self, mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each up to an hour late, one every ten seconds: some tens of facts are applied again for each late event.

        As many for three times the events; and every fact is in its place in the end.
        """
        applied = 0
        apply = Fold.apply

        def counting(fold: Fold, one: Fact) -> None:
            nonlocal applied
            applied += 1
            apply(fold, one)

        monkeypatch.setattr(Fold, "apply", counting)
        per_late = []
        for size in (1_000, 3_000):
            lines = [
                json.dumps(
                    {"event_id": f"e{n}", "type": "product_viewed", "product_id": "p", "customer_id": "c",
                     "timestamp": START_MS + n * 10_000}
                ).encode()
                for n in range(size)
            ]  # fmt: skip
            arrived = shuffled(lines, HOUR_MS, seed=4)
            newest_ms = late = applied = 0
            for line in arrived:
                late += key_and_time(line)[1] < newest_ms
                newest_ms = max(newest_ms, key_and_time(line)[1])
            finished = mode(arrived, newest_ms, settings=Settings())
            per_late.append(applied / late)
            assert late > size // 2
            assert finished.features()["c"]["views_7d"] == size
        assert max(per_late) < 30, per_late
        assert per_late[1] < 1.3 * per_late[0], per_late
