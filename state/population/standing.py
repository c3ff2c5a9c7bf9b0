"""What a customer's own facts say, on its way to where the population is known."""

from typing import Any, NamedTuple

import msgspec

from schemas.changes import CauseKind
from state.packing import pack
from state.population.refusal import unpack_versioned

VERSION = 1
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Standing(NamedTuple):
    """A customer as of a time: all that a profile is made of, and the truths that are watched (rules/watched.py).

    Said whenever the profile would be written without a population, and whenever one of the truths turns.
    """

    as_of_ms: int
    version: int
    """Moves forward with every one of this customer."""
    rules: str
    """Version of the rules that are in force for the customer."""
    shown: bool
    """False: there is nothing to show of the customer (consent withdrawn, erased), and no segment holds them."""
    turned: bool
    """Whether `since` differs from what was said before."""
    parts: int
    """Truths of `Remainder.parts`, bit by bit."""
    cause: tuple[CauseKind, str | None]
    """What has happened: kind and event, as in a segment change."""
    features: bytes
    """A MessagePack map; absent features are not in it."""
    since: dict[str, int]
    """Segments that do not ask about the population, each with when it was entered."""
    others: list[str]
    """If it is `whole`: all other segments of that kind in which readers may have been shown the customer."""
    known_ms: int = -1
    """Event time before which nobody could know of it: it may be of a time that the watermark has passed."""
    whole: bool = True
    """Whether readers may know of other segments than `since`; else it is as they were told before."""

    def values(self) -> dict[str, Any]:
        """The features by name."""
        return values_of(self.features)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, *self])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Standing":
        """The standing again.

        Raises:
            PopulationError: the bytes are none of a standing, or of a newer program's.
        """
        as_of_ms, version, rules, shown, turned, parts, cause, *rest = unpack_versioned(packed, VERSION, "a standing")
        return cls(as_of_ms, version, rules, shown, turned, parts, (cause[0], cause[1]), *rest)


def values_of(features: bytes) -> dict[str, Any]:
    """Features by name, of what a standing has of them."""
    return _decode(features)
