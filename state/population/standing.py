"""What a customer's own facts say, on its way to where the population is known."""

from typing import Any, NamedTuple

import msgspec

from schemas.changes import CauseKind
from state.packing import pack
from state.population.refusal import unpack_versioned

VERSION = 2
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Standing(NamedTuple):
    """A customer as of a time: the features, and the truths that are watched (rules/watched.py).

    Said when one of the truths turns, of an order or a refund, under other rules, and at each look (snapshots.py).
    """

    as_of_ms: int
    version: int
    """Moves forward with what it says."""
    rules: str
    """Version of the rules that are in force for the customer."""
    shown: bool
    """False: there is nothing to show of the customer (consent withdrawn, erased), and no segment holds them."""
    parts: int
    """Truths of `Remainder.parts`, bit by bit."""
    cause: tuple[CauseKind, str | None]
    """What has happened: kind and event, as in a segment change."""
    features: bytes
    """A MessagePack map; absent features are not in it."""
    known_ms: int = -1
    """Event time before which nobody could know of it: it may be of a time that the watermark has passed."""

    def values(self) -> dict[str, Any]:
        """The features by name."""
        return _decode(self.features)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, *self])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Standing":
        """The standing again.

        Raises:
            PopulationError: the bytes are none of a standing, or of a newer program's.
        """
        fields = unpack_versioned(packed, VERSION, "a standing")
        if len(fields) == _FIELDS_OF_1:  # with the segments of own facts, which others write now
            as_of_ms, version, rules, shown, _, parts, cause, features, _, _, known_ms, _ = fields
        else:
            as_of_ms, version, rules, shown, parts, cause, features, known_ms = fields
        return cls(as_of_ms, version, rules, shown, parts, (cause[0], cause[1]), features, known_ms)


_FIELDS_OF_1 = 12
