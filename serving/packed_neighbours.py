"""Lists of similar items as they are read from Redis, kept packed."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

import msgspec

from serving.ranking.source import Neighbour, Neighbours

_Score = Annotated[float, msgspec.Meta(ge=0, le=2**53)]
_Support = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Of others there is no root, or no sum."""


class _List(msgspec.Struct):
    """`schemas.profiles.unpack_versioned` of a list of similar items, at once; a tombstone has none."""

    version: int
    as_of_ms: int
    neighbours: tuple[tuple[str, _Score, _Support], ...] = ()


_decode_list = msgspec.msgpack.Decoder(_List).decode


class PackedNeighbours(Neighbours):
    """A list as it was read: unpacked it takes three times as much memory, and the ranking wants its shares alone."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes | None) -> None:
        super().__init__()
        self._packed = packed

    def listed(self) -> Sequence[Neighbour]:
        """The list; empty where there is nothing that can be read."""
        if self._packed is None:
            return ()
        try:
            found: Any = _decode_list(self._packed).neighbours
        except Exception:  # noqa: BLE001  (bytes of others may do anything)
            return ()
        return cast("Sequence[Neighbour]", found)  # which may be plain tuples: serving.ranking.source.Source
