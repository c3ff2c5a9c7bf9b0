from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from state.similar.message import VERSION
from state.similar.row import ItemRow
from state.similar.score import Neighbour, candidates, neighbours, pack_candidates, score_millionths, unpack_candidates
from state.similar.settings import VIEWED_WITH, SimilarSettings

SETTINGS = SimilarSettings(viewed_shrink=0, neighbours_max=3)
positive = st.integers(1, 1 << 90)
bases = st.integers(0, 700)


def row_of(total, *partners) -> ItemRow:
    row = ItemRow()
    row.apply([VERSION, 0, 600, total, 1, *(field for partner in partners for field in partner)])
    return row


class TestScore:
    def test_by_hand(self):
        # 6 / sqrt(4 * 16) = 0.75, shrunk by 3 / (3 + 2)
        assert score_millionths((6, 0), 3, (4, 0), (16, 0), 0) == 750_000
        assert score_millionths((6, 0), 3, (4, 0), (16, 0), 2) == 450_000

    def test_bases_only_shift(self):
        assert score_millionths((6, 10), 1, (4, 10), (1, 14), 0) == 750_000
        assert score_millionths((6 << 10, 0), 1, (4, 10), (16 << 7, 3), 0) == 750_000

    def test_nothing_scores_nothing(self):
        assert score_millionths((0, 0), 1, (4, 0), (4, 0), 0) == 0
        assert score_millionths((4, 0), 1, (4, 0), (0, 0), 0) == 0
        assert score_millionths((4, 0), 0, (4, 0), (4, 0), 5) == 0

    @given(positive, bases, st.integers(1, 10**6), positive, bases, positive, bases, st.integers(0, 50))
    def test_it_is_the_nearest_millionth(self, pair, p, support, total, t, other, o, shrink):
        millionths = score_millionths((pair, p), support, (total, t), (other, o), shrink)
        square = Fraction((pair << p) ** 2, (total << t) * (other << o)) * Fraction(support, support + shrink) ** 2
        # rounded half up: (m - 1/2) <= 10^6 * score < (m + 1/2), compared by their squares
        assert millionths == 0 or Fraction(2 * millionths - 1, 2) ** 2 <= square * 10**12
        assert square * 10**12 < Fraction(2 * millionths + 1, 2) ** 2


class TestCandidates:
    def test_the_largest_sums_first_ties_by_id_and_the_rest_is_counted(self):
        row = row_of(9, ("d", 1, 1), ("b", 5, 2), ("a", 5, 1), ("c", 7, 3))
        found = candidates(row, 3)
        assert found.partners == [("c", 7, 3), ("a", 5, 1), ("b", 5, 2)]
        assert found.left_out == 1
        assert found.total == (9, 600)

    @given(st.dictionaries(st.text(), st.integers(-3, 3) | st.integers(1, 1 << 70), max_size=20), st.integers(1, 9))
    def test_they_are_those_of_a_whole_sort(self, sums, limit):
        found = candidates(row_of(9, *((item, value, 1) for item, value in sums.items())), limit)
        ranked = sorted(sums, key=lambda item: (-sums[item], item))
        assert found.items == ranked[:limit]
        assert found.left_out == len(ranked[limit:])

    @given(st.dictionaries(st.text(), st.tuples(st.integers(1, 1 << 90), st.integers(1, 9)), max_size=20), positive)
    def test_they_come_back_from_bytes(self, partners, total):
        found = candidates(row_of(total, *((item, *sums) for item, sums in partners.items())), 10)
        assert unpack_candidates(pack_candidates(found)) == found


class TestNeighbours:
    def test_by_score_then_id_and_only_the_best(self):
        row = row_of(100, ("e", 10, 1), ("a", 10, 1), ("c", 50, 1), ("d", 50, 4), ("b", 1, 1))
        totals = {"a": (100, 600), "b": (100, 600), "c": (100, 600), "d": (400, 600), "e": (100, 600)}
        assert neighbours(candidates(row, 200), totals.get, VIEWED_WITH, SETTINGS) == [
            Neighbour("c", 0.5, 1),
            Neighbour("d", 0.25, 4),
            Neighbour("a", 0.1, 1),
        ]

    def test_a_partner_whose_total_is_unknown_waits(self):
        assert neighbours(candidates(row_of(100, ("a", 10, 1)), 9), {}.get, VIEWED_WITH, SETTINGS) == []

    def test_rounded_to_nothing_is_no_neighbour(self):
        totals = {"a": (10**14, 600)}
        assert neighbours(candidates(row_of(100, ("a", 1, 1)), 9), totals.get, VIEWED_WITH, SETTINGS) == []
