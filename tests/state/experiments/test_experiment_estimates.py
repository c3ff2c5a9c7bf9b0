"""Metrics and their variances: of the list of customers, in exact fractions, and as repeated experiments have them."""

from fractions import Fraction
from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.experiments.estimates import METRICS, Estimate
from state.experiments.sums import Outcome, Sums

outcomes = st.builds(
    lambda shown, clicks, orders, cents: Outcome(shown, min(clicks, shown), orders, cents if orders else 0),
    st.integers(0, 40),
    st.integers(0, 6),
    st.sampled_from([0, 0, 0, 1, 1, 2, 7]),
    st.integers(0, 10**7),
)
customers = st.lists(outcomes, min_size=2, max_size=25)

PARTS = {
    "ctr": (lambda one: one.clicked, lambda one: one.shown),
    "conversion": (lambda one: int(one.orders > 0), lambda one: 1),
    "orders_per_customer": (lambda one: one.orders, lambda one: 1),
    "revenue_per_customer_cents": (lambda one: one.cents, lambda one: 1),
    "average_order_value_cents": (lambda one: one.cents, lambda one: one.orders),
}
"""Of one customer: what is above and what below the line."""


def estimate(name: str, known: list[Outcome]) -> Estimate | None:
    sums = Sums()
    for outcome in known:
        sums.add(outcome)
    return METRICS[name](sums)


class TestDefinitions:
    def test_every_metric_is_held_to_one(self) -> None:
        assert set(PARTS) == set(METRICS)

    @pytest.mark.parametrize("name", METRICS)
    @settings(max_examples=100, deadline=None)
    @given(known=customers)
    def test_from_each_customer(self, name: str, known: list[Outcome]) -> None:
        """Variance: that of y - R x, its mean being 0, over n and the squared mean of x."""
        above, below = PARTS[name]
        ys, xs = [Fraction(above(one)) for one in known], [Fraction(below(one)) for one in known]
        found = estimate(name, known)
        if not sum(xs):
            assert found is None
            return
        assert found is not None
        ratio, n = sum(ys) / sum(xs), len(known)
        residuals = [y - ratio * x for y, x in zip(ys, xs, strict=True)]
        assert sum(residuals) == 0
        spread = sum(residual**2 for residual in residuals) / (n - 1)
        assert found.value == pytest.approx(float(ratio), rel=1e-15)
        assert found.variance == pytest.approx(float(spread / n / (sum(xs) / n) ** 2), rel=1e-12)
        assert found.customers == n
        assert all(map(isfinite, found))

    @pytest.mark.parametrize("name", ["conversion", "orders_per_customer", "revenue_per_customer_cents"])
    def test_of_a_mean_it_is_the_squared_standard_error(self, name: str) -> None:
        """As NumPy has it."""
        rng = np.random.default_rng(3)
        known = [Outcome(5, 1, int(orders), int(orders) * 900) for orders in rng.poisson(0.4, 500)]
        found = estimate(name, known)
        values = np.array([PARTS[name][0](one) for one in known])
        assert found is not None
        assert found.variance == pytest.approx(values.var(ddof=1) / len(values), rel=1e-12)

    def test_nothing_is_lost_where_squares_are_large(self) -> None:
        """A billion customers of 10^12 cents, one of them with a cent more: in floats no variance would be left."""
        n, cents = 10**9, 10**12
        sums = Sums(n, converted=n, orders=n, orders2=n, cents=n * cents + 1, cents2=n * cents**2 + 2 * cents + 1)
        found = METRICS["revenue_per_customer_cents"](sums)
        assert found is not None
        assert found.variance == pytest.approx(1 / n**2, rel=1e-8)


