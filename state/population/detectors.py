"""Two detectors of a change of a mean, as River 0.23 has them, with state that is a few numbers.

River's own objects can only be kept by pickling them, classes, NumPy arrays and all, and a savepoint would then hold
for one version of River. To replay a window of recent values into a new one instead would not give back the same
detector: the window of ADWIN has no bound, only its summary has. So the same steps are taken here, in the same order,
and tests hold them to River's number for number.
"""

from math import inf, log, sqrt
from typing import Any, Final, Protocol

from state.packing import pack
from state.population.refusal import PopulationError, unpack_versioned

VERSION: Final = 1
_PER_ROW = 5  # summaries of one size before two of them become one of the next
_LEAST = 5  # values on either side of a cut
_GRACE = 10
_CLOCK = 32


class Detector(Protocol):
    """Values in, changes out."""

    def update(self, value: float) -> bool:
        """The next value; whether the mean has changed. After a change the detector starts anew."""
        ...

    def packed(self) -> bytes:
        """Versioned bytes, from which it goes on exactly."""
        ...


class Adwin:
    """ADWIN: a window that is cut as soon as two parts of it have different means.

    (Bifet and Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SIAM International Conference on
    Data Mining 2007; the version ADWIN2, as in River's `drift.ADWIN`.) Values should lie between 0 and 1, for which
    its guarantee holds. Looks for a cut once in 32 values.

    Bound: six summaries of 16 bytes for each doubling of the window: 4 KB for a window of 2^40 values.
    """

    __slots__ = ("_delta", "_drifted", "_rows", "_ticks", "_total", "_variance", "width")

    width: int
    """Values in the window."""
    _drifted: bool
    _ticks: int
    _total: float
    _variance: float  # times the width
    _rows: list[list[tuple[float, float]]]  # total, variance; row r: of 2^r values each, oldest first

    def __init__(self, delta: float, packed: bytes | None = None) -> None:
        """
        Args:
            delta: the greatest probability of seeing a change, at one look, where there is none.
            packed: what one before left.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._delta = delta
        self._reset()
        if packed is not None:
            self._restore(unpack_versioned(packed, VERSION, "an ADWIN detector"))

    def _restore(self, fields: list[Any]) -> None:
        try:
            self._drifted, self._ticks, self.width, self._total, self._variance, rows = fields
            self._rows = [[(total, variance) for total, variance in row] for row in rows]
        except (TypeError, ValueError) as error:
            raise PopulationError(f"an ADWIN detector cannot be read: {error}") from error

    def _reset(self) -> None:
        self._drifted = False
        self._ticks = 0
        self.width = 0
        self._total = 0.0
        self._variance = 0.0
        self._rows = [[]]

    @property
    def mean(self) -> float:
        """Of the window; 0 if it is empty."""
        return self._total / self.width if self.width else 0.0

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, self._drifted, self._ticks, self.width, self._total, self._variance, self._rows])

    def update(self, value: float) -> bool:
        """See `Detector`."""
        if self._drifted:
            self._reset()
        self._insert(value)
        self._ticks += 1
        if self._ticks % _CLOCK == 0 and self.width > _GRACE:
            while self._cut():
                self._drifted = True
        return self._drifted

    def _insert(self, value: float) -> None:
        self._rows[0].append((value, 0.0))
        self.width += 1
        if self.width > 1:
            off = value - self._total / (self.width - 1)
            self._variance += (self.width - 1) * off * off / self.width
        self._total += value
        self._compress()

    def _compress(self) -> None:
        """Where there are six summaries of one size, the two oldest become one of twice the size."""
        at = 0
        while len(self._rows[at]) > _PER_ROW:
            row = self._rows[at]
            (total, variance), (other_total, other_variance) = row[:2]
            del row[:2]
            size = float(1 << at)
            off = total / size - other_total / size
            at += 1
            if at == len(self._rows):
                self._rows.append([])
            apart = size * size * off * off / (2 * size)
            self._rows[at].append((total + other_total, variance + other_variance + apart))

    def _cut(self) -> bool:
        """Drop the oldest summary if the means before and after some place in the window differ; whether they do."""
        before, after, before_total, after_total = 0, self.width, 0.0, self._total
        for at in range(len(self._rows) - 1, -1, -1):
            size = 1 << at
            for total, _ in self._rows[at]:
                before += size
                after -= size
                before_total += total
                after_total -= total
                if after < _LEAST:
                    return False
                if before >= _LEAST and self._differ(before, after, before_total / before - after_total / after):
                    self._drop_oldest()
                    return True
        return False

    def _differ(self, before: int, after: int, off: float) -> bool:
        doubt = log(2 * log(self.width) / self._delta)
        share = 1.0 / (before - _LEAST + 1) + 1.0 / (after - _LEAST + 1)
        spread = 2 * share * (self._variance / self.width) * doubt
        # a variance that rounding has taken below 0 says nothing
        return spread >= 0 and abs(off) > sqrt(spread) + 2 / 3 * doubt * share

    def _drop_oldest(self) -> None:
        row, size = self._rows[-1], 1 << (len(self._rows) - 1)
        total, variance = row.pop(0)
        self.width -= size
        self._total -= total
        off = total / size - self._total / self.width
        self._variance -= variance + size * self.width * off * off / (size + self.width)
        if not row:
            self._rows.pop()


class PageHinkley:
    """The test of Page and Hinkley: a sum of what exceeds the mean so far, and how far it is from its least.

    (Page, "Continuous Inspection Schemes", Biometrika 41, 1954; both directions, as in River's `drift.PageHinkley`.)

    Bound: six numbers.
    """

    __slots__ = ("_count", "_decrease", "_drifted", "_greatest", "_increase", "_least", "_mean", "_threshold")

    _drifted: bool
    _count: int
    _mean: float
    _increase: float
    _decrease: float
    _least: float
    _greatest: float

    TOLERATED: Final = 0.005
    """How far the mean may move without being noticed."""
    FADING: Final = 0.9999
    """What the sums keep of themselves at each value."""
    GRACE: Final = 30

    def __init__(self, threshold: float, packed: bytes | None = None) -> None:
        """
        Args:
            threshold: a change is seen where a sum is farther than this from its extreme.
            packed: what one before left.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._threshold = threshold
        self._reset()
        if packed is not None:
            fields: list[Any] = unpack_versioned(packed, VERSION, "a Page-Hinkley detector")
            if len(fields) != 7:
                raise PopulationError(f"a Page-Hinkley detector cannot be read: {len(fields)} fields, not 7")
            (
                self._drifted, self._count, self._mean, self._increase, self._decrease, self._least, self._greatest,
            ) = fields  # fmt: skip

    def _reset(self) -> None:
        self._drifted = False
        self._count = 0
        self._mean = 0.0
        self._increase = 0.0
        self._decrease = 0.0
        self._least = inf
        self._greatest = -1.0  # River's start; the first sum is above it

    @property
    def mean(self) -> float:
        """Of all values since the last change; 0 without any."""
        return self._mean

    def packed(self) -> bytes:
        """Versioned bytes."""
        sums = (self._mean, self._increase, self._decrease, self._least, self._greatest)
        return pack([VERSION, self._drifted, self._count, *sums])

    def update(self, value: float) -> bool:
        """See `Detector`."""
        if self._drifted:
            self._reset()
        self._count += 1
        self._mean += (1.0 / self._count) * (value - self._mean)
        off = value - self._mean
        self._increase = self.FADING * self._increase + off - self.TOLERATED
        self._decrease = self.FADING * self._decrease + off + self.TOLERATED
        self._least = min(self._least, self._increase)
        self._greatest = max(self._greatest, self._decrease)
        farthest = max(self._increase - self._least, self._greatest - self._decrease)
        self._drifted = self._count >= self.GRACE and farthest > self._threshold
        return self._drifted
