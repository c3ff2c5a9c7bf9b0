"""A packed customer as a base and the facts since: what an event adds is saved, not all that there is.

To pack a whole customer takes as long as a third of all else that is done for an event. So the last whole pack is kept,
and as long as nothing came after it but facts, each the next one in event order, that turned no membership and were
said to nobody, what is saved is that pack with those facts behind it. To read it, they are applied again.
"""

from typing import Any

from state.packing import pack

VERSION = 2
FACTS_MAX = 16  # so that reading never takes much longer than for a whole pack

_ARRAY_OF_3 = bytes([0x93])
_BYTES_32 = b"\xc6"  # MessagePack: bytes, their length in four bytes
_ARRAY_16 = b"\xdc"  # MessagePack: an array, its length in two bytes


class Base:
    """The last whole pack of a customer, and the journal's facts that came after it."""

    __slots__ = ("_count", "_end", "_facts", "_head", "_whole")

    def __init__(self, whole: bytes, end: int) -> None:
        """`end`: the index that the journal's next fact will have."""
        self._whole = whole
        self._head = b""  # all that goes before the number of facts, made when there is a first one
        self._facts = b""
        self._count = 0
        self._end = end

    def is_before(self, end: int) -> bool:
        """Whether the journal, which ends at `end`, has one more fact than this, and there is room for it."""
        return end == self._end + 1 and self._count < FACTS_MAX

    def with_fact(self, packed: bytes) -> bytes:
        """All that is to be saved, `packed` being that fact."""
        self._count += 1
        self._end += 1
        self._facts += pack(packed)
        if not self._head:
            whole = self._whole
            self._head = b"".join(
                (_ARRAY_OF_3, pack(VERSION), _BYTES_32, len(whole).to_bytes(4, "big"), whole, _ARRAY_16)
            )
            self._whole = b""
        return b"".join((self._head, self._count.to_bytes(2, "big"), self._facts))


def split(parts: list[Any]) -> tuple[bytes, list[bytes]]:
    """The base and the facts of a value of this version, unpacked."""
    _, whole, facts = parts
    return whole, facts
