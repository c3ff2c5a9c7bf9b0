"""The normal mixture, held to its integral, to Lambert's function, and to what it promises."""

from math import exp, inf, log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import lambertw

from state.experiments.mixture import factor, p_value, tightest

MANY = settings(max_examples=100, deadline=None)
alphas = st.floats(1e-6, 0.5)
times = st.floats(1e-3, 1e6)


class TestTightest:
    @MANY
    @given(alphas)
    def test_it_is_lambert_s_function(self, alpha: float) -> None:
        assert tightest(alpha) == pytest.approx(-lambertw(-(alpha**2) / exp(1), k=-1).real, rel=1e-12)

    @MANY
    @given(alphas, st.floats(1e-3, 1e3).filter(lambda factor: abs(factor - 1) > 1e-3))
    def test_nowhere_is_it_tighter(self, alpha: float, off: float) -> None:
        least = tightest(alpha)
        assert factor(least - 1, alpha) == pytest.approx(least, rel=1e-12)
        assert factor((least - 1) * off, alpha) > least

    def test_by_hand(self) -> None:
        """u - log u = 1 + 2 log 20 = 6.9915: 9.2108 - 2.2204."""
        assert tightest(0.05) == pytest.approx(9.2119, abs=2e-4)

    @pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, inf])
    def test_of_no_probability_there_is_none(self, alpha: float) -> None:
        with pytest.raises(ValueError, match="alpha"):
            tightest(alpha)


class TestP:
    @MANY
    @given(st.floats(0, 8), st.floats(0.01, 100))
    def test_it_is_one_over_the_likelihood_ratio(self, z: float, t: float) -> None:
        """Over effects of a normal density with variance t, in standard errors."""

        def weighed(effect: float) -> float:
            return exp(effect * z - effect * effect / 2 - effect * effect / (2 * t)) / sqrt(2 * 3.141592653589793 * t)

        ratio, _ = quad(weighed, -60, 60, points=[z * t / (1 + t)], epsabs=0, epsrel=1e-10, limit=400)
        assert p_value(z * z, t) == pytest.approx(min(1.0, 1 / ratio), rel=1e-6)

    @MANY
    @given(alphas, times)
    def test_it_is_alpha_at_the_bound(self, alpha: float, t: float) -> None:
        assert p_value(factor(t, alpha), t) == pytest.approx(alpha, rel=1e-9)

    @MANY
    @given(st.floats(0, 100), st.floats(0, 100), times)
    def test_farther_is_less_probable(self, one: float, more: float, t: float) -> None:
        assert p_value(one + more, t) <= p_value(one, t) <= 1.0

    def test_no_difference_is_no_evidence(self) -> None:
        assert p_value(0.0, 5.0) == 1.0

    def test_what_is_too_rare_for_a_float_is_0(self) -> None:
        assert p_value(1e9, 5.0) == 0.0
        assert log(p_value(1_000.0, 5.0)) == pytest.approx(-500 * 5 / 6 + log(6) / 2)
