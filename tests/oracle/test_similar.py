"""The batch oracle for similar items, on cases worked out by hand."""

from fractions import Fraction
from itertools import pairwise

import pytest

from jobs.simulation import Simulation, SimulationSettings

from .builders import DAY, MINUTE, T0, line, order, refund, view
from .similar import BOUGHT, FULL, VIEWED, batch_similar, batch_sums, millionths, weight

NOW = T0 + 1_000 * DAY


class TestWeights:
    def test_they_double_in_a_half_life(self) -> None:
        """From 4,096 at the epoch; half way it is 4096 x 1.41421 = 5792.6, rounded down."""
        assert weight(0, VIEWED) == 4096
        assert weight(15 * DAY, VIEWED) == 5792
        assert weight(30 * DAY, VIEWED) == 8192
        assert weight(90 * DAY, BOUGHT) == 8192
        assert weight(300 * DAY, VIEWED) == 4096 << 10
        assert all(weight(one * DAY, VIEWED) < weight(other * DAY, VIEWED) for one, other in pairwise(range(99)))

    def test_they_are_close_to_the_exact_power(self) -> None:
        """Within 0.06 %."""
        for day in range(60):
            assert float(Fraction(weight(day * DAY, VIEWED), 4096)) == pytest.approx(2 ** (day / 30), rel=6e-4)


class TestScores:
    def test_cosine_with_doubt(self) -> None:
        """30 / sqrt(20 x 80) = 0.75; with support 2 and shrink 2 half of it; 1/3 is 0.333333 and 2/3 0.666667."""
        assert millionths(30, 2, 20, 80, 0) == 750_000
        assert millionths(30, 2, 20, 80, 2) == 375_000
        assert millionths(1, 1, 3, 3, 0) == 333_333
        assert millionths(2, 1, 3, 3, 0) == 666_667
        assert millionths(1, 1, 2_000_000, 2_000_000, 0) == 1  # exactly half a millionth


class TestViewed:
    def test_pairs_of_a_session_by_distance(self) -> None:
        """a, b, a, c within a session: a-b 64 at b, b-c 64 at c, a-c 32 at c; a counts once, by its first view."""
        lines = [view(n * MINUTE, product) for n, product in enumerate("abac")]
        sums = batch_sums(lines, NOW)[VIEWED]
        times = {name: weight(T0 + n * MINUTE, VIEWED) for name, n in (("a", 0), ("b", 1), ("c", 3))}
        assert dict(sums.totals) == {name: FULL * w for name, w in times.items()}
        assert dict(sums.values) == {
            ("a", "b"): 64 * times["b"],
            ("b", "c"): 64 * times["c"],
            ("a", "c"): 32 * times["c"],
        }
        # all weights are of the same 2,048th of 30 days: cosine 64/64 and 32/64; support 1 of 1 + 10
        assert len(set(times.values())) == 1
        assert batch_similar(lines, NOW)[VIEWED]["a"] == [("b", 0.090909, 1), ("c", 0.045455, 1)]

    def test_other_sessions_and_far_products_make_no_pairs(self) -> None:
        """Beyond ten places, and after a pause; the second session adds to support."""
        lines = [view(n, f"p{n:02d}") for n in range(12)]
        sums = batch_sums(lines, NOW)[VIEWED]
        assert ("p00", "p10") in sums.values
        assert ("p00", "p11") not in sums.values
        lines += [view(DAY, "p00"), view(DAY + 1, "p01"), view(3 * DAY, "p11")]
        sums = batch_sums(lines, NOW)[VIEWED]
        assert sums.supports["p00", "p01"] == 2
        assert ("p00", "p11") not in sums.values

    def test_only_the_newest_fifty_views_count(self) -> None:
        """60 views of two products by turns and one of a third before: the third has no place."""
        lines = [view(0, "x")] + [view(n, "ab"[n % 2]) for n in range(1, 61)]
        assert set(batch_sums(lines, NOW)[VIEWED].totals) == {"a", "b"}


class TestBought:
    def test_same_order_and_other_orders(self) -> None:
        """a and b in one order, c 30 days later, d a millisecond after that: a-c 32, a-d none, c-d 32."""
        lines = [
            order(0, "o1", ("a", 1, 1), ("b", 2, 1)),
            order(30 * DAY, "o2", ("c", 1, 1)),
            order(30 * DAY + 1, "o3", ("d", 1, 1)),
        ]
        early, late = weight(T0, BOUGHT), weight(T0 + 30 * DAY, BOUGHT)
        assert dict(batch_sums(lines, NOW)[BOUGHT].values) == {
            ("a", "b"): 64 * early,
            ("a", "c"): 32 * late,
            ("b", "c"): 32 * late,
            ("c", "d"): 32 * weight(T0 + 30 * DAY + 1, BOUGHT),
        }
        assert batch_similar(lines, NOW)[BOUGHT]["b"][0] == ("a", 0.090909, 1)  # 1 x 1/11

    def test_returned_products_make_no_pairs(self) -> None:
        """All units of b go back, or the whole order does; a part of the units changes nothing."""
        bought = order(0, "o1", ("a", 1, 1), ("b", 2, 1), ("c", 1, 1))
        assert len(batch_sums([bought, refund(1, "o1", ("b", 1, 1))], NOW)[BOUGHT].values) == 3
        assert set(batch_sums([bought, refund(1, "o1", ("b", 2, 1))], NOW)[BOUGHT].values) == {("a", "c")}
        assert not batch_sums([bought, refund(1, "o1")], NOW)[BOUGHT].totals
        assert len(batch_sums([bought, refund(1, "o1")], T0)[BOUGHT].totals) == 3

    def test_an_earlier_purchase_comes_back_when_the_newest_is_returned(self) -> None:
        """a in o1 and o2: it counts by o2; o2 is refunded: by o1."""
        lines = [order(0, "o1", ("a", 1, 1)), order(DAY, "o2", ("a", 1, 1))]
        assert dict(batch_sums(lines, NOW)[BOUGHT].totals) == {"a": 64 * weight(T0 + DAY, BOUGHT)}
        lines.append(refund(2 * DAY, "o2"))
        assert dict(batch_sums(lines, NOW)[BOUGHT].totals) == {"a": 64 * weight(T0, BOUGHT)}

    def test_an_erased_customer_contributes_nothing(self) -> None:
        """Nor one without consent, if so asked."""
        lines = [order(0, "o1", ("a", 1, 1), ("b", 2, 1)), view(1), view(2, "p2")]
        erased = batch_sums([*lines, line("erase", 9)], NOW)
        assert not erased[VIEWED].totals
        assert not erased[BOUGHT].totals
        denied = [*lines, line("consent", 9, purposes={"personalization": False})]
        assert batch_similar(denied, NOW) == batch_similar(lines, NOW)
        assert batch_similar(denied, NOW, denied_count=False) == {VIEWED: {}, BOUGHT: {}}


class TestTruth:
    def test_the_simulated_shop_is_found_again(self) -> None:
        """First neighbours are mostly the known substitutes (viewed) and companions (bought)."""
        simulation = Simulation(SimulationSettings(events=20_000, customers=600, products=200))
        lists = batch_similar(simulation.lines(), NOW)
        products = simulation.truth().products
        for relation, mates in ((VIEWED, "substitutes"), (BOUGHT, "companions")):
            firsts = [(item, found[0][0]) for item, found in lists[relation].items() if found[0][2] >= 3]
            hits = sum(first in getattr(products[item], mates) for item, first in firsts)
            assert len(firsts) > 5
            assert hits > 0.5 * len(firsts), (relation, hits, len(firsts))
