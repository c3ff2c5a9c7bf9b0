"""Integers of any size in MessagePack, which itself ends at 64 bits.

Sums of weights from many half-lives outgrow 64 bits. Those that do are stored as big-endian two's complement bytes of
the least length, all others as MessagePack integers; so equal numbers are equal bytes.
"""

from typing import Any, TypeAlias

Packed: TypeAlias = int | bytes

_LEAST = -(1 << 63)
_LIMIT = 1 << 64


def narrow(number: int) -> Packed:
    """The number as MessagePack can hold it."""
    if _LEAST <= number < _LIMIT:
        return number
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def widen(packed: Packed) -> int:
    """The number again."""
    return int.from_bytes(packed, "big", signed=True) if isinstance(packed, bytes) else packed


def widen_all(numbers: list[Any]) -> list[int]:
    """The numbers of a list again; the list itself if none of them is bytes."""
    try:
        sum(numbers)  # the quickest way to learn that
    except TypeError:
        return [widen(number) for number in numbers]
    return numbers
