from random import Random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import SETTINGS, Items, ledgers, relations
from similar_oracle import absolute

from state.similar.changes import messages
from state.similar.errors import SimilarStateError
from state.similar.message import BASE, VERSION, add_up, read_message, write_message
from state.similar.row import ItemRow
from state.similar.row_state import RowState, should_compact


def row_of(*changes) -> ItemRow:
    row = ItemRow()
    for base, value, support, *partners in changes:
        row.apply([VERSION, 0, base, value, support, *partners])
    return row


class TestItemRow:
    def test_sums_of_different_bases_are_exact(self):
        row = row_of((3, 5, 1, "b", 1, 1), (0, 1, 1, "b", 7, 1))
        assert absolute(row) == (5 * 8 + 1, 2, {"b": (8 + 7, 2)})

    def test_an_entry_that_returns_to_zero_is_gone(self):
        row = row_of((3, 5, 1, "b", 1, 1, "c", 2, 1), (2, -10, -1, "b", -2, -1))
        assert row.values == {"c": 4}
        assert not row.is_empty

    def test_it_is_empty_once_all_is_taken_back(self):
        assert row_of((3, 5, 1, "b", 1, 1), (3, -5, -1, "b", -1, -1)).is_empty

    def test_equal_sums_in_other_units_are_equal_bytes(self):
        assert row_of((4, 3, 1, "b", 2, 1)).pack() == row_of((0, 48, 1, "b", 32, 1)).pack()

    def test_the_order_of_partners_does_not_show(self):
        assert (
            row_of((0, 0, 0, "b", 1, 1), (0, 0, 0, "c", 1, 1)).pack() == row_of((0, 0, 0, "c", 1, 1, "b", 1, 1)).pack()
        )

    def test_a_row_in_debt_for_a_moment_survives_packing(self):
        row = ItemRow.unpack(row_of((700, -5, -1, "b", -(3**90), -1)).pack())
        row.apply([VERSION, 0, 700, 5, 1, "b", 3**90, 1])
        assert row.is_empty

    @given(st.integers(0, 3000), st.integers(1, 3000))
    def test_any_span_of_exponents_comes_back(self, base, more):
        row = row_of((base + more, 4097, 1, "b", 5000, 1), (base, 4099, 1, "c", 4096, 1))
        again = ItemRow.unpack(row.pack())
        assert absolute(again) == absolute(row)
        assert again.pack() == row.pack()

    @pytest.mark.parametrize("seed", range(30))
    def test_long_rows_are_what_dicts_add_up_to(self, seed):
        """Few and many new partners at once, some that go and come back, read often or seldom, stored or not."""
        random = Random(seed)
        row, naive = ItemRow(), {}
        for _ in range(60):
            fields = [VERSION, 0, random.randint(595, 605), 1, 1]
            for _ in range(random.choice((1, 5, 100))):
                partner = str(random.randrange(300))
                value, support = naive.get(partner, (0, 0))
                if value and random.random() < 0.4 and value % (1 << (fields[BASE] - 595)) == 0:
                    change, count = -(value >> (fields[BASE] - 595)), -support
                else:
                    change, count = random.randint(-3, 9), random.randint(0, 2)
                fields += (partner, change, count)
                naive[partner] = value + (change << (fields[BASE] - 595)), support + count
            row.apply(fields)
            kept = {partner: sums for partner, sums in sorted(naive.items()) if any(sums)}
            if random.random() < 0.3:
                partners, values, supports = row.columns()
                assert partners == sorted(partners)
                assert len(row) == len(kept)
                of_row = [value << (row.total[1] - 595) for value in values]
                assert dict(zip(partners, zip(of_row, supports, strict=True), strict=True)) == kept
            if random.random() < 0.3:
                row = ItemRow.unpack(row.pack())
        at_once = row_of((595, row.total[0] << (row.total[1] - 595), row.support))
        at_once.apply([VERSION, 0, 595, 0, 0, *(field for one, sums in kept.items() for field in (one, *sums))])
        assert row.pack() == at_once.pack()

    def test_a_newer_version_is_refused(self):
        with pytest.raises(SimilarStateError, match="version 9"):
            ItemRow.unpack(msgpack.packb([9]))


class TestMessage:
    @given(st.integers(-(1 << 200), 1 << 200), st.integers(-(1 << 70), 1 << 70))
    def test_values_of_any_size_come_back(self, own, pair):
        fields = [VERSION, 1, 650, own, 1, "b", pair, 1, "c", 3, -1]
        assert read_message(write_message(fields)) == fields

    def test_a_common_message_is_small(self):
        assert len(write_message([VERSION, 0, 656, 64 * 8000, 1, "85123A", 64 * 8000, 1])) == 25

    def test_a_newer_version_is_refused(self):
        with pytest.raises(SimilarStateError, match="a message to an item of version 2"):
            read_message(msgpack.packb([2, 0, 0, 0, 0]))

    def test_adding_up_merges_partners_and_drops_nothings(self):
        assert add_up([VERSION, 0, 5, 0, 0, "b", 4, 1, "c", 1, 1, "b", -4, -1, "c", 2, 0]) == [
            VERSION,
            0,
            5,
            0,
            0,
            "c",
            3,
            1,
        ]
        assert add_up([VERSION, 0, 5, 0, 0, "b", 4, 1, "b", -4, -1]) is None


class TestRowState:
    @given(st.data(), relations)
    def test_pending_and_compaction_equal_direct(self, data, relation):
        sent: dict[str, list[bytes]] = {}
        history = data.draw(st.lists(ledgers(relation), max_size=5))
        for old, new in zip([(), *history], history, strict=False):
            for item, message in messages(relation, old, new, SETTINGS):
                sent.setdefault(item, []).append(message)
        direct = Items()
        direct.receive((item, message) for item, of_item in sent.items() for message in of_item)
        for item, of_item in sent.items():
            stored: bytes | None = None
            pending: list[bytes] = []
            for message in of_item:
                pending.append(message)
                if data.draw(st.booleans()):
                    stored, pending = RowState.load(stored, pending).pack(), []
            assert RowState.load(stored, pending).pack() == direct.packed().get(item)

    def test_it_counts_what_waits_since_it_was_packed(self):
        message = write_message([VERSION, 0, 5, 1, 1])
        state = RowState.load(None, [message] * 15)
        assert not state.should_compact()
        state.add(message)
        assert state.should_compact()
        assert state.pack() is not None
        assert state.pending == 0

    def test_a_long_row_waits_for_more(self):
        assert not should_compact(16, 800)
        assert should_compact(100, 800)
