"""Draws from shapes given as tables.

Only additions, multiplications and comparisons of floats are used (no `log`, no `gauss`): their results are the same
on every machine, and `random.Random.random` promises the same numbers in every version of Python.
"""

from collections.abc import Callable, Sequence

Draw = Callable[[], float]

THINK_MS = tuple(1_000 * s for s in (1, 3, 6, 10, 16, 24, 35, 50, 80, 150, 900))
"""Deciles of the time between two events of a visit: half under 24 s, never over the 30 minutes that end a session."""
SPREAD = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4, 1.9, 2.8, 6.0)
"""Deciles of how active a customer is beside others of the same kind: a long tail."""


def from_deciles(draw: Draw, deciles: Sequence[float]) -> float:
    """Draw from the distribution with these eleven deciles (least value, 10 %, ..., greatest value)."""
    place = draw() * 10.0
    low = int(place)
    return deciles[low] + (place - low) * (deciles[low + 1] - deciles[low])


def pick_weighted(draw: Draw, cumulative: Sequence[float]) -> int:
    """The index whose share of the last cumulative weight the draw falls on; for short tables."""
    mark = draw() * cumulative[-1]
    for index, upto in enumerate(cumulative):
        if mark < upto:
            return index
    return len(cumulative) - 1
