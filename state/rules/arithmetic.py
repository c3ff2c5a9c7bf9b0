"""Arithmetic in which a missing number stays missing.

A result that is no finite number (division by zero, overflow) is absent too: a rule can never raise.
"""

import operator
from collections.abc import Callable
from math import isfinite
from typing import Final

Number = int | float
Binary = Callable[[Number | None, Number | None], Number | None]


def _absent_aware(function: Callable[[Number, Number], Number]) -> Binary:
    def apply(left: Number | None, right: Number | None) -> Number | None:
        if left is None or right is None:
            return None
        try:
            result = function(left, right)
        except (ZeroDivisionError, OverflowError):
            return None
        return result if type(result) is int or isfinite(result) else None

    return apply


BINARY: Final[dict[str, Binary]] = {
    "+": _absent_aware(operator.add),
    "-": _absent_aware(operator.sub),
    "*": _absent_aware(operator.mul),
    "/": _absent_aware(operator.truediv),
    "//": _absent_aware(operator.floordiv),
    "%": _absent_aware(operator.mod),
}


def smallest(*numbers: Number | None) -> Number | None:
    """The least of some numbers; absent if one is."""
    known = [number for number in numbers if number is not None]
    return min(known) if len(known) == len(numbers) else None


def greatest(*numbers: Number | None) -> Number | None:
    """The greatest of some numbers; absent if one is."""
    known = [number for number in numbers if number is not None]
    return max(known) if len(known) == len(numbers) else None


def magnitude(number: Number | None) -> Number | None:
    """The number without its sign; absent if it is."""
    return None if number is None else abs(number)


def opposite(number: Number | None) -> Number | None:
    """The number with the other sign; absent if it is."""
    return None if number is None else -number


FUNCTIONS: Final[dict[str, Callable[..., Number | None]]] = {
    "min": smallest,
    "max": greatest,
    "abs": magnitude,
    "neg": opposite,
}
