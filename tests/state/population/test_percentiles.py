"""What is published of a feature, against a plain ranking of all customers."""

from bisect import bisect_left
from fractions import Fraction
from math import ceil, nan

import pytest
from answers import rfm_score
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import DAY_MS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.packing import pack, unpack
from state.population.percentiles import (
    ALL_POINTS,
    FIFTHS,
    QUARTERS,
    RFM,
    Percentiles,
    percentiles_of,
    rfm_question,
)
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch
from state.rules.features import POPULATION_SCORES

T0_MS = 1_740_787_200_000
small = st.lists(st.integers(-20, 511), min_size=1, max_size=80)


def published(feature: str, values: list[float], points=ALL_POINTS, positive: bool = False) -> Percentiles:
    sketch = QuantileSketch(scale_of(feature))
    for value in values:
        sketch.add(value, at_ms=T0_MS)
    found = percentiles_of(feature, sketch, points, positive=positive)
    assert found is not None
    return found


def naive_thresholds(values: list[int], points) -> list[int]:
    """The least value that at least p % of all do not exceed."""
    everybody = sorted(values)
    return [
        next(v for v in everybody if 100 * sum(other <= v for other in everybody) >= point * len(everybody))
        for point in points
    ]


class TestPercentiles:
    @given(small)
    def test_values_below_512_have_exact_percentiles(self, values: list[int]) -> None:
        found = published("revenue_total_cents", values)
        assert [found.percentile(point) for point in ALL_POINTS] == naive_thresholds(values, ALL_POINTS)
        assert found.count == len(values)

    @given(st.lists(st.integers(1, 10**12), min_size=1, max_size=60))
    def test_above_a_threshold_is_the_same_for_numbers_and_quartiles(self, values: list[int]) -> None:
        """`x > percentile(x, 75)` exactly if `quartile(x) == 4`, whatever bucket x lies in."""
        found = published("revenue_total_cents", values, QUARTERS)
        for value in values:
            assert found.quartile(value) == 1 + sum(value > found.percentile(point) for point in QUARTERS)

    @given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60), st.sampled_from([20, 50, 80, 99.9]))
    def test_no_more_than_promised_are_above(self, values: list[int], point: float) -> None:
        found = published("revenue_total_cents", values, (point,))
        above = sum(value > found.percentile(point) for value in values)
        assert above <= len(values) - ceil(Fraction(str(point)) / 100 * len(values))

    def test_points_may_be_fractions(self) -> None:
        assert published("orders_total", list(range(1, 501)), (0.2, 99.8)).percentile(99.8) == 499
        assert (
            published("orders_total", list(range(1, 1_001)), (0.1,)).percentile(0.1) == 1
        )  # 0.1 as a float is above it

    def test_a_point_that_is_not_there(self) -> None:
        with pytest.raises(PopulationError, match=r"percentile 81 of orders_total is not known: there are \(80,\)"):
            published("orders_total", [1, 2], (80,)).percentile(81)

    @pytest.mark.parametrize("points", [(), (0,), (100,), (50, 25), (25, 25)])
    def test_points_out_of_range_or_order(self, points: tuple[int, ...]) -> None:
        with pytest.raises(PopulationError, match="must ascend between 0 and 100"):
            published("orders_total", [1, 2], points)

    def test_a_sketch_of_another_feature(self) -> None:
        with pytest.raises(PopulationError, match="another scale"):
            percentiles_of("engagement", QuantileSketch())

    def test_nobody(self) -> None:
        assert percentiles_of("orders_total", QuantileSketch()) is None
        only_zeros = QuantileSketch()
        only_zeros.add(0, 5)
        assert percentiles_of("orders_total", only_zeros, positive=True) is None

    def test_engagement_passes_with_time(self) -> None:
        """Published once, asked later: thresholds halve as customers do, and quartiles stay."""
        found = published("engagement", [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], QUARTERS)
        later_ms = T0_MS + 3 * ENGAGEMENT_HALF_LIFE_MS
        assert [found.percentile(point, later_ms) for point in QUARTERS] == pytest.approx(
            [1 / 8, 4 / 8, 16 / 8], rel=0.0055
        )
        for number, score in enumerate([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]):
            assert found.quartile(score / 8, later_ms) == found.quartile(score, T0_MS) == 1 + number // 2

    def test_recency_passes_with_time(self) -> None:
        days = [DAY_MS * day for day in (1, 2, 3, 4)]
        found = published("recency_ms", days, QUARTERS)
        assert [found.quartile(day, T0_MS) for day in days] == [1, 2, 3, 4]
        assert [found.quartile(day + 5 * DAY_MS, T0_MS + 5 * DAY_MS) for day in days] == [1, 2, 3, 4]
        assert found.percentile(50, T0_MS + 5 * DAY_MS) == 7 * DAY_MS

    def test_absent_values_have_no_quartile(self) -> None:
        assert published("average_order_cents", [5, 6]).quartile(None) is None

    def test_a_value_that_cannot_be_counted(self) -> None:
        with pytest.raises(PopulationError, match="no finite number"):
            published("engagement", [1.0, 2.0]).quartile(nan, T0_MS)


