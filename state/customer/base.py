"""A packed customer as a base and what came since: what an event adds is saved, not all that there is.

To pack a whole customer takes as long as a third of all else that is done for an event. So the last whole pack is kept,
and as long as nothing came after it but facts, each the next one in event order, that turned no membership, and time
that passed without turning one, what is saved is that pack with those facts behind it, the clock, and what was
published by it. To read it, the facts are applied again.
"""

from typing import Any, NamedTuple

from state.packing import pack

VERSION = 3
WITHOUT_STANDING = 2  # the version before: facts that were said to nobody, and no time that passed after them
FACTS_MAX = 16  # so that reading never takes much longer than for a whole pack

_ARRAY_OF_4 = bytes([0x94])
_BYTES_32 = b"\xc6"  # MessagePack: bytes, their length in four bytes
_ARRAY_16 = b"\xdc"  # MessagePack: an array, its length in two bytes


class Standing(NamedTuple):
    """What may change without a fact."""

    clock_ms: int
    profile_ms: int
    profile_shown: bool
    viewed_from: int
    viewed_until: int


class Base:
    """The last whole pack of a customer, and the journal's facts that came after it."""

    __slots__ = ("_count", "_end", "_facts", "_head")

    def __init__(self, whole: bytes, end: int) -> None:
        """`end`: the index that the journal's next fact will have."""
        self._head = b"".join((_ARRAY_OF_4, pack(VERSION), _BYTES_32, len(whole).to_bytes(4, "big"), whole, _ARRAY_16))
        self._facts = b""
        self._count = 0
        self._end = end

    @classmethod
    def again(cls, whole: bytes, facts: list[bytes], end: int) -> "Base":
        """As it was when they were saved; the journal ended at `end`, the facts are the newest there."""
        base = cls(whole, end)
        base._facts = b"".join(map(pack, facts))
        base._count = len(facts)
        return base

    def is_before(self, end: int) -> bool:
        """Whether the journal, which ends at `end`, has one more fact than this at most, and there is room for it."""
        return end == self._end or (end == self._end + 1 and self._count < FACTS_MAX)

    def followed_by(self, end: int, newest: bytes, standing: Standing) -> bytes:
        """All that is to be saved; `newest` is the journal's newest fact, which ends at `end`."""
        if end > self._end:
            self._count += 1
            self._end += 1
            self._facts += pack(newest)
        return b"".join((self._head, self._count.to_bytes(2, "big"), self._facts, pack(standing)))


def split(parts: list[Any]) -> tuple[bytes, list[bytes], Standing | None]:
    """The base, the facts and what else holds, of a value of this version or the one before, unpacked."""
    _, whole, facts, *standing = parts
    return whole, facts, Standing(*standing[0]) if standing else None
