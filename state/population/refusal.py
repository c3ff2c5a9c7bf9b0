"""What the population's counts refuse: values that mean nothing, and bytes of a newer program."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from state.packing import unpack


class PopulationError(ValueError):
    """A value, a count or packed bytes that cannot be right; the message says which."""


class ClusterStateError(PopulationError):
    """Bytes of a learner, a sample or a model of clusters that this program cannot read."""


def unpack_versioned(packed: bytes, known: int, what: str, error: type[PopulationError] = PopulationError) -> list[Any]:
    """The fields behind the version number.

    Args:
        packed: a MessagePack array with the version first.
        known: the newest version that this program reads.
        what: names the bytes in the message.
        error: what is raised.

    Raises:
        PopulationError: they are no such array, or were written by a newer program.
    """
    try:
        fields = unpack(packed)
    except msgspec.DecodeError as cause:
        raise error(f"{what} cannot be read: {cause}") from cause
    if not isinstance(fields, list) or not fields or type(fields[0]) is not int:
        raise error(f"{what} cannot be read: no version stands first")
    expect_version(fields[0], known, what, error)
    return fields[1:]


def expect_version(found: int, known: int, what: str, error: type[PopulationError] = PopulationError) -> None:
    """Refuse what a newer program wrote; the arguments are those of `unpack_versioned`.

    Raises:
        PopulationError: `found` is no version up to the known one.
    """
    if not 1 <= found <= known:
        raise error(
            f"{what} of version {found} found, this program reads versions 1 to {known}; a newer program wrote it: "
            "upgrade the program, or start from a savepoint that it wrote"
        )


def ascending(numbers: Sequence[int | float]) -> bool:
    """Whether each number is above the one before."""
    return all(one < other for one, other in pairwise(numbers))
