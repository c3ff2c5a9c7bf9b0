"""What is kept of the customers of one variant: exact sums of their outcomes, and of products of these.

They are enough for the mean of every outcome, for ratios of two of them, and for the variances of both, at any time.
Sums are a group: what was added can be taken away again, in any order, and nothing is left of it; a sum below 0 is a
change that has not met what it changes. So a customer whose order is refunded is taken out as she was and put in as
she is.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

LEAST_PACKED: Final = -(1 << 63)
MOST_PACKED: Final = (1 << 64) - 1
"""What MessagePack has as an integer; others are packed as bytes."""
_ONLY_INTEGERS: Final = frozenset({int})


class Outcome(NamedTuple):
    """What came of one customer since she first met a variant."""

    shown: int = 0
    """Impressions."""
    clicked: int = 0
    """Clicks on them."""
    orders: int = 0
    """Orders within the conversion window, those wholly refunded left out."""
    cents: int = 0
    """Net revenue of these orders."""


class Sums(msgspec.Struct, gc=False):
    """Sums over customers; x2 is the sum of squares of x, x_y that of products of x and y, each of one customer.

    Bound: twelve integers, which grow by digits; nothing that the garbage collector needs to look at.
    """

    customers: int = 0
    shown: int = 0
    shown2: int = 0
    clicked: int = 0
    clicked2: int = 0
    shown_clicked: int = 0
    converted: int = 0
    """Customers with an order."""
    orders: int = 0
    orders2: int = 0
    cents: int = 0
    cents2: int = 0
    orders_cents: int = 0

    def add(self, outcome: Outcome) -> None:
        """One customer more."""
        self._count(outcome, 1)

    def subtract(self, outcome: Outcome) -> None:
        """One customer less, of whom this outcome was added."""
        self._count(outcome, -1)

    def _count(self, outcome: Outcome, sign: int) -> None:
        shown, clicked, orders, cents = outcome
        self.customers += sign
        self.shown += sign * shown
        self.shown2 += sign * shown * shown
        self.clicked += sign * clicked
        self.clicked2 += sign * clicked * clicked
        self.shown_clicked += sign * shown * clicked
        self.converted += sign * (orders > 0)
        self.orders += sign * orders
        self.orders2 += sign * orders * orders
        self.cents += sign * cents
        self.cents2 += sign * cents * cents
        self.orders_cents += sign * orders * cents

    def merge(self, other: "Sums") -> None:
        """The customers of `other`, too: of another segment, or a change of these sums."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def packed(self) -> list[int | bytes]:
        """The sums, in the order of the fields; those beyond 64 bits as bytes. Equal sums are packed alike."""
        return [_packed(getattr(self, name)) for name in self.__struct_fields__]

    @classmethod
    def unpacked(cls, fields: list[Any]) -> "Sums":
        """The sums again.

        Raises:
            ValueError: these are no packed sums.
        """
        if len(fields) != len(cls.__struct_fields__):
            raise ValueError(f"{len(fields)} fields of an experiment's sums, not {len(cls.__struct_fields__)}")
        return cls(*fields) if _ONLY_INTEGERS.issuperset(map(type, fields)) else cls(*map(_unpacked, fields))


def merged(many: Iterable[Sums]) -> Sums:
    """The sums over all customers of these; none of them is changed."""
    total = Sums()
    for sums in many:
        total.merge(sums)
    return total


def _packed(number: int) -> int | bytes:
    if LEAST_PACKED <= number <= MOST_PACKED:
        return number
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _unpacked(field: Any) -> int:
    if isinstance(field, bytes):
        return int.from_bytes(field, "big", signed=True)
    if type(field) is not int:
        raise ValueError(f"{field!r} is no sum of an experiment")
    return field