class TestSupport:
    @pytest.mark.parametrize("name", ["ctr", "orders_per_customer", "revenue_per_customer_cents"])
    def test_as_many_as_have_something(self, name: str) -> None:
        """Where all of them have as much."""
        found = estimate(name, [Outcome(4, 2, 1, 500)] * 30 + [Outcome(4)] * 70)
        assert found is not None
        assert found.support == pytest.approx(30)

    def test_one_order_of_a_fortune_is_hardly_more_than_one(self) -> None:
        known = [Outcome(4, 2, 1, 500)] * 99 + [Outcome(4, 2, 1, 10**9)]
        for name in ("revenue_per_customer_cents", "average_order_value_cents"):
            found = estimate(name, known)
            assert found is not None
            assert 1 <= found.support < 1.001

    def test_one_customer_with_almost_all_orders_is_hardly_more_than_one(self) -> None:
        """Though she pays no more than the others."""
        known = [Outcome(4, 2, 1, 500)] * 99 + [Outcome(4, 2, 10**6, 500)]
        found = estimate("average_order_value_cents", known)
        assert found is not None
        assert 1 <= found.support < 1.001

    def test_of_a_conversion_both_kinds_are_needed(self) -> None:
        known = [Outcome(1, 0, 1, 5)] * 97 + [Outcome(1)] * 3
        found = estimate("conversion", known)
        assert found is not None
        assert found.support == 3


class TestUndefined:
    @pytest.mark.parametrize("name", METRICS)
    def test_none_and_one_customer(self, name: str) -> None:
        assert estimate(name, []) is None
        assert estimate(name, [Outcome(3, 1, 1, 100)]) is None

    def test_no_impressions_no_orders(self) -> None:
        assert estimate("ctr", [Outcome(), Outcome(0, 0, 1, 10)]) is None
        assert estimate("average_order_value_cents", [Outcome(5, 1), Outcome(5, 2)]) is None

    def test_sums_that_have_not_met_what_they_change(self) -> None:
        sums = Sums()
        for _ in range(3):
            sums.subtract(Outcome(3, 1, 1, 100))
        assert [metric(sums) for metric in METRICS.values()] == [None] * len(METRICS)


class TestRepeatedExperiments:
    @pytest.mark.parametrize("name", METRICS)
    def test_values_vary_as_they_say(self, name: str) -> None:
        """2,000 experiments with 400 customers who differ in how much they see, click and spend.

        The variance of 2,000 values has a relative standard error of sqrt(2 / 2000) = 3.2 % if they are normal; five of
        these are 16 %. Counting impressions as trials would say less than half of the variance here.
        """
        rng = np.random.default_rng(11)
        size = (2_000, 400)
        shown = rng.geometric(0.1, size)
        clicked = rng.binomial(shown, rng.beta(0.5, 4.5, size))
        orders = rng.poisson(0.5, size)
        cents = orders * rng.integers(500, 5_000, size)
        values, variances = [], []
        for row in range(size[0]):
            sums = _of_columns(shown[row], clicked[row], orders[row], cents[row])
            found = METRICS[name](sums)
            assert found is not None
            values.append(found.value)
            variances.append(found.variance)
        assert np.var(values, ddof=1) == pytest.approx(np.mean(variances), rel=0.16)
        if name == "ctr":
            rate = np.mean(values)
            assert rate * (1 - rate) / (400 * 10) < 0.5 * np.mean(variances)


def _of_columns(shown: np.ndarray, clicked: np.ndarray, orders: np.ndarray, cents: np.ndarray) -> Sums:
    def dot(one: np.ndarray, other: np.ndarray) -> int:
        return int(one @ other)

    return Sums(
        customers=len(shown),
        shown=int(shown.sum()),
        shown2=dot(shown, shown),
        clicked=int(clicked.sum()),
        clicked2=dot(clicked, clicked),
        shown_clicked=dot(shown, clicked),
        converted=int((orders > 0).sum()),
        orders=int(orders.sum()),
        orders2=dot(orders, orders),
        cents=int(cents.sum()),
        cents2=dot(cents, cents),
        orders_cents=dot(orders, cents),
    )
