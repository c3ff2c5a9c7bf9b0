from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import SETTINGS

from state.similar.message import VERSION
from state.similar.publish import Publisher, pack_total, unpack_total
from state.similar.row import ItemRow
from state.similar.score import Neighbour, candidates, pack_candidates
from state.similar.settings import VIEWED_WITH


def row_bytes(total, *partners) -> bytes:
    row = ItemRow()
    row.apply([VERSION, 0, 600, total, 1, *(field for partner in partners for field in partner)])
    return pack_candidates(candidates(row, 200))


class TestPublisher:
    def test_a_list_is_written_once_and_again_when_it_differs(self):
        publisher = Publisher(SETTINGS)
        publisher.on_total(VIEWED_WITH, "b", 64, 600)
        state, written = publisher.on_row(VIEWED_WITH, None, row_bytes(64, ("b", 64, 2)))
        assert written == [Neighbour("b", 0.5, 2)]
        state, written = publisher.on_row(VIEWED_WITH, state, row_bytes(64, ("b", 64, 2)))
        assert written is None
        publisher.on_total(VIEWED_WITH, "b", 256, 600)
        state, written = publisher.final(VIEWED_WITH, state)
        assert written == [Neighbour("b", 0.25, 2)]
        assert publisher.final(VIEWED_WITH, state)[1] is None

    def test_an_item_that_loses_its_last_partner_has_its_list_deleted_and_is_forgotten(self):
        publisher = Publisher(SETTINGS)
        publisher.on_total(VIEWED_WITH, "b", 64, 600)
        state, _ = publisher.on_row(VIEWED_WITH, None, row_bytes(64, ("b", 64, 2)))
        assert publisher.on_row(VIEWED_WITH, state, row_bytes(64)) == (None, [])

    def test_an_item_that_never_had_a_list_writes_none(self):
        assert Publisher(SETTINGS).on_row(VIEWED_WITH, None, row_bytes(64)) == (None, None)

    def test_a_total_of_zero_forgets_the_item(self):
        publisher = Publisher(SETTINGS)
        publisher.on_total(VIEWED_WITH, "b", 64, 600)
        state, _ = publisher.on_row(VIEWED_WITH, None, row_bytes(64, ("b", 64, 2)))
        publisher.on_total(VIEWED_WITH, "b", 0, 0)
        kept, written = publisher.final(VIEWED_WITH, state)
        assert written == []
        assert kept is not None

    @given(st.integers(0, 1 << 200), st.integers(0, 20_000))
    def test_a_total_comes_back_from_bytes(self, number, base):
        assert unpack_total(pack_total("viewed-with|a", (number, base))) == ("viewed-with|a", (number, base))

    def test_after_a_restart_the_stored_totals_are_looked_up(self):
        stored = {"viewed-with|b": pack_total("viewed-with|b", (64, 600))}
        publisher = Publisher(SETTINGS)
        assert publisher.on_row(VIEWED_WITH, None, row_bytes(64, ("b", 64, 2)), stored.get)[1] == [
            Neighbour("b", 0.5, 2)
        ]
        assert publisher.on_packed_total(stored["viewed-with|b"]) == "viewed-with|b"
