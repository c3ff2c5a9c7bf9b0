"""PSI and KL against the formulas in exact fractions, against chance, and on real bins."""

from fractions import Fraction
from math import inf, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtri

from schemas.settings import DAY_MS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.packing import pack, unpack
from state.population.divergence import Bins, kl, psi, psi_by_chance
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch

T0_MS = 1_740_787_200_000
counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=12).filter(any)
two_counts = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 10_000), min_size=n, max_size=n).filter(any)] * 2)
)


def shares(known: list[int]) -> list[Fraction]:
    return [(Fraction(count) + Fraction(1, 2)) / (sum(known) + Fraction(len(known), 2)) for count in known]


def sketch_of(feature: str, values: list[float], at_ms: int = T0_MS) -> QuantileSketch:
    sketch = QuantileSketch(scale_of(feature))
    for value in values:
        sketch.add(value, at_ms=at_ms)
    return sketch


class TestMeasures:
    @given(two_counts)
    def test_the_formulas(self, both) -> None:
        """Sum of (a - e) ln(a / e), sum of a ln(a / e), over smoothed shares that are exact fractions here."""
        e, a = shares(both[0]), shares(both[1])
        assert psi(*both) == pytest.approx(
            sum(float(y - x) * log(y / x) for x, y in zip(e, a, strict=True)), rel=1e-9, abs=1e-12
        )
        assert kl(*both) == pytest.approx(
            sum(float(y) * log(y / x) for x, y in zip(e, a, strict=True)), rel=1e-9, abs=1e-12
        )

    @given(two_counts)
    def test_psi_is_both_divergences_and_has_no_sides(self, both) -> None:
        one, other = both
        assert psi(one, other) == pytest.approx(psi(other, one), rel=1e-9, abs=1e-12)
        assert psi(one, other) == pytest.approx(kl(one, other) + kl(other, one), rel=1e-9, abs=1e-12)
        assert kl(one, other) >= 0

    @given(counts)
    def test_no_change_is_nothing(self, known: list[int]) -> None:
        assert psi(known, known) == kl(known, known) == 0

    def test_by_hand(self) -> None:
        """Half to half becomes four fifths to one fifth: 0.3 ln 1.6 - 0.3 ln 0.4 = 0.3 ln 4."""
        assert psi([5 * 10**8] * 2, [8 * 10**8, 2 * 10**8]) == pytest.approx(0.3 * log(4), rel=1e-7)

    def test_an_empty_bin_is_finite(self) -> None:
        assert 0 < psi([100, 0], [0, 100]) < inf

    @pytest.mark.parametrize("both", [([], []), ([1], [1, 2]), ([0, 0], [1, 1]), ([1, 1], [0, 0]), ([2, -1], [1, 1])])
    def test_what_cannot_be_compared_is_refused(self, both) -> None:
        for measure in (psi, kl):
            with pytest.raises(PopulationError, match="cannot be compared"):
                measure(*both)


class TestChance:
    @pytest.mark.parametrize("bins", range(2, 12))
    @pytest.mark.parametrize("false_alarms", [0.05, 0.01, 0.001, 0.0001])
    def test_the_quantile_is_that_of_chi_squared(self, bins: int, false_alarms: float) -> None:
        """Within what is stated."""
        exact = chdtri(bins - 1, false_alarms) * (1 / 1_000 + 1 / 400)
        assert 0.975 <= psi_by_chance(bins, 1_000, 400, false_alarms) / exact <= 1.072

    def test_it_is_exceeded_as_often_as_it_should_be(self) -> None:
        """Two samples of 500 over ten bins, 1,000 times: 50 are expected above the 5 % point, and the standard
        deviation is 6.9, so that fewer than 15 or more than 85 would be five of them."""
        rng, above = Random(6), 0
        limit = psi_by_chance(10, 500, 500, 0.05)
        for _ in range(1_000):
            one, other = [0] * 10, [0] * 10
            for sample in (one, other):
                for drawn in rng.choices(range(10), k=500):
                    sample[drawn] += 1
            above += psi(one, other) > limit
        assert 15 <= above <= 85

    def test_one_bin_cannot_move(self) -> None:
        assert psi_by_chance(1, 10, 10, 0.01) == 0

    @pytest.mark.parametrize("arguments", [(0, 1, 1, 0.1), (2, 0, 1, 0.1), (2, 1, 0, 0.1), (2, 1, 1, 0), (2, 1, 1, 1)])
    def test_out_of_range(self, arguments) -> None:
        with pytest.raises(PopulationError):
            psi_by_chance(*arguments)


