"""Sums are those of the customers, whatever was added, taken away and merged on the way."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.experiments.sums import Outcome, Sums, merged
from state.packing import pack, unpack

MOST = 10**14
MANY = settings(max_examples=100, deadline=None)
outcomes = st.builds(
    Outcome, st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 50), st.integers(-1_000, MOST)
)
customers = st.lists(outcomes, max_size=12)


def summed(known: list[Outcome]) -> Sums:
    sums = Sums()
    for outcome in known:
        sums.add(outcome)
    return sums


def packed(sums: Sums) -> bytes:
    return pack(sums.packed())


class TestSums:
    @MANY
    @given(customers)
    def test_each_is_what_its_name_says(self, known: list[Outcome]) -> None:
        """x2: of squares, x_y: of products, of the list of customers."""
        columns = {
            name: [getattr(outcome, name) for outcome in known] for name in ("shown", "clicked", "orders", "cents")
        }
        expected = {"customers": len(known), "converted": sum(1 for outcome in known if outcome.orders)}
        for name, values in columns.items():
            expected[name] = sum(values)
            expected[name + "2"] = sum(value**2 for value in values)
        for one, other in (("shown", "clicked"), ("orders", "cents")):
            expected[f"{one}_{other}"] = sum(a * b for a, b in zip(columns[one], columns[other], strict=True))
        sums = summed(known)
        assert {name: getattr(sums, name) for name in Sums.__struct_fields__} == expected

    @MANY
    @given(customers, outcomes)
    def test_who_was_added_and_taken_away_leaves_nothing(self, known: list[Outcome], one: Outcome) -> None:
        sums = summed(known)
        before = packed(sums)
        sums.add(one)
        assert packed(sums) != before
        sums.subtract(one)
        assert packed(sums) == before

    @MANY
    @given(customers, customers, customers, st.randoms(use_true_random=False))
    def test_however_they_are_merged(self, a: list[Outcome], b: list[Outcome], c: list[Outcome], order: Random) -> None:
        together = [*a, *b, *c]
        order.shuffle(together)
        left, right = merged([merged([summed(a), summed(b)]), summed(c)]), merged([summed(b), summed(c)])
        right.merge(summed(a))
        assert packed(left) == packed(right) == packed(summed(together))

    def test_merging_leaves_the_others_alone(self) -> None:
        one, other = summed([Outcome(1, 1, 1, 1)]), summed([Outcome(2, 1, 0, 0)])
        merged([one, other]).add(Outcome(9, 9, 9, 9))
        assert (one, other) == (summed([Outcome(1, 1, 1, 1)]), summed([Outcome(2, 1, 0, 0)]))


class TestPacking:
    @MANY
    @given(customers, customers)
    def test_they_come_back(self, known: list[Outcome], gone: list[Outcome]) -> None:
        """Also where more was taken away than added."""
        sums = summed(known)
        for outcome in gone:
            sums.subtract(outcome)
        assert Sums.unpacked(unpack(packed(sums))) == sums

    @pytest.mark.parametrize(
        "number", [0, -1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**71 - 1, 2**71, 10**40]
    )
    def test_at_the_edges_of_64_bits(self, number: int) -> None:
        for sums in (Sums(cents2=number), Sums(cents2=-number)):
            assert Sums.unpacked(unpack(packed(sums))) == sums

    def test_squares_beyond_64_bits(self) -> None:
        """A million customers of 100,000 each."""
        sums = Sums(customers=10**6, orders=10**6, cents=10**13, cents2=10**20)
        assert Sums.unpacked(unpack(packed(sums))) == sums

    @pytest.mark.parametrize("fields", [[], [0] * 11, [0] * 13, [0.5] * 12, [None] * 12, [True] * 12, ["1"] * 12])
    def test_what_is_none_is_refused(self, fields: list[object]) -> None:
        with pytest.raises(ValueError, match="experiment"):
            Sums.unpacked(fields)
