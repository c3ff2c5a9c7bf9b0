"""Versions of what is written to Redis: event time first, then a number that tells apart what is of one millisecond."""

from typing import Final

_NUMBER_BITS: Final = 21
"""42 bits of milliseconds, and two million writes within one of them."""


def version_at(as_of_ms: int, number: int = 0) -> int:
    """The version of a write as of a time; of a number that is too large the last bits count."""
    return (as_of_ms << _NUMBER_BITS) | (number & ((1 << _NUMBER_BITS) - 1))