class TestScores:
    @given(small, st.booleans())
    def test_fifths(self, values: list[int], less_is_better: bool) -> None:
        """5 less (or 1 more) for each threshold of a fifth that the value is above."""
        found = published("revenue_total_cents", values, FIFTHS)
        thresholds = naive_thresholds(values, FIFTHS)
        for value in values:
            passed = bisect_left(thresholds, value)
            assert found.passed(FIFTHS)(value, 0) == passed
            score, expected = ("rfm_recency", 5 - passed) if less_is_better else ("rfm_monetary", 1 + passed)
            assert rfm_score(score, found, value, 0) == expected

    def test_ten_customers_by_hand(self) -> None:
        values = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
        found = published("revenue_total_cents", values, FIFTHS)
        assert [rfm_score("rfm_monetary", found, value, 0) for value in values] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert [rfm_score("rfm_recency", found, value, 0) for value in values] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]

    def test_rfm_of_a_shop_in_which_few_buy(self) -> None:
        """90 visitors without an order have 1; the fifths are those of the ten who bought."""
        orders = [0] * 90 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        feature, positive = rfm_question("rfm_frequency")
        fifths = published(feature, orders, FIFTHS, positive)
        assert (fifths.count, fifths.positive) == (10, True)
        scores = [rfm_score("rfm_frequency", fifths, count, T0_MS) for count in orders]
        assert scores == [1] * 90 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]

    def test_the_latest_order_has_the_best_recency(self) -> None:
        days = [DAY_MS * day for day in (1, 10, 20, 30, 40)]
        feature, positive = rfm_question("rfm_recency")
        fifths = published(feature, days, FIFTHS, positive)
        assert [rfm_score("rfm_recency", fifths, day, T0_MS) for day in days] == [5, 4, 3, 2, 1]
        assert rfm_score("rfm_recency", fifths, None, T0_MS) == 1

    def test_a_refund_of_an_unknown_order_scores_least(self) -> None:
        feature, positive = rfm_question("rfm_monetary")
        fifths = published(feature, [-500, 100, 200, 300, 400, 500], FIFTHS, positive)
        assert [rfm_score("rfm_monetary", fifths, cents, T0_MS) for cents in (-500, 100, 500)] == [1, 1, 5]

    def test_unknown_fifths_are_unknown_scores(self) -> None:
        assert rfm_score("rfm_monetary", None, 100, T0_MS) is None

    def test_the_scores_of_the_rule_language(self) -> None:
        assert tuple(RFM) == POPULATION_SCORES


class TestPacking:
    @given(small, st.booleans())
    def test_restored(self, values: list[int], positive: bool) -> None:
        one = published("orders_total", [*values, 5], (12.5, 25, 80), positive)
        assert Percentiles.unpacked(one.packed()) == one

    def test_a_newer_one_is_refused(self) -> None:
        version, *fields = unpack(published("orders_total", [1]).packed())
        with pytest.raises(PopulationError, match="version 2 found"):
            Percentiles.unpacked(pack([version + 1, *fields]))

    @pytest.mark.parametrize(
        "packed",
        [
            pack([1]),
            pack([1, "orders_total", 1, [50], [1, 2], False]),
            pack([1, "orders_total", 1, [50, 40], [1, 2], False]),
        ],
    )
    def test_what_are_no_percentiles_is_refused(self, packed: bytes) -> None:
        with pytest.raises(PopulationError, match="cannot be read"):
            Percentiles.unpacked(packed)
