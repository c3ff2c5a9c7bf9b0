"""The vector that scores are computed from."""

from math import inf, isfinite, log1p, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.population.score_inputs import DAY_MS, INPUTS, ScoreInputError, score_inputs, vectors
from state.rules.features import FEATURES

NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats())


def named(**values: object) -> dict[str, float]:
    return dict(zip(INPUTS, score_inputs(values), strict=True))


class TestScoreInputs:
    def test_counts_money_and_ages(self) -> None:
        found = named(views_7d=9, revenue_total_cents=12_345, recency_ms=3 * DAY_MS)
        assert found["views_7d"] == pytest.approx(log1p(9) / 3)
        assert found["revenue_total_cents"] == pytest.approx(log1p(12_345) / 10)
        assert found["recency_ms"] == pytest.approx(log1p(3) / 3)

    def test_what_is_negative_keeps_its_sign(self) -> None:
        assert named(revenue_30d_cents=-500)["revenue_30d_cents"] == -named(revenue_30d_cents=500)["revenue_30d_cents"]

    def test_what_is_absent_is_flagged(self) -> None:
        """An order just now and no order at all are not the same."""
        assert (named()["no_order"], named(recency_ms=0)["no_order"]) == (1.0, 0.0)
        assert (named()["recency_ms"], named(recency_ms=0)["recency_ms"]) == (0.0, 0.0)

    def test_ratios(self) -> None:
        found = named(recency_ms=40, purchase_interval_ms=20, orders_90d=1, sessions_90d=4, sessions_7d=3)
        assert found["overdue"] == pytest.approx(log1p(2))
        assert found["orders_per_session"] == pytest.approx(log1p(0.25))
        assert found["trend"] == 0.0
        assert named(recency_ms=10**15, purchase_interval_ms=1)["overdue"] == pytest.approx(log1p(20))

    @pytest.mark.parametrize("value", [None, nan, inf, -inf])
    def test_no_number_counts_as_absent(self, value: float | None) -> None:
        assert score_inputs(dict.fromkeys(FEATURES, value)) == score_inputs({})

    @given(st.dictionaries(st.sampled_from(sorted(FEATURES)), NUMBERS))
    def test_it_is_finite_and_as_long_as_its_names(self, values: dict[str, float | None]) -> None:
        """Whatever the numbers are; also once they are 32-bit floats."""
        found = score_inputs(values)
        assert len(found) == len(INPUTS)
        assert all(isfinite(x) for x in vectors.unpacked(vectors.packed(found)))

    @pytest.mark.parametrize("value", ["12", [1], 10**400])
    def test_what_is_no_number_is_refused(self, value: object) -> None:
        with pytest.raises(ScoreInputError, match="views_7d"):
            score_inputs({"views_7d": value})

    def test_a_vector_of_another_length_is_refused(self) -> None:
        with pytest.raises(ValueError, match="2 numbers"):
            vectors.unpacked(bytes(8))
