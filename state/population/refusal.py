"""What the population's counts refuse: values that mean nothing, and bytes of a newer program."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from state.packing import unpack


class PopulationError(ValueError):
    """A value, a count or packed bytes that cannot be right; the message says which."""


def unpack_versioned(packed: bytes, known: int, what: str) -> list[Any]:
    """The fields behind the version number.

    Args:
        packed: a MessagePack array with the version first.
        known: the newest version that this program reads.
        what: names the bytes in the message.

    Raises:
        PopulationError: they are no such array, or were written by a newer program.
    """
    try:
        fields = unpack(packed)
    except msgspec.DecodeError as error:
        raise PopulationError(f"{what} cannot be read: {error}") from error
    if not isinstance(fields, list) or not fields or type(fields[0]) is not int:
        raise PopulationError(f"{what} cannot be read: no version stands first")
    if not 1 <= fields[0] <= known:
        raise PopulationError(
            f"{what} of version {fields[0]} found, this program reads versions 1 to {known}: "
            "upgrade the program, or start from a savepoint that it wrote"
        )
    return fields[1:]


def ascending(numbers: Sequence[int | float]) -> bool:
    """Whether each number is above the one before."""
    return all(one < other for one, other in pairwise(numbers))
