"""How many customers have which value, to within a bucket: quantiles that merge, and can be undone."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate
from math import ceil
from typing import Any, Final

from state.packing import pack
from state.population.refusal import PopulationError, unpack_versioned
from state.population.scales import MAGNITUDE, SCALES, Number, Scale

VERSION: Final = 1


class QuantileSketch:
    """Integer counts by bucket of a scale. No bucket ever merges with another, so whatever was added can be removed.

    After DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
    Guarantees", VLDB 2019), on the buckets of `scales.py`. Counts are integers, so the order of additions, removals and
    merges does not matter: equal multisets of values are equal bytes.

    Error: none in counts. A quantile is at least the true one and above it by less than its bucket's width: on the
    scale of magnitudes nothing below 512, less than 1/256 (0.39 %) beyond.

    Bound: see the scale, and never more buckets than values counted; 2 to 4 bytes each, packed.
    """

    __slots__ = ("_counts", "_ends", "_sums", "_total", "scale")

    def __init__(self, scale: Scale = MAGNITUDE) -> None:
        self.scale = scale
        self._counts: dict[int, int] = {}
        self._total = 0
        self._ends: list[int] | None = None  # buckets in order; None: not known since the last change
        self._sums: list[int] = []  # counts up to and with each of them

    def __len__(self) -> int:
        """How many values are counted."""
        return self._total

    # -- counting -------------------------------------------------------------------------------------------------

    def add(self, value: Number, count: int = 1, *, at_ms: int = 0) -> None:
        """Count a value as of `at_ms` `count` times.

        Raises:
            PopulationError: the scale has no place for the value, or `count` is below 1.
        """
        self.change(self.scale.bucket(value, at_ms), _positive(count))

    def remove(self, value: Number, count: int = 1, *, at_ms: int = 0) -> None:
        """The exact inverse of `add`.

        Raises:
            PopulationError: as for `add`; or so many were not counted, and nothing is changed.
        """
        self.change(self.scale.bucket(value, at_ms), -_positive(count))

    def change(self, bucket: int, by: int) -> None:
        """Count `by` more (or fewer) values in a bucket.

        Raises:
            PopulationError: fewer would be left than none, and nothing is changed.
        """
        count = self._counts.get(bucket, 0) + by
        if count > 0:
            self._counts[bucket] = count
        elif count == 0:
            self._counts.pop(bucket, None)
        else:
            raise PopulationError(f"{-by} to be taken out of bucket {bucket}, in which {count - by} are counted")
        self._total += by
        self._ends = None

    def merge(self, other: "QuantileSketch") -> None:
        """Count all that the other one has counted.

        Raises:
            PopulationError: the other one counts on another scale.
        """
        if other.scale.number != self.scale.number:
            raise PopulationError("sketches on different scales cannot be merged")
        for bucket, count in other._counts.items():
            self.change(bucket, count)

    def count(self, bucket: int) -> int:
        """How many values a bucket holds."""
        return self._counts.get(bucket, 0)

    # -- asking ---------------------------------------------------------------------------------------------------

    def quantile(self, q: Number, *, at_ms: int = 0) -> Number | None:
        """The least value that at least a share of `q` does not exceed, rounded up within its bucket; None if empty.

        That is the value of rank ceil(q * n), counted from 1: definition 1 of Hyndman and Fan, "Sample Quantiles in
        Statistical Packages" (The American Statistician 50, 1996), the inverse of the empirical distribution.

        Args:
            q: above 0 and at most 1, read as the decimal that it is written as: 0.07 of 100 is 7.
            at_ms: as of when the value is asked for.

        Raises:
            PopulationError: `q` is out of its range.
        """
        found = self.buckets_at([Fraction(str(q))])
        return self.scale.value(found[0], at_ms) if found else None

    def buckets_at(self, shares: Iterable[Fraction], above: int | None = None) -> list[int]:
        """The buckets of several quantiles, of the values in buckets beyond `above` only; empty if there are none.

        Raises:
            PopulationError: a share is out of its range.
        """
        buckets, sums = self._in_order()
        below = 0 if above is None else self.up_to(above)
        counted = self._total - below
        ranks = []
        for share in shares:
            if not 0 < share <= 1:
                raise PopulationError(f"a share of {share}: must be above 0 and at most 1")
            ranks.append(below + ceil(share * counted))
        return [buckets[bisect_left(sums, rank)] for rank in ranks] if counted else []

    def rank(self, value: Number, *, at_ms: int = 0) -> float | None:
        """The share of values up to `value`, all of its bucket among them; None if nothing is counted.

        Raises:
            PopulationError: the scale has no place for the value.
        """
        return self.up_to(self.scale.bucket(value, at_ms)) / self._total if self._total else None

    def up_to(self, bucket: int) -> int:
        """How many values lie in the buckets up to and with this one."""
        buckets, sums = self._in_order()
        at = bisect_right(buckets, bucket)
        return sums[at - 1] if at else 0

    def _in_order(self) -> tuple[list[int], list[int]]:
        if self._ends is None:
            self._ends = sorted(self._counts)
            self._sums = list(accumulate(self._counts[bucket] for bucket in self._ends))
        return self._ends, self._sums

    # -- packing --------------------------------------------------------------------------------------------------

    def packed(self) -> bytes:
        """Versioned bytes: scale, the distances from each bucket to the one before, counts."""
        buckets, _ = self._in_order()
        steps = [bucket - before for bucket, before in zip(buckets, [0, *buckets], strict=False)]
        return pack([VERSION, self.scale.number, steps, [self._counts[bucket] for bucket in buckets]])

    @classmethod
    def unpacked(cls, packed: bytes) -> "QuantileSketch":
        """The sketch again.

        Raises:
            PopulationError: the bytes are none of a sketch, or of a newer program's.
        """
        fields: list[Any] = unpack_versioned(packed, VERSION, "a quantile sketch")
        try:
            number, steps, counts = fields
            sketch = cls(SCALES[number])
            sketch._counts = dict(zip(accumulate(steps), counts, strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise PopulationError(f"a quantile sketch cannot be read: {error}") from error
        if any(type(count) is not int or count < 1 for count in counts) or len(sketch._counts) < len(counts):
            raise PopulationError("a quantile sketch cannot be read: its counts are no positive integers, one a bucket")
        sketch._total = sum(counts)
        return sketch


def _positive(count: int) -> int:
    if count < 1:
        raise PopulationError(f"a count of {count}: must be at least 1")
    return count
