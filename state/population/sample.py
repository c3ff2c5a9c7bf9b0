"""A bounded sample of customers: those with the smallest hashes, each as of the newest snapshot.

Which customers are in it depends on their ids alone, not on the order of arrival or on how busy they are; the same ones
stay in it, so that two models can be compared on them. Bottom-k sampling: Cohen and Kaplan, "Summarizing data using
bottom-k sketches", PODC 2007. Two samples merge to the sample of both. No customer ids are kept, only their hashes.

Bound: `size` customers (and, until the next pruning, as many more); 16 + 8 * axes bytes each, packed.

Who is forgotten or too old leaves a gap; the next customers in the order of hashes fill it as their snapshots come.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np

from state.packing import pack
from state.population.axes import AGES, Axis, RawPoint, slog
from state.population.refusal import ClusterStateError, unpack_versioned
from state.population.scaling import Matrix

Entry: TypeAlias = tuple[int, RawPoint]
"""As of when, and the place on the axes."""

_VERSION: Final = 1
_ALL: Final = 1 << 64


def customer_hash(customer_id: str) -> int:
    """64 bits, the same on every machine; two of a billion customers share one with a chance of 3 %."""
    return int.from_bytes(blake2b(customer_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Sample:
    """The customers of the `size` smallest hashes among those that were added."""

    __slots__ = ("_below", "_entries", "axes", "size")

    def __init__(self, size: int, axes: int) -> None:
        """`axes`: how many numbers a place has."""
        if size < 1:
            raise ValueError(f"size = {size}: a sample needs room for one customer")
        self.size, self.axes = size, axes
        self._entries: dict[int, Entry] = {}
        self._below = _ALL  # whoever has this hash or a larger one is not among the smallest

    def __len__(self) -> int:
        self._prune()
        return len(self._entries)

    def wants(self, hashed: int) -> bool:
        """Whether a customer of this hash may be in the sample: the others need not be added."""
        return hashed < self._below

    def add(self, hashed: int, as_of_ms: int, raw: RawPoint) -> None:
        """Take in a snapshot; the newest of a customer counts, of two as of one time the one that sorts last."""
        if hashed < self._below:
            known = self._entries.get(hashed)
            if known is None or (as_of_ms, raw) > known:
                self._entries[hashed] = (as_of_ms, raw)
                if len(self._entries) >= 2 * self.size:
                    self._prune()

    def merge(self, other: "Sample") -> None:
        """Take in another one."""
        for hashed, (as_of_ms, raw) in other.by_hash():
            self.add(hashed, as_of_ms, raw)

    def forget(self, hashed: int) -> None:
        """Take out a customer: one who was erased."""
        self._prune()
        if self._entries.pop(hashed, None) is not None:
            self._below = _ALL

    def forget_before(self, oldest_ms: int) -> None:
        """Take out who has had no snapshot since."""
        self._prune()
        kept = {hashed: entry for hashed, entry in self._entries.items() if entry[0] >= oldest_ms}
        if len(kept) < len(self._entries):
            self._entries, self._below = kept, _ALL

    def get(self, hashed: int) -> RawPoint | None:
        """Where the customer of a hash stands; None if there is none here."""
        self._prune()
        entry = self._entries.get(hashed)
        return None if entry is None else entry[1]

    def by_hash(self) -> Iterator[tuple[int, Entry]]:
        """Everybody, smallest hash first."""
        self._prune()
        return iter(sorted(self._entries.items()))

    def matrix(self, axes: Sequence[Axis] = (), now_ms: int = 0) -> Matrix:
        """(n, axes) places, by hash, smallest first; on `axes` of ages, as old as they are at `now_ms`."""
        return self._aged([entry for _, entry in self.by_hash()], axes, now_ms)

    def among(self, others: "Sample", axes: Sequence[Axis] = (), now_ms: int = 0) -> Matrix:
        """(n, axes) places in this sample of customers who are in the other one, too; by hash."""
        theirs = others._entries
        return self._aged([entry for hashed, entry in self.by_hash() if hashed in theirs], axes, now_ms)

    def _aged(self, entries: Sequence[Entry], axes: Sequence[Axis], now_ms: int) -> Matrix:
        raws = np.array([raw for _, raw in entries], dtype=np.float64).reshape(-1, self.axes)
        later_ms = np.maximum(0.0, now_ms - np.array([as_of_ms for as_of_ms, _ in entries], dtype=np.float64))
        for at, axis in enumerate(axes):
            if axis.feature in AGES and axis.per is None:
                places = raws[:, at]
                known = places != slog(axis.absent)
                raws[known, at] = np.log1p(np.expm1(places[known]) + later_ms[known] / axis.unit)
        return raws

    def packed(self) -> bytes:
        """Version, room, axes, then columns: hashes, times, places."""
        entries = list(self.by_hash())
        hashes = np.array([hashed for hashed, _ in entries], dtype="<u8")
        times_ms = np.array([entry[0] for _, entry in entries], dtype="<i8")
        places = self.matrix().astype("<f8")
        return pack((_VERSION, self.size, self.axes, hashes.tobytes(), times_ms.tobytes(), places.tobytes()))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Sample":
        """The sample again.

        Raises:
            ClusterStateError: a newer program wrote it, or it is damaged.
        """
        rest = unpack_versioned(packed, _VERSION, "a sample of customers", ClusterStateError)
        size, axes, hashes, times_ms, places = rest
        sample = cls(size, axes)
        keys, stamps = np.frombuffer(hashes, "<u8").tolist(), np.frombuffer(times_ms, "<i8").tolist()
        points = np.frombuffer(places, "<f8")
        if not len(keys) == len(stamps) == len(points) // axes or len(points) % axes:
            raise ClusterStateError("a sample of customers is damaged: its columns differ in length")
        for hashed, as_of_ms, raw in zip(keys, stamps, points.reshape(-1, axes).tolist(), strict=True):
            sample._entries[hashed] = (as_of_ms, tuple(raw))
        return sample

    def _prune(self) -> None:
        if len(self._entries) > self.size:
            kept = sorted(self._entries)[: self.size]
            self._entries = {hashed: self._entries[hashed] for hashed in kept}
            self._below = _ALL
        if self._below == _ALL and len(self._entries) == self.size:  # else it is known: this comes with each question
            self._below = max(self._entries) + 1
