"""The lift's bounds are where its definition has its edges."""

from math import sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from state.experiments.lift import lift, lift_bounds

values = st.floats(0.01, 100)
signed = values | values.map(lambda value: -value)
errors = st.floats(1e-3, 10)
squares = st.floats(0.5, 100)


def score(factor: float, control: tuple[float, float], variant: tuple[float, float]) -> float:
    """Squared, of variant - factor * control."""
    return (variant[0] - factor * control[0]) ** 2 / (variant[1] + factor**2 * control[1])


class TestBounds:
    @settings(max_examples=200, deadline=None)
    @given(values, errors, signed, errors, squares)
    def test_inside_is_what_is_not_told_apart(
        self, base: float, base_error: float, value: float, error: float, squared: float
    ) -> None:
        control, variant = (base, base_error**2), (value, error**2)
        bounds = lift_bounds(control, variant, squared)
        told_apart = base / (sqrt(squared) * base_error)
        assume(abs(told_apart - 1) > 0.01)
        if told_apart < 1:
            assert bounds is None
            return
        assert bounds is not None
        low, high = bounds
        assert low < value / base - 1 < high
        for edge in bounds:
            assert score(1 + edge, control, variant) == pytest.approx(squared, rel=1e-6)
        middle, width = (low + high) / 2, high - low
        assert score(1 + middle, control, variant) < squared
        assert score(1 + high + width, control, variant) > squared
        assert score(1 + low - width, control, variant) > squared

    @settings(max_examples=200, deadline=None)
    @given(values, errors, signed, errors, squares)
    def test_it_never_contradicts_the_difference(
        self, base: float, base_error: float, value: float, error: float, squared: float
    ) -> None:
        bounds = lift_bounds((base, base_error**2), (value, error**2), squared)
        half = sqrt(squared * (base_error**2 + error**2))
        assume(bounds is not None and abs(abs(value - base) - half) > 1e-9 * half)
        assert bounds is not None
        assert (bounds[0] > 0) == (value - base > half)
        assert (bounds[1] < 0) == (value - base < -half)

    def test_less_than_nothing_is_the_mirror_image(self) -> None:
        """Also where the control is hardly told apart from 0, and the one bound a million times as far as the other."""
        control = (1.0, (1 - 1e-12) / 4)
        low, high = lift_bounds(control, (1.0, 0.0625), 4.0) or (0, 0)
        assert high > 1e6
        assert lift_bounds(control, (-1.0, 0.0625), 4.0) == pytest.approx((-high - 2, -low - 2), rel=1e-12)

    def test_a_known_control_makes_it_the_interval_over_the_control(self) -> None:
        low, high = lift_bounds((2.0, 0.0), (3.0, 0.25), 4.0) or (0, 0)
        assert (low, high) == pytest.approx((0.0, 1.0))

    def test_of_nothing_against_something_it_is_symmetrical(self) -> None:
        """Root of 4 * 1 / (100 - 4 * 1) on both sides of -100 %."""
        bounds = lift_bounds((10.0, 1.0), (0.0, 1.0), 4.0)
        assert bounds == pytest.approx((-1 - sqrt(4 / 96), -1 + sqrt(4 / 96)))

    def test_there_is_none_of_nothing(self) -> None:
        assert lift(0.0, 1.0) is None
        assert lift_bounds((0.0, 0.1), (1.0, 0.1), 4.0) is None
        assert lift_bounds((-3.0, 0.1), (1.0, 0.1), 4.0) is None

    def test_nothing_for_sure_is_all_of_it_less(self) -> None:
        assert lift_bounds((10.0, 1.0), (0.0, 0.0), 4.0) == (-1.0, -1.0)

    def test_a_quarter_more(self) -> None:
        assert lift(4.0, 5.0) == pytest.approx(0.25)
