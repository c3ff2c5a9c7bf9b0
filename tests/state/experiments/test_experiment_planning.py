"""Numbers of customers, held to the power that they promise."""

from math import sqrt

import numpy as np
import pytest
from experiment_streams import summed
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from state.experiments.estimates import METRICS
from state.experiments.planning import customers_needed, factor_of_any_look, least_effect, spread_of, spread_of_share
from state.experiments.sequential import SequentialSettings, compare
from state.experiments.sums import Outcome, Sums
from state.experiments.weighting import Stratum

MANY = settings(max_examples=100, deadline=None)
alphas, powers, comparisons = st.floats(0.001, 0.2), st.floats(0.5, 0.99), st.integers(1, 6)


class TestOneLook:
    def test_by_hand(self) -> None:
        """10 % to 12 %: (1.96 + 0.8416)^2 (0.09 + 0.1056) / 0.02^2 = 3,838.0; textbooks have 3,839 to 3,841."""
        needed = customers_needed(0.02, spread_of_share(0.10), spread_of_share(0.12))
        assert needed.one_look == pytest.approx(3_839, abs=1)

    @MANY
    @given(alphas, powers, comparisons, st.floats(0.5, 20), st.floats(0.5, 20))
    def test_the_power_is_that_of_a_normal_test(
        self, alpha: float, power: float, number: int, a: float, b: float
    ) -> None:
        needed = customers_needed(-0.01, a, b, alpha=alpha, power=power, comparisons=number)
        score = 0.01 / sqrt((a + b) / needed.one_look)
        assert norm.sf(norm.isf(alpha / number / 2) - score) == pytest.approx(power, abs=1e-4)


class TestAnyLook:
    @MANY
    @given(alphas, powers, comparisons)
    def test_the_power_is_that_of_the_comparison(self, alpha: float, power: float, number: int) -> None:
        """By its own interval, at the number of customers at which it is tightest."""
        spread = 0.09
        n = customers_needed(0.003, spread, alpha=alpha, power=power, comparisons=number).any_look
        both = Sums(n, converted=n // 10, orders=n // 10, orders2=n // 10)
        chosen = SequentialSettings(alpha=alpha, tightest_at_customers=2 * n)
        found = compare(METRICS["conversion"], [Stratum(both, both)], chosen, number)
        assert found.interval is not None
        error = sqrt(2 * spread / n)
        assert norm.sf((found.interval.high - 0.003) / error) == pytest.approx(power, abs=2e-3)

    def test_the_factor(self) -> None:
        """(3.0351 + 0.8416)^2 / (1.96 + 0.8416)^2; for four variants 1.26 times as many customers each."""
        assert factor_of_any_look(0.05, 0.8) == pytest.approx(1.9148, abs=1e-3)
        one, four = (customers_needed(0.01, 0.09, comparisons=number) for number in (1, 4))
        assert one.any_look / one.one_look == pytest.approx(1.9148, abs=1e-3)
        assert four.any_look / one.any_look == pytest.approx(1.26, abs=0.01)

    @MANY
    @given(alphas, powers, comparisons, st.integers(1_000, 10**7))
    def test_the_effect_that_so_many_see(self, alpha: float, power: float, number: int, customers: int) -> None:
        effect = least_effect(customers, 0.3, 0.4, alpha=alpha, power=power, comparisons=number)
        needed = customers_needed(effect, 0.3, 0.4, alpha=alpha, power=power, comparisons=number)
        assert needed.any_look == pytest.approx(customers, abs=1)

    def test_effects_are_seen_as_often_and_sooner(self) -> None:
        """400 experiments of 40 % more: four in five by the last look, of 50; six standard deviations are 48."""
        rng = np.random.default_rng(40)
        needed = customers_needed(0.08, spread_of_share(0.2), spread_of_share(0.28))
        size, looks = needed.any_look, 50
        chosen = SequentialSettings(tightest_at_customers=2 * size)
        at = np.linspace(size // looks, size, looks).astype(int)
        seen = []
        for _ in range(400):
            a, b = (np.cumsum(rng.random(size) < rate)[at - 1].tolist() for rate in (0.2, 0.28))
            for n, x, y in zip(at.tolist(), a, b, strict=True):
                pair = Stratum(*(Sums(n, converted=orders, orders=orders, orders2=orders) for orders in (x, y)))
                if compare(METRICS["conversion"], [pair], chosen).verdict == "better":
                    seen.append(n)
                    break
        assert 320 - 48 < len(seen) <= 400
        assert np.median(seen) < 0.7 * size


class TestSpread:
    def test_of_what_was_measured(self) -> None:
        known = summed([Outcome(1, 0, 1, 100)] * 20 + [Outcome(1)] * 80)
        found = METRICS["conversion"](known)
        assert found is not None
        assert spread_of(found) == pytest.approx(spread_of_share(0.2), rel=0.02)


class TestRefusals:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"effect": 0.0}, {"control_spread": 0.0}, {"alpha": 0.0}, {"alpha": 1.0}, {"power": 1.0}, {"power": 0.3},
            {"comparisons": 0},
        ],
    )  # fmt: skip
    def test_what_means_nothing(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="must be"):
            customers_needed(**({"effect": 0.1, "control_spread": 0.2} | wrong))

    def test_shares(self) -> None:
        with pytest.raises(ValueError, match="share"):
            spread_of_share(0.0)

    def test_nobody_sees_nothing(self) -> None:
        with pytest.raises(ValueError, match="customers"):
            least_effect(0, 0.1)
