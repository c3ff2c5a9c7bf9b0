"""Money."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import MAX_UNITS, Money, exponent_of, to_cents
from schemas.rejects import Reason, Rejected

amounts = st.decimals(0, MAX_UNITS, allow_nan=False, allow_infinity=False, places=6)


class TestExponents:
    """Minor units by ISO 4217."""

    @pytest.mark.parametrize(
        ("currency", "exponent"), [("USD", 2), ("GBP", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)]
    )
    def test_exponent(self, currency: str, exponent: int) -> None:
        """Most currencies have two places, some none, three or four."""
        assert exponent_of(currency) == exponent


class TestToCents:
    """Rounding is exact, half to even, once."""

    @given(amounts, st.integers(0, 4))
    def test_equals_fractions(self, amount: Decimal, exponent: int) -> None:
        """It agrees with rational arithmetic."""
        assert to_cents(amount, exponent) == round(Fraction(amount) * 10**exponent)

    @pytest.mark.parametrize(("amount", "cents"), [("0.005", 0), ("0.015", 2), ("0.025", 2), ("0.0250000000001", 3)])
    def test_halves(self, amount: str, cents: int) -> None:
        """A half goes to the even neighbour, and only a half."""
        assert to_cents(Decimal(amount), 2) == cents


class TestConversion:
    """Other currencies convert by a table."""

    @given(amounts.filter(lambda amount: amount < 10**9), st.decimals("0.0001", 1000, places=8))
    def test_equals_fractions(self, amount: Decimal, rate: Decimal) -> None:
        """The product with the rate is exact and is rounded once."""
        money = Money("USD", {"EUR": rate})
        assert money.cents(amount, money.rate("EUR"), "$") == round(Fraction(amount) * Fraction(rate) * 100)

    def test_target_exponent(self) -> None:
        """The minor unit is that of the base."""
        money = Money("JPY", {"USD": Decimal("150.5")})
        assert money.cents(Decimal("1.99"), money.rate("USD"), "$") == 299  # 299.495 yen

    def test_base(self) -> None:
        """The base and no currency at all need no rate, and case does not matter."""
        money = Money("usd", {})
        assert money.rate("USD") == money.rate(None) == money.rate("") == money.rate("usd") == 1

    def test_unknown(self) -> None:
        """A currency without a rate is rejected; the detail says what to do."""
        with pytest.raises(Rejected, match="rates") as caught:
            Money("USD", {}).rate("EUR")
        assert caught.value.reason is Reason.CURRENCY_UNKNOWN

    def test_too_much(self) -> None:
        """The bound holds after conversion."""
        money = Money("JPY", {"USD": Decimal(150)})
        with pytest.raises(Rejected):
            money.cents(Decimal(MAX_UNITS), money.rate("USD"), "$")

    @pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity"])
    def test_bad_rate(self, rate: str) -> None:
        """A rate that is not a positive number is a fault of the settings."""
        with pytest.raises(ValueError, match=r"rates\.EUR"):
            Money("USD", {"EUR": Decimal(rate)})
