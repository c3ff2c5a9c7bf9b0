"""Sums over the snapshots nearest to each centroid: what several places can add up separately and put together.

All are integers in units of 2^-16 of a scale, so that the sums do not depend on the order or on how the snapshots were
divided: merged parts equal one pass, to the last bit.

Bound: k * (dimensions + 2) integers. They fit into 64 bits for a billion snapshots with coordinates below 128 scales.
"""

from collections.abc import Sequence
from math import dist
from typing import Final

import numpy as np

from state.packing import pack
from state.population.refusal import ClusterStateError, unpack_versioned
from state.population.scaling import Matrix, Point

GRAIN: Final = 1 << 16
_VERSION: Final = 1


class Partial:
    """Per centroid of one model: how many snapshots were nearest, their sum, and the sum of their squared lengths."""

    __slots__ = ("counts", "model_number", "squares", "sums")

    def __init__(self, model_number: int, k: int, dimensions: int) -> None:
        """`model_number`: of the model whose centroids are meant; parts of different models do not merge."""
        self.model_number = model_number
        self.counts = [0] * k
        self.sums = [[0] * dimensions for _ in range(k)]
        self.squares = [0] * k

    def add(self, point: Point, centroids: Sequence[Point]) -> None:
        """Count a point at the nearest centroid, the first of several as near."""
        distances = [dist(point, centroid) for centroid in centroids]
        at = distances.index(min(distances))
        grains = [round(value * GRAIN) for value in point]
        self.counts[at] += 1
        self.sums[at] = [total + grain for total, grain in zip(self.sums[at], grains, strict=True)]
        self.squares[at] += sum([grain * grain for grain in grains]) // GRAIN

    def merge(self, other: "Partial") -> None:
        """Take in another part.

        Raises:
            ValueError: it is of another model.
        """
        if (other.model_number, len(other.counts)) != (self.model_number, len(self.counts)):
            raise ValueError(f"sums of model {other.model_number} cannot be added to those of {self.model_number}")
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]
        rows = zip(self.sums, other.sums, strict=True)
        self.sums = [[a + b for a, b in zip(ours, theirs, strict=True)] for ours, theirs in rows]

    def totals(self) -> tuple[Matrix, Matrix]:
        """(k,) counts and (k, dimensions) sums, in scales."""
        return np.array(self.counts, dtype=np.float64), np.array(self.sums, dtype=np.float64) / GRAIN

    def mean_squares(self) -> list[float]:
        """By centroid: the mean squared distance of its snapshots to their own mean; 0 where there are none."""
        found = []
        for count, sums, squares in zip(self.counts, self.sums, self.squares, strict=True):
            mean = sum((total / GRAIN) ** 2 for total in sums) / count**2 if count else 0.0
            found.append(max(0.0, squares / GRAIN / count - mean) if count else 0.0)
        return found

    def packed(self) -> bytes:
        return pack((_VERSION, self.model_number, self.counts, self.sums, self.squares))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Partial":
        """The sums again.

        Raises:
            ClusterStateError: a newer program wrote them.
        """
        rest = unpack_versioned(packed, _VERSION, "partial sums of clusters", ClusterStateError)
        partial = cls(rest[0], 0, 0)
        _, partial.counts, partial.sums, partial.squares = rest
        return partial
