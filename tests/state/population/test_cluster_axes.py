"""Where customers lie: axes, absent values, scaling."""

from math import inf, isfinite, log, nan
from typing import Any

import msgspec
import numpy as np
import pytest
from cluster_worlds import AXES
from hypothesis import given, settings
from hypothesis import strategies as st

from state.population.axes import AXES_MAX, LARGEST, Axis, checked_axes, read_point, slog
from state.population.default_axes import DEFAULT_AXES
from state.population.scaling import Scaling, fit_scaling
from state.population.scaling_settings import ScalingSettings
from state.rules.features import FEATURES

PLAIN = Axis(name="a", feature="views_7d", topic="t", high="h", low="l")
numbers = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**400), 10**400), st.floats(allow_nan=True, allow_infinity=True)
)


def axis(**changes: Any) -> Axis:
    return msgspec.structs.replace(PLAIN, **changes)


def raws(rows: int, columns: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(2.0, 1.5, (rows, columns))


class TestAxes:
    def test_a_signed_logarithm_of_units(self) -> None:
        axes = [axis(feature="revenue_7d_cents", unit=100.0)]
        assert read_point(axes, {"revenue_7d_cents": 900}) == pytest.approx((log(10),))
        assert read_point(axes, {"revenue_7d_cents": -900}) == pytest.approx((-log(10),))

    def test_a_ratio_is_a_difference_of_logarithms(self) -> None:
        axes = [axis(feature="orders_7d", per="views_7d", per_unit=2.0)]
        assert read_point(axes, {"orders_7d": 3, "views_7d": 14}) == pytest.approx((log(4) - log(8),))
        assert read_point(axes, {"orders_7d": 3}) == pytest.approx((log(4),)), "nothing to divide by counts as none"

    @pytest.mark.parametrize("values", [{}, {"recency_ms": None}, {"recency_ms": nan}])
    def test_what_is_absent_is_read_as_the_axis_says(self, values: dict[str, Any]) -> None:
        """None, no such name, and a number that is none."""
        assert read_point([axis(feature="recency_ms", unit=1000.0, absent=99.0)], values) == pytest.approx((log(100),))

    @given(numbers, st.sampled_from([1.0, 100.0, 86_400_000.0]))
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_no_value_leads_out_of_bounds(self, value: Any, unit: float) -> None:
        """Infinities and integers beyond all floats included."""
        (place,) = read_point([axis(unit=unit)], {"views_7d": value})
        assert isfinite(place)
        assert abs(place) <= slog(LARGEST)

    def test_infinity_is_more_than_everything(self) -> None:
        far, farther = (read_point([PLAIN], {"views_7d": value})[0] for value in (1e15, inf))
        assert far < farther == slog(LARGEST)

    @pytest.mark.parametrize(
        ("axes", "told"),
        [
            ([], "0 axes"),
            ([axis(name=str(at)) for at in range(AXES_MAX + 1)], "33 axes"),
            ([PLAIN, PLAIN], "same name"),
            ([axis(feature="nonsense")], "axis a: nonsense is no numeric"),
            ([axis(per="device")], "axis a: device is no numeric"),
            ([axis(unit=0.0)], "positive"),
            ([axis(weight=nan)], "positive"),
            ([axis(absent=inf)], "absent"),
            ([axis(high="")], "characters"),
        ],
    )
    def test_wrong_ones_are_refused(self, axes: list[Axis], told: str) -> None:
        with pytest.raises(ValueError, match=told):
            checked_axes(axes)

    def test_the_default_ones_are_right(self) -> None:
        assert checked_axes(DEFAULT_AXES) == DEFAULT_AXES
        assert all(axis.feature in FEATURES for axis in DEFAULT_AXES)


class TestScaling:
    def test_centre_and_scale_are_robust(self) -> None:
        """A hundredth of the customers, however far out, changes neither by more than their ranks do."""
        plain = raws(2_000, 3)
        spoilt = plain.copy()
        spoilt[:20] = 1e6
        one, two = (fit_scaling(ScalingSettings(axes=AXES), data) for data in (plain, spoilt))
        # 1 % of the ranks moves the median by at most 0.5 % and the ends of the range by at most 1 % of the ranks
        bounds = [np.quantile(plain, share, axis=0) for share in (0.49, 0.51, 0.039, 0.061, 0.939, 0.961)]
        assert (bounds[0] <= two.centres).all()
        assert (two.centres <= bounds[1]).all()
        scales = 1 / np.array(two.factors)
        assert ((bounds[4] - bounds[3]) / 3.2897 <= scales).all()
        assert (scales <= (bounds[5] - bounds[2]) / 3.2897).all()
        assert one.centres != two.centres

    def test_normal_ones_become_standard(self) -> None:
        """The range is in units that make a normal distribution's scale its standard deviation."""
        scaling = fit_scaling(ScalingSettings(axes=AXES), raws(40_000, 3))
        assert np.allclose(1 / np.array(scaling.factors), 1.5, rtol=0.03)  # 5 standard errors of the two percentiles
        assert np.allclose(scaling.centres, 2.0, atol=0.05)

    def test_an_axis_on_which_nearly_all_are_equal(self) -> None:
        """Its scale is the standard deviation; where all are equal, nobody differs."""
        data = np.zeros((1_000, 3))
        data[:30, 1] = 5.0
        data[:, 2] = 7.0
        scaling = fit_scaling(ScalingSettings(axes=AXES, clip=50.0), data)
        assert scaling.factors[1] == pytest.approx(1 / data[:, 1].std())
        assert scaling.places(data)[:, 2].tolist() == [0.0] * 1_000

    def test_nobody_is_farther_than_the_clip(self) -> None:
        used = ScalingSettings(axes=(axis(), axis(name="b", weight=2.0)), clip=1.5)
        scaling = fit_scaling(used, raws(300, 2))
        places = scaling.places(np.array([[1e9, 1e9], [-1e9, -1e9]]))
        assert places.tolist() == [[1.5, 3.0], [-1.5, -3.0]]

    @pytest.mark.parametrize("turn_above", [0, 16])
    def test_one_at_a_time_is_as_all_at_once(self, turn_above: int) -> None:
        data = raws(200, 3)
        scaling = fit_scaling(ScalingSettings(axes=AXES, turn_above=turn_above), data)
        singly = [scaling.place(tuple(row)) for row in data.tolist()]
        assert np.allclose(singly, scaling.places(data), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("turn_above", [0, 16])
    def test_there_and_back(self, turn_above: int) -> None:
        """With all components kept and nobody clipped."""
        data = raws(200, 3)
        scaling = fit_scaling(ScalingSettings(axes=AXES, turn_above=turn_above, turn_share=1.0, clip=100.0), data)
        assert np.allclose(scaling.raws(scaling.places(data)), data, rtol=0, atol=1e-9)

    def test_components_keep_their_share_of_the_variance(self) -> None:
        """Two axes that say the same are one component; what is left out is within the share."""
        data = raws(500, 3)
        data[:, 2] = data[:, 1] + np.random.default_rng(1).normal(0, 0.01, 500)
        flat = fit_scaling(ScalingSettings(axes=AXES), data).places(data)
        scaling = fit_scaling(ScalingSettings(axes=AXES, turn_above=2, turn_share=0.95), data)
        turned = scaling.places(data)
        assert scaling.dimensions == 2
        assert 0.95 * flat.var(axis=0).sum() <= turned.var(axis=0).sum() <= flat.var(axis=0).sum() * (1 + 1e-12)

    def test_how_far_it_moved(self) -> None:
        """In scales, or in the logarithm of a scale, whichever is more."""
        one = Scaling((axis(weight=2.0),), (1.0,), (4.0,), (6.0,))  # a scale of 0.5
        assert one.moved(one) == 0.0
        assert one.moved(msgspec.structs.replace(one, centres=(2.0,))) == pytest.approx(2.0)
        assert one.moved(msgspec.structs.replace(one, factors=(2.0,))) == pytest.approx(log(2))

    @pytest.mark.parametrize("changes", [{"clip": 0.1}, {"clip": nan}, {"turn_share": 0.1}, {"axes": ()}])
    def test_settings_out_of_range_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"clip|turn_share|axes"):
            ScalingSettings(**changes)
