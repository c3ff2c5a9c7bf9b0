"""An experiment's sums: one cell for each variant, the shares that were in force, and a segment, or no segment for all.

A customer is told whole, in place of what was told before, so a refund, a late event and an erasure come out to the
last cent. Whoever is in several segments is in the cell of each.

Bound: MOST_CELLS cells. What would make another one is left out, and counted.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from state.experiments.sums import Sums
from state.experiments.told import Told

MOST_CELLS: Final = 4_096
EVERYBODY: Final = ""
"""The segment of the cells that count everybody."""


class Cell(NamedTuple):
    """Whose sums they are."""

    variant: str
    place: int
    shares: str
    segment: str


class Tally:
    """All cells of one experiment."""

    __slots__ = ("cells", "crossed", "left_out")

    def __init__(self) -> None:
        self.cells: dict[Cell, Sums] = {}
        self.crossed: dict[str, int] = {}
        """Customers by the variant they count for, who saw another one, too."""
        self.left_out = 0
        """Entries for which there was no cell."""

    def take(self, old: Told | None, new: Told | None) -> None:
        """A customer counts as `new`, and no more as `old`."""
        if old is not None:
            self._count(old, -1)
        if new is not None:
            self._count(new, 1)

    def _count(self, told: Told, times: int) -> None:
        _, variant, place, shares = told.arm
        if told.crossed:
            crossed = self.crossed.get(variant, 0) + times
            if crossed:
                self.crossed[variant] = crossed
            else:
                self.crossed.pop(variant, None)
        for segment in (EVERYBODY, *told.segments):
            cell = Cell(variant, place, shares, segment)
            sums = self.cells.get(cell)
            if sums is None:
                if times < 0 or len(self.cells) >= MOST_CELLS:
                    self.left_out += times
                    continue
                sums = self.cells[cell] = Sums()
            if times > 0:
                sums.add(told.outcome)
            else:
                sums.subtract(told.outcome)
                if not sums.customers:
                    del self.cells[cell]

    def packed(self) -> list[Any]:
        """The cells in order, so that the same sums have the same bytes."""
        cells = [[*cell, *self.cells[cell].packed()] for cell in sorted(self.cells)]
        return [cells, dict(sorted(self.crossed.items())), self.left_out]

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Tally":
        tally = cls()
        cells, tally.crossed, tally.left_out = packed
        for cell in cells:
            width = len(Cell._fields)
            tally.cells[Cell(*cell[:width])] = Sums.unpacked(cell[width:])
        return tally
