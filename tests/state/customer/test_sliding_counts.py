"""Exact sliding counts against counting anew."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.customer.counts import DAY_MS, NEVER_MS, WINDOWS_MS, SlidingCount
from state.dict_chunks import DictChunkStore

PAUSES = (0, 0, 1, 1_000, DAY_MS - 1, DAY_MS, DAY_MS + 1, 7 * DAY_MS, 30 * DAY_MS, 90 * DAY_MS)


def naive(times: list[int], now_ms: int) -> list[int]:
    return [sum(now_ms - width < time_ms <= now_ms for time_ms in times) for width in WINDOWS_MS]


def found(counter: SlidingCount) -> list[int]:
    return [counter.count(window) for window in range(len(WINDOWS_MS))]


def walk(seed: int, length: int) -> list[int]:
    random, now_ms = Random(seed), 1_000 * DAY_MS
    return [now_ms := now_ms + random.choice(PAUSES) for _ in range(length)]


class TestAgainstCounting:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 40))
    def test_entries_come_and_time_passes(self, seed: int, length: int) -> None:
        """The counts are right at every moment, and so is when the next entry leaves a window."""
        random, counter, times = Random(seed), SlidingCount(0), []
        for now_ms in walk(seed, length):
            next_ms = counter.expire(now_ms)
            leaving = [time_ms + width for time_ms in times for width in WINDOWS_MS if time_ms + width > now_ms]
            assert next_ms == min(leaving, default=NEVER_MS)
            assert found(counter) == naive(times, now_ms)
            for _ in range(random.choice((0, 1, 1, 2))):
                times.append(now_ms)
                counter.add(now_ms)
            assert found(counter) == naive(times, now_ms)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 30), st.data())
    def test_rewound_it_stands_as_it_stood(self, seed: int, length: int, data: st.DataObject) -> None:
        """To any moment since which nothing was forgotten, also while some entries are older than every window."""
        moments = walk(seed, length)
        counter = SlidingCount(0)
        for now_ms in moments:
            counter.expire(now_ms)
            counter.add(now_ms)
        oldest_ms = data.draw(st.sampled_from(moments))
        counter.forget(oldest_ms)
        back_ms = data.draw(st.sampled_from([at for at in moments if at >= oldest_ms]))
        counter.rewind(back_ms)
        known = [time_ms for time_ms in moments if time_ms <= back_ms]
        assert found(counter) == naive(known, back_ms)
        for now_ms in [at for at in moments if at > back_ms]:
            counter.expire(now_ms)
            counter.add(now_ms)
            known.append(now_ms)
            assert found(counter) == naive(known, now_ms)

    def test_what_no_window_can_ask_for_is_let_go(self) -> None:
        counter = SlidingCount(0)
        for day in range(1_000):
            counter.expire(day * DAY_MS)
            counter.add(day * DAY_MS)
            counter.forget((day - 7) * DAY_MS)
        assert len(counter.column.values) == 90 + 7

    def test_a_hot_column_is_walked_through_once(self) -> None:
        """Each of the five windows passes each entry once: not a scan at every event."""
        passed = 0

        class Watched(list):  # type: ignore[type-arg]
            def __getitem__(self, at):  # type: ignore[no-untyped-def]
                nonlocal passed
                passed += 1
                return super().__getitem__(at)

        counter = SlidingCount(0)
        counter.column.values = Watched()
        events = 20_000
        for number in range(events):
            counter.expire(number * 600_000)
            counter.add(number * 600_000)
        # per event and window: one look ends the walk, two find the next leaving time, one is for each entry passed
        assert passed <= events * len(WINDOWS_MS) * 5

    @pytest.mark.parametrize("entries", [5, 2_000])
    def test_saved_and_loaded(self, entries: int) -> None:
        store, counter = DictChunkStore(), SlidingCount(4)
        for number in range(entries):
            counter.add(number)
        packed = counter.column.save(store)
        again = SlidingCount(4)
        again.column.load(packed, store)
        assert list(again.column.values) == list(range(entries))
