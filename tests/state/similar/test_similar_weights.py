from hypothesis import given
from hypothesis import strategies as st
from similar_oracle import naive_weight

from state.similar.weights import MANTISSAS, weight

DAY_MS = 86_400_000
HALF_LIFE_MS = 30 * DAY_MS


class TestMantissas:
    def test_each_is_the_floor_of_its_power_of_two(self):
        for step, mantissa in enumerate(MANTISSAS):
            # mantissa = floor(2^(12 + step/2048)), compared without roots
            assert mantissa**2048 <= 2 ** (12 * 2048 + step) < (mantissa + 1) ** 2048

    def test_they_rise_from_4096_and_stay_below_8192(self):
        assert MANTISSAS[0] == 4096
        assert list(MANTISSAS) == sorted(MANTISSAS)
        assert MANTISSAS[-1] < 8192
        assert len(MANTISSAS) == 2048


class TestWeight:
    def test_a_half_life_later_it_is_exactly_double(self):
        mantissa, exponent = weight(1_700_000_000_123, HALF_LIFE_MS)
        assert weight(1_700_000_000_123 + HALF_LIFE_MS, HALF_LIFE_MS) == (mantissa, exponent + 1)

    def test_the_epoch_weighs_4096(self):
        assert weight(0, HALF_LIFE_MS) == (4096, 0)

    @given(st.integers(0, 4_000_000_000_000), st.integers(DAY_MS, 400 * DAY_MS))
    def test_it_equals_a_computation_with_80_digits(self, time_ms, half_life_ms):
        mantissa, exponent = weight(time_ms, half_life_ms)
        assert mantissa << exponent == naive_weight(time_ms, half_life_ms)

    @given(st.integers(0, 4_000_000_000_000), st.integers(0, 10**10))
    def test_later_never_weighs_less(self, time_ms, more_ms):
        before, after = weight(time_ms, HALF_LIFE_MS), weight(time_ms + more_ms, HALF_LIFE_MS)
        assert before[0] << before[1] <= after[0] << after[1]
