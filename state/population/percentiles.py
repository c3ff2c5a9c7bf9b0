"""What is published of a feature: its thresholds, and where among all customers a value stands."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Final

import msgspec

from state.packing import pack
from state.population.refusal import PopulationError, ascending, unpack_versioned
from state.population.scales import AGE, DECAY, Number, scale_of
from state.population.sketch import QuantileSketch

VERSION: Final = 1
QUARTERS: Final = (25, 50, 75)
FIFTHS: Final = (20, 40, 60, 80)
ALL_POINTS: Final = tuple(range(1, 100))
RFM: Final = {"rfm_recency": "recency_ms", "rfm_frequency": "orders_total", "rfm_monetary": "revenue_total_cents"}
"""The feature behind each score; of recency less is better."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds of one feature at some percentiles, as buckets of the feature's scale.

    Customers without the feature (None) are not counted. Percentile p is the least value that at least p % of those
    counted do not exceed, rounded up within its bucket (`QuantileSketch.quantile`); so a customer is above it, as a
    number in a rule or as a quartile, exactly if their bucket is.

    Thresholds of ages and of engagement move with time as all customers' values do: `at_ms` is the time as of which a
    value or a threshold is meant, and nothing has to be published anew for it. Features of other scales ignore it.

    Bound: 2 to 6 bytes for each point, packed, and some 40.
    """

    feature: str
    count: int
    """How many customers had a value (a positive one if `positive`)."""
    points: tuple[Number, ...] = ALL_POINTS
    """The percentiles that there are, ascending, between 0 and 100."""
    buckets: tuple[int, ...]
    positive: bool = False
    """Only those above 0 were counted: the fifths of RFM are of those who bought."""

    def percentile(self, point: Number, at_ms: int = 0) -> Number:
        """The threshold at a percentile, in the feature's unit.

        Raises:
            PopulationError: `point` is not among the points.
        """
        return scale_of(self.feature).value(self._bucket_at(point), at_ms)

    @property
    def ages(self) -> bool:
        """Whether thresholds move with time."""
        return scale_of(self.feature) in (AGE, DECAY)

    def has(self, points: Sequence[Number]) -> bool:
        """Whether all these are among the points."""
        return set(points) <= set(self.points)

    def passed(self, points: Sequence[Number]) -> Callable[[Number, int], int]:
        """A function of (value, at_ms): how many of the points, which ascend, a customer with this value is above.

        Raises:
            PopulationError: a point is not among the points; and by the function, if the value cannot be counted.
        """
        bucket, thresholds = scale_of(self.feature).bucket, [self._bucket_at(point) for point in points]
        return lambda value, at_ms: bisect_left(thresholds, bucket(value, at_ms))

    def quartile(self, value: Number | None, at_ms: int = 0) -> int | None:
        """1 to 4, 4 being the highest; a value at a threshold belongs to the lower quarter. Absent for None.

        Raises:
            PopulationError: 25, 50 or 75 is not among the points, or the value cannot be counted.
        """
        return None if value is None else 1 + self.passed(QUARTERS)(value, at_ms)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, self.feature, self.count, self.points, self.buckets, self.positive])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Percentiles":
        """The value again.

        Raises:
            PopulationError: the bytes are none of percentiles, or of a newer program's.
        """
        fields = unpack_versioned(packed, VERSION, "percentiles")
        try:
            feature, count, points, buckets, positive = fields
            found = cls(feature=feature, count=count, points=tuple(points), buckets=tuple(buckets), positive=positive)
        except (TypeError, ValueError) as error:
            raise PopulationError(f"percentiles cannot be read: {error}") from error
        if len(found.points) != len(found.buckets) or not ascending(found.points):
            raise PopulationError("percentiles cannot be read: points and buckets do not go together")
        return found

    def _bucket_at(self, point: Number) -> int:
        at = bisect_left(self.points, point)
        if at == len(self.points) or self.points[at] != point:
            raise PopulationError(f"percentile {point} of {self.feature} is not known: there are {self.points}")
        return self.buckets[at]


def percentiles_of(
    feature: str, sketch: QuantileSketch, points: Sequence[Number] = ALL_POINTS, *, positive: bool = False
) -> Percentiles | None:
    """The thresholds of a feature as its sketch has them; None if nobody is counted.

    Args:
        feature: its name; its scale must be the sketch's.
        points: percentiles above 0 and below 100, ascending.
        positive: of those above 0 only (counts and money).

    Raises:
        PopulationError: the points are out of range or order, or the sketch is not on the feature's scale.
    """
    if not points or not ascending(points) or not (points[0] > 0 and points[-1] < 100):
        raise PopulationError(f"percentiles {list(points)}: must ascend between 0 and 100")
    if sketch.scale.number != scale_of(feature).number:
        raise PopulationError(f"the sketch of {feature} is on another scale than the feature")
    above = sketch.scale.bucket(0, 0) if positive else None
    buckets = sketch.buckets_at(list(map(_share, points)), above)
    if not buckets:
        return None
    count = len(sketch) - (0 if above is None else sketch.up_to(above))
    return Percentiles(feature=feature, count=count, points=tuple(points), buckets=tuple(buckets), positive=positive)


@cache
def _share(point: Number) -> Fraction:
    """Of a percentile, read as the decimal that it is written as; rules ask for few."""
    return Fraction(str(point)) / 100


def rfm_question(score: str) -> tuple[str, bool]:
    """What an RFM score asks the population: the feature, and whether of positive values only.

    The fifths are of those who bought: of everybody, in a shop where one visitor in ten buys, each buyer would have
    a 5.

    Raises:
        KeyError: there is no such score.
    """
    feature = RFM[score]
    return feature, feature != "recency_ms"  # who never bought has no recency, and is not counted


def rfm_scorer(score: str, fifths: Percentiles) -> Callable[[Number | None, int], int]:
    """A function of (value, at_ms): 1 to 5 by fifths, 5 being the best: latest order, most orders, most revenue.

    A value at a threshold belongs to the lower fifth. Who never bought (None) has 1. (Hughes, "Strategic Database
    Marketing", 1994: recency, frequency and monetary value by quintiles.)

    Args:
        score: `rfm_recency`, `rfm_frequency` or `rfm_monetary`.
        fifths: of the feature that `rfm_question` names.

    Raises:
        KeyError: there is no such score.
        PopulationError: `fifths` lack a point; and by the function, if the value cannot be counted.
    """
    passed = fifths.passed(FIFTHS)
    if RFM[score] == "recency_ms":  # less is better
        return lambda value, at_ms: 1 if value is None else 5 - passed(value, at_ms)
    return lambda value, at_ms: 1 if value is None else 1 + passed(value, at_ms)
