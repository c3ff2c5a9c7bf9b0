"""Whether customers go on as they did: what somebody does anew, held against what the same one did before.

Who fills carts readily will do so again, and who only looks will look. The clusters live by that: they are made of the
past, and say something of the future as long as it goes on. So of each axis that counts something, or is a ratio of
counts, the correlation is followed between where customers stood and what they have done since, over all customers of
the sample who have come again. It falls at once where people change their ways, though as many as before may look,
and as many buy; and it does not fall because new ones come, others stay away, or windows fill, as the distances to the
centroids and the distributions of single features do.

The correlation of the last days (all stretches of them, up to `habit_ms`) is held against that of the time before by
Fisher's z (Fisher, "On the 'Probable Error' of a Coefficient of Correlation Deduced from a Small Sample", Metron 1,
1921). What is older counts less: half after two weeks.

Bound: six numbers for each axis and each batch in `habit_ms`; a batch comes with each learning.
"""

from collections.abc import Iterable, Sequence
from math import atanh, copysign, expm1, log1p, sqrt
from typing import Any, Final, NamedTuple

from schemas.settings import DAY_MS
from state.packing import pack
from state.population.axes import AGES, Axis, RawPoint
from state.population.refusal import unpack_versioned

VERSION: Final = 1
_HALF_LIFE_MS: Final = 14 * DAY_MS
_CERTAIN: Final = 0.999
"""No correlation counts as more: Fisher's z of 1 is infinite."""

Sums = list[float]
"""How many, x, y, x^2, y^2, xy."""


class Move(NamedTuple):
    """A customer on all axes, before and now."""

    before: RawPoint
    now: RawPoint


class Habits:
    """Follows the correlations. What it holds depends on the batches alone."""

    def __init__(
        self, axes: Sequence[Axis], *, doubt: float, least: int, recent_ms: int, packed: bytes | None = None
    ) -> None:
        """
        Args:
            axes: what customers are compared by; of these, ages and ratios to something else than an axis are left out.
            doubt: standard errors from which on a fall is not chance.
            least: customers who make a correlation; four times as many before.
            recent_ms: so far back the present reaches.
            packed: what one before left; one of other axes is not read.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._parts = counted_parts(axes)
        self._names = [axes[at].name for at in self._parts]
        self._doubt, self._least, self._recent_ms = doubt, least, recent_ms
        self._known: list[Sums]
        self._known_ms: int  # as of when `_known` has faded
        self._batches: list[tuple[int, list[Sums]]]
        self.start_anew()
        if packed is not None:
            names, known, known_ms, batches = unpack_versioned(packed, VERSION, "the habits of customers")
            if names == self._names:
                self._known, self._known_ms = known, known_ms
                self._batches = [(at_ms, sums) for at_ms, sums in batches]

    def start_anew(self) -> None:
        """What was is no measure any longer."""
        self._known = [_none() for _ in self._parts]
        self._known_ms = 0
        self._batches = []

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, self._names, self._known, self._known_ms, self._batches])

    def on_batch(self, moves: Iterable[Move], at_ms: int) -> dict[str, tuple[float, float]]:
        """What customers have done since the batch before; by axis whose correlation has fallen: from and to what.

        Args:
            moves: of each customer at most one, in a fixed order.
            at_ms: now; batches go forward.
        """
        sums = [_none() for _ in self._parts]
        for move in moves:
            for total, (at, numerator, denominator) in zip(sums, self._rows(), strict=True):
                done = _done(move, numerator, denominator)
                if done is not None:
                    _count(total, move.before[at], done)
        self._batches.append((at_ms, sums))
        while self._batches and self._batches[0][0] <= at_ms - self._recent_ms:
            self._settle(*self._batches.pop(0))
        return {name: fall for at, name in enumerate(self._names) if (fall := self._fall(at)) is not None}

    def _rows(self) -> Iterable[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        return ((at, *parts) for at, parts in self._parts.items())

    def _settle(self, at_ms: int, sums: list[Sums]) -> None:
        """A batch is of the time before, now."""
        kept = 0.5 ** (max(0, at_ms - self._known_ms) / _HALF_LIFE_MS) if self._known_ms else 0.0
        self._known = [
            [kept * old + new for old, new in zip(known, one, strict=True)]
            for known, one in zip(self._known, sums, strict=True)
        ]
        self._known_ms = at_ms

    def _fall(self, at: int) -> tuple[float, float] | None:
        """Of the stretch of days in which it is most certain."""
        known = self._known[at]
        if known[0] < 4 * self._least:
            return None
        was, recent = _correlation(known), _none()
        worst, found = self._doubt, None
        for _, sums in reversed(self._batches):
            recent = [total + more for total, more in zip(recent, sums[at], strict=True)]
            if recent[0] < self._least:
                continue
            now = _correlation(recent)
            z = (atanh(was) - atanh(now)) / sqrt(1 / (known[0] - 3) + 1 / (recent[0] - 3))
            if z > worst:
                worst, found = z, (was, now)
        return found


def counted_parts(axes: Sequence[Axis]) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """By axis that can be followed: the axes whose places add up to its count, and to the one it is divided by.

    A ratio's place is that of its count less that of what it is divided by, so both are known again if the latter is
    an axis, too, in the same unit; its own count is then the sum of a chain of axes.
    """
    found: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    counts: dict[tuple[str, float], tuple[int, ...]] = {}
    while True:
        before = len(found)
        for at, axis in enumerate(axes):
            divisor = () if axis.per is None else counts.get((axis.per, axis.per_unit))
            if at in found or axis.feature in AGES or divisor is None:
                continue
            found[at] = ((*divisor, at), divisor)
            counts.setdefault((axis.feature, axis.unit), (*divisor, at))
        if len(found) == before:
            return dict(sorted(found.items()))


def _done(move: Move, numerator: Sequence[int], denominator: Sequence[int]) -> float | None:
    """What has been done anew, on the axis's scale; None if nothing was, or nothing before."""
    done, had = _added(move, numerator)
    if not denominator:
        return log1p(done) if had > 0 and done > 0 else None
    by, had = _added(move, denominator)
    return log1p(done) - log1p(by) if had > 0 and by > 0 else None


def _added(move: Move, parts: Sequence[int]) -> tuple[float, float]:
    """How much a count has grown, and what it was. What has left a window meanwhile hides as much."""
    was, now = (_unslog(sum(place[at] for at in parts)) for place in move)
    return max(0.0, now - was), was


def _unslog(place: float) -> float:
    return copysign(expm1(min(abs(place), 50.0)), place)


def _none() -> Sums:
    return [0.0] * 6


def _count(sums: Sums, x: float, y: float) -> None:
    for at, value in enumerate((1.0, x, y, x * x, y * y, x * y)):
        sums[at] += value


def _correlation(sums: Sequence[Any]) -> float:
    """0 where one of the two does not vary."""
    n, x, y, xx, yy, xy = sums
    spread = max(0.0, xx - x * x / n) * max(0.0, yy - y * y / n)
    if spread <= 1e-18 * n * n:
        return 0.0
    return float(min(_CERTAIN, max(-_CERTAIN, (xy - x * y / n) / sqrt(spread))))
