"""Which items were shown how often, and to whom."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

GROUPS: Final = 4_096
"""Visitors are told apart by so many groups; of more visitors, those share one whose numbers differ by a multiple."""
_BUFFERED: Final = 1 << 16
_ITEM_BITS: Final = 32


class Showings:
    """Counts by group of visitors and item.

    Bound: an entry of 16 bytes for every pair of a group and an item it was shown, and as much again for those that are
    not counted together yet.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._groups: set[int] = set()
        self._buffer = array("q")
        self._codes: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, visitor: int, items: Sequence[str]) -> None:
        """One answer. `visitor`: a number from 0."""
        group, numbers = visitor % GROUPS, self._numbers
        self._groups.add(group)
        start = group << _ITEM_BITS
        self._buffer.extend([start | numbers.setdefault(item_id, len(numbers)) for item_id in items])
        if len(self._buffer) > max(_BUFFERED, len(self._codes)):
            self._settle()

    def matrix(self, places: Mapping[str, int]) -> tuple[NDArray[np.int64], Any]:
        """How often each group was shown what.

        Args:
            places: of the items that count; others are left out.

        Returns:
            The places of items that were shown, ascending, and a sparse matrix (these items x groups that were
            answered) of float64.
        """
        self._settle()
        place_of = np.full(len(self._numbers), -1, dtype=np.int64)
        for item_id, number in self._numbers.items():
            place_of[number] = places.get(item_id, -1)
        at = place_of[self._codes & ((1 << _ITEM_BITS) - 1)]
        counted = at >= 0
        shown, rows = np.unique(at[counted], return_inverse=True)
        columns = np.searchsorted(sorted(self._groups), (self._codes >> _ITEM_BITS)[counted])
        counts = self._counts[counted].astype(float)
        return shown, sparse.csr_matrix((counts, (rows, columns)), shape=(len(shown), len(self._groups)))

    def _settle(self) -> None:
        """Count what is in the buffer together with the rest."""
        codes = np.concatenate([self._codes, np.frombuffer(self._buffer, dtype=np.int64)])
        counts = np.concatenate([self._counts, np.ones(len(self._buffer), dtype=np.int64)])
        self._codes, of = np.unique(codes, return_inverse=True)
        self._counts = np.bincount(of, weights=counts, minlength=len(self._codes)).astype(np.int64)
        self._buffer = array("q")
