"""Packed parts of the scores: a version number first, vectors as 32-bit floats."""

from collections.abc import Iterable
from math import isfinite
from struct import Struct


class Vectors:
    """Vectors of one fixed length to and from bytes, 4 of them for each number."""

    def __init__(self, length: int) -> None:
        self._struct = Struct(f"<{length}f")

    def packed(self, vector: Iterable[float]) -> bytes:
        """The nearest 32-bit floats."""
        return self._struct.pack(*vector)

    def unpacked(self, packed: bytes) -> tuple[float, ...]:
        """The vector again.

        Raises:
            ValueError: it has another length, or holds NaN or an infinity: learnt once, they would never leave a model.
        """
        if len(packed) != self._struct.size:
            raise ValueError(f"a vector of {len(packed) // 4} numbers, not of {self._struct.size // 4}")
        vector = self._struct.unpack(packed)
        if not all(map(isfinite, vector)):
            raise ValueError("a vector with numbers that are not finite")
        return vector