class TestBins:
    @given(st.lists(st.integers(-100, 511), min_size=1, max_size=100), st.lists(st.integers(-100, 511), max_size=100))
    def test_counts_between_deciles(self, then: list[int], now: list[int]) -> None:
        bins = Bins.of("revenue_total_cents", sketch_of("revenue_total_cents", then), T0_MS)
        assert bins is not None
        edges = sorted({sorted(then)[-(-d * len(then) // 10) - 1] for d in range(1, 10)})
        assert list(bins.edges) == edges
        for known, found in ((then, bins.counts), (now, bins.count(sketch_of("revenue_total_cents", now), T0_MS))):
            assert list(found) == [
                sum(low < value <= high for value in known)
                for low, high in zip([-inf, *edges], [*edges, inf], strict=True)
            ]

    def test_nine_in_ten_have_nothing(self) -> None:
        """Deciles coincide: two bins are left, and both count."""
        sketch = sketch_of("orders_total", [0] * 95 + [1, 2, 3, 4, 5])
        assert Bins.of("orders_total", sketch, T0_MS) == Bins(feature="orders_total", edges=(0,), counts=(95, 5))

    def test_who_was_there_and_has_none(self) -> None:
        """Is counted besides; who was not there is not."""
        orders, visits = ([0] * 60 + [1] * 30 + [2] * 10, [0] * 50 + [3] * 50)
        sketches = sketch_of("orders_7d", orders), sketch_of("sessions_7d", visits)
        bins = Bins.of("orders_7d", sketches[0], T0_MS, positive=True, visits=sketches[1])
        assert bins is not None
        assert (bins.edges, bins.counts) == ((1, 2), (10, 30, 10, 0))
        later = sketch_of("orders_7d", [0] * 80 + [1] * 15 + [2] * 5)
        assert bins.count(later, T0_MS, sketches[1]) == (30, 15, 5, 0)
        assert Bins.unpacked(bins.packed()) == bins
        plain = Bins.of("orders_7d", sketches[0], T0_MS, positive=True)
        assert plain is not None
        assert plain.count(later, T0_MS, sketches[1]) == (15, 5, 0)

    def test_nobody(self) -> None:
        assert Bins.of("orders_total", QuantileSketch(), T0_MS) is None

    def test_engagement_is_compared_by_value(self) -> None:
        """Customers who do as much as ever, two weeks later: no drift. The same ones, silent since: one."""
        rng = Random(1)
        scores = [rng.lognormvariate(1, 1) for _ in range(2_000)]
        bins = Bins.of("engagement", sketch_of("engagement", scores), T0_MS)
        assert bins is not None
        later_ms = T0_MS + 2 * ENGAGEMENT_HALF_LIFE_MS + DAY_MS
        assert bins.count(sketch_of("engagement", scores), T0_MS) == bins.counts
        busy = bins.count(sketch_of("engagement", scores, later_ms), later_ms)
        silent = bins.count(sketch_of("engagement", scores), later_ms)
        assert psi(bins.counts, busy) < 0.01 < 0.5 < psi(bins.counts, silent)

    def test_restored(self) -> None:
        bins = Bins.of("engagement", sketch_of("engagement", [1.0, 2.0, 5.0]), T0_MS)
        assert bins is not None
        assert Bins.unpacked(bins.packed()) == bins

    @pytest.mark.parametrize(
        "fields", [[], ["orders_total", [1], [2]], ["orders_total", [2, 1], [1, 1, 1]], ["orders_total", 5, 6]]
    )
    def test_what_are_no_bins_is_refused(self, fields: list) -> None:
        with pytest.raises(PopulationError, match="cannot be read"):
            Bins.unpacked(pack([1, *fields]))

    def test_a_newer_one_is_refused(self) -> None:
        fields = unpack(Bins(feature="orders_total", edges=(0,), counts=(1, 2)).packed())
        with pytest.raises(PopulationError, match="version 2 found"):
            Bins.unpacked(pack([2, *fields[1:]]))
