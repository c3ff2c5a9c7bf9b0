"""Columns against plain lists: whatever is done to them, saved and loaded in between or not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.chunks import CHUNK_NUMBER_BITS, Column, Int64Column, RecordColumn
from state.dict_chunks import DictChunkStore

CHUNK = 4
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "truncate", "drop", "touch", "save", "reload", "clear"]),
        st.integers(0, 40),
    ),
    max_size=60,
)
COLUMNS = {"int64": Int64Column, "record": RecordColumn}


def entry(kind: str, number: int) -> Any:
    return number if kind == "int64" else [number, f"p{number}"]


class CountingStore(DictChunkStore):
    """Counts what is written."""

    puts = 0

    def put_chunk(self, number: int, chunk: bytes) -> None:
        self.puts += 1
        super().put_chunk(number, chunk)


def is_same(column: Column[Any], first: int, values: list[Any]) -> bool:
    return (column.first, column.end, list(column.values)) == (first, first + len(values), values)


class TestAgainstLists:
    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.sampled_from(sorted(COLUMNS)), STEPS)
    def test_any_sequence(self, kind: str, steps: list[tuple[str, int]]) -> None:
        """A saved column is found again as it was, and the store holds no chunk that nobody needs."""
        store = DictChunkStore()
        column = COLUMNS[kind](3, CHUNK)
        first, values = 0, []
        for step, (what, number) in enumerate(steps):
            if what == "append":
                for extra in range(number % 6 + 1):
                    values.append(entry(kind, 100 * step + extra))
                    column.append(entry(kind, 100 * step + extra))
            elif what == "truncate":
                end = first + number % (len(values) + 1)
                del values[end - first :]
                column.truncate(end)
            elif what == "drop":
                gone = number % (len(values) + 1)
                first += gone
                del values[:gone]
                column.drop_before(first)
            elif what == "touch" and values:
                at = number % len(values)
                values[at] = column.values[at] = entry(kind, -number)
                column.touch(first + at)
            elif what == "clear":
                column.clear(store)
                first, values = 0, []
                assert not store
            elif what in ("save", "reload"):
                packed = column.save(store)
                needed = range(first // CHUNK, (first + len(values)) // CHUNK)
                assert {key & ((1 << CHUNK_NUMBER_BITS) - 1) for key in store} <= set(needed)
                assert {key >> CHUNK_NUMBER_BITS for key in store} <= {3}
                if what == "reload":
                    column = COLUMNS[kind](3, CHUNK)
                    column.load(packed, store)
            assert is_same(column, first, values)
        packed = column.save(store)
        again = COLUMNS[kind](3, CHUNK)
        again.load(packed, store)
        assert is_same(again, first, values)

    def test_columns_share_a_store(self) -> None:
        store = DictChunkStore()
        columns = [Int64Column(number, CHUNK) for number in range(3)]
        for number, column in enumerate(columns):
            for value in range(10):
                column.append(100 * number + value)
        packed = [column.save(store) for column in columns]
        columns[1].clear(store)
        for number in (0, 2):
            again = Int64Column(number, CHUNK)
            again.load(packed[number], store)
            assert list(again.values) == [100 * number + value for value in range(10)]

    def test_int64_holds_the_extremes(self) -> None:
        column, store = Int64Column(0, CHUNK), DictChunkStore()
        extremes = [-(1 << 63), (1 << 63) - 1, 0, -1, 1]
        for value in extremes:
            column.append(value)
        again = Int64Column(0, CHUNK)
        again.load(column.save(store), store)
        assert list(again.values) == extremes


class TestCost:
    def test_each_chunk_is_written_once(self) -> None:
        """Saved at every entry, 1,000 entries write 250 chunks of four, and what is packed stays below four."""
        column, store = Int64Column(0, CHUNK), CountingStore()
        for value in range(1_000):
            column.append(value)
            assert len(column.save(store)[-1]) < CHUNK * 8
        assert store.puts == 1_000 // CHUNK

    def test_an_entry_changed_in_place_rewrites_its_chunk_alone(self) -> None:
        column, store = Int64Column(0, CHUNK), CountingStore()
        for value in range(100):
            column.append(value)
        column.save(store)
        store.puts = 0
        column.values[10] = -1
        column.touch(10)
        column.save(store)
        column.save(store)
        assert store.puts == 1

    def test_what_is_dropped_leaves_the_store(self) -> None:
        """A window that moves along keeps as many chunks as it spans."""
        column, store = Int64Column(0, CHUNK), DictChunkStore()
        for value in range(1_000):
            column.append(value)
            column.drop_before(max(0, value - 20))
            column.save(store)
            assert len(store) <= 20 // CHUNK + 2


class TestDamage:
    def test_a_missing_chunk_is_named(self) -> None:
        column, store = Int64Column(5, CHUNK), DictChunkStore()
        for value in range(10):
            column.append(value)
        packed = column.save(store)
        store.drop_chunk((5 << CHUNK_NUMBER_BITS) | 1)
        with pytest.raises(LookupError, match="chunk 1 of column 5"):
            Int64Column(5, CHUNK).load(packed, store)
