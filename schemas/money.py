"""Money: from the exact decimal of a document to integer minor units of the currency that a run is kept in."""

import decimal
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from schemas.rejects import Reason, Rejected

MAX_UNITS: Final = 10**13
"""Larger amounts are taken for mistakes. It also keeps what is stored inside 64 bits."""

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_MAX: Final = Decimal(MAX_UNITS)

DEFAULT_EXPONENT: Final = 2
_WITHOUT_MINOR_UNIT: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
EXPONENTS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_WITHOUT_MINOR_UNIT.split(), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Decimal places of the minor unit where they are not two (ISO 4217, list one)."""

# Exact arithmetic: nothing is rounded but once, by quantize. Amounts are range-checked before they come here,
# so that no exponent can make a number of a million digits.
_EXACT: Final = decimal.Context(
    prec=decimal.MAX_PREC, rounding=ROUND_HALF_EVEN, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX, traps=[]
)


_UNITS: Final = [Decimal(1).scaleb(-exponent) for exponent in range(5)]


def exponent_of(currency: str) -> int:
    """Decimal places of the currency's minor unit; two for every code that ISO 4217 gives no other number."""
    return EXPONENTS.get(currency, DEFAULT_EXPONENT)


def check_amount(amount: Decimal, path: str) -> None:
    """Reject what is no amount: NaN, infinities, negative numbers, more than `MAX_UNITS` units."""
    # finite first: to compare a NaN is an error of its own
    if amount.is_finite() and _ZERO <= amount <= _MAX:
        return
    if not amount.is_finite():
        raise Rejected(Reason.INVALID_AMOUNT, f"{path}: {amount} is not a number that can be paid")
    if amount < 0:
        raise Rejected(Reason.INVALID_AMOUNT, f"{path}: an amount is never negative; refunds have a type of their own")
    raise Rejected(Reason.INVALID_AMOUNT, f"{path}: more than {MAX_UNITS:,} units")


def to_cents(amount: Decimal, exponent: int) -> int:
    """Minor units of a finite amount of at most `MAX_UNITS` units: exact, then rounded half to even, once."""
    return int(_EXACT.scaleb(_EXACT.quantize(amount, _UNITS[exponent]), exponent))


class Money:
    """Amounts of any known currency in minor units of one base currency.

    `rates` are units of the base for one unit of the other currency. They must be positive and finite.

    Raises:
        ValueError: a rate that is not a positive number; the message names its currency.
    """

    def __init__(self, base: str, rates: Mapping[str, Decimal]) -> None:
        for currency, rate in rates.items():
            if not rate.is_finite() or rate <= 0:
                raise ValueError(f"rates.{currency}: {rate} is not a positive number")
        self.base = base.upper()
        self.exponent = exponent_of(self.base)
        self._rates = {currency.upper(): rate for currency, rate in rates.items()}
        self._rates[self.base] = _ONE
        self.max_cents = MAX_UNITS * 10**self.exponent

    def rate(self, currency: str | None) -> Decimal:
        """Units of the base for one unit of `currency` (none: the base itself).

        Raises:
            Rejected: `currency_unknown` when there is no rate for it.
        """
        if not currency:
            return _ONE
        found = self._rates.get(currency) or self._rates.get(currency.upper())
        if found is None:
            raise Rejected(
                Reason.CURRENCY_UNKNOWN,
                f"$.currency: no rate from {currency!r} to {self.base}; add it to `rates` in the settings",
            )
        return found

    def cents(self, amount: Decimal, rate: Decimal, path: str) -> int:
        """Minor units of the base. The product with the rate is exact; it is rounded half to even, once.

        Raises:
            Rejected: `invalid_amount`, with the JSON path of the amount.
        """
        check_amount(amount, path)
        if rate is not _ONE:
            amount = _EXACT.multiply(amount, rate)
            check_amount(amount, path)
        return to_cents(amount, self.exponent)
