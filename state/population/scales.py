"""How values of a feature are put into buckets: so that counting is exact, and time passes without a recount.

A bucket is an integer that rises with the value. Each scale says how far the values of one bucket lie apart at most,
and which is the greatest of them. That one stands for the bucket: so "above the threshold" is the same whether one
compares values or buckets, and nobody who was counted at a threshold is above it.

=========  ==========================================  ====================================================
scale      features                                    bucket
=========  ==========================================  ====================================================
magnitude  counts, money, durations                    exact below 512 either way, then 256 for each doubling
decay      ``engagement``                              128 for each doubling, in forward decay
age        ``recency_ms``, ``since_..._ms``            the hour of the moment from which the age is counted
moment     ``last_seen_ms`` and other epoch times      the hour
=========  ==========================================  ====================================================

**Passing of time.** An age grows by a millisecond in each millisecond, an engagement halves in each half-life: for all
customers alike. What both are counted from stays where it is: the moment, and log2(engagement) + t / half-life, which
is forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay: A Practical Time Decay Model for Streaming
Systems", ICDE 2009) with the epoch as landmark. So a bucket, once counted, is right for ever, and `value` tells
what it is worth at any other time. Windows such as `orders_30d` have no such law: they are as of the snapshot.

**Buckets of magnitudes.** Those of HDR histograms: the leading bits of an integer. Relative to buckets by logarithm
(Masson, Rim, Lee: "DDSketch", VLDB 2019) they are 1.44 times as many for the same error, need no logarithm, are the
same on every machine, and small counts are exact: half of the customers have 1 order, not 1.004.
"""

from functools import cache
from math import ceil, exp2, inf, log2
from typing import Final, Protocol, TypeAlias

from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.population.refusal import PopulationError
from state.rules.features import FEATURES

Number: TypeAlias = int | float
HOUR_MS: Final = 3_600_000
LARGEST: Final = (1 << 63) - 1
"""Integers beyond it, either way, count as it."""
ZERO: Final = -(1 << 31)
"""The bucket of engagement 0: below all others."""
_BITS: Final = 8
_DOUBLING: Final = 128  # buckets of the decay scale for each doubling
_SLACK: Final = 2**-20  # of a bucket: rounding must not put a threshold above itself


class Scale(Protocol):
    """From values to buckets and back. `at_ms`: the time as of which the value is meant (epoch ms)."""

    number: int
    """Stored; never changes its meaning."""

    def bucket(self, value: Number, at_ms: int) -> int:
        """The bucket of a value.

        Raises:
            PopulationError: the scale has no place for the value, or it is none (NaN, a text, a truth value).
        """
        ...

    def value(self, bucket: int, at_ms: int) -> Number:
        """The greatest value of the bucket as of `at_ms`."""
        ...

    def width(self, bucket: int, at_ms: int) -> Number:
        """No value of the bucket is as far as this below the greatest one, or farther; 0: there is but one."""
        ...


class Magnitude:
    """Integers of either sign. Bound: 14,335 buckets for each sign, and zero; 9,251 for 1..10^13.

    Below 512 a bucket holds one value; above, its values lie apart by less than 1/256 (0.39 %) of any of them.
    """

    number = 0

    def bucket(self, value: Number, at_ms: int) -> int:
        """See `Scale`; floats are refused: no feature on this scale is one."""
        if type(value) is not int:
            raise PopulationError(f"{value!r} is no integer: it cannot be counted")
        if value >= 0:
            shift = max(0, value.bit_length() - _BITS - 1)
            return (shift << _BITS) + (value >> shift) if value <= LARGEST else _LAST
        return -self.bucket(-value, at_ms)

    def value(self, bucket: int, at_ms: int) -> int:
        """See `Scale`."""
        if bucket < 0:
            return -_least(-bucket)
        return _least(bucket) + (1 << _shift(bucket)) - 1

    def width(self, bucket: int, at_ms: int) -> int:
        """See `Scale`."""
        shift = _shift(abs(bucket))
        return 1 << shift if shift else 0


class Decay:
    """Numbers from 0 on that halve in each half-life, all alike. A value is less than 0.55 % off its bucket's greatest.

    Bound: 128 buckets for each half-life between the oldest and the newest that was counted, 6,700 a year for
    `engagement`, and zero.
    """

    number = 1

    def __init__(self, half_life_ms: int = ENGAGEMENT_HALF_LIFE_MS) -> None:
        self.half_life_ms = half_life_ms

    def bucket(self, value: Number, at_ms: int) -> int:
        """See `Scale`; zero, which does not decay, has a bucket of its own. Infinity is refused."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
            raise PopulationError(f"{value!r} is no finite number from 0 on: it cannot be counted as a decaying score")
        if value == 0:
            return ZERO
        lives, rest_ms = divmod(at_ms, self.half_life_ms)
        place = (log2(value) + rest_ms / self.half_life_ms) * _DOUBLING
        return ceil(place - _SLACK) + lives * _DOUBLING

    def value(self, bucket: int, at_ms: int) -> float:
        """See `Scale`. What has decayed beyond all floats is 0; 2^1023 is the most."""
        if bucket == ZERO:
            return 0.0
        lives, rest_ms = divmod(at_ms, self.half_life_ms)
        return exp2(min(1023.0, (bucket - lives * _DOUBLING) / _DOUBLING - rest_ms / self.half_life_ms))

    def width(self, bucket: int, at_ms: int) -> float:
        """See `Scale`."""
        return self.value(bucket, at_ms) * (1 - exp2(-1 / _DOUBLING))


class Age:
    """Milliseconds since a moment. Bound: a bucket for each hour between the oldest and the newest moment."""

    number = 2

    def bucket(self, value: Number, at_ms: int) -> int:
        """See `Scale`."""
        if type(value) is not int:
            raise PopulationError(f"{value!r} is no integer: it cannot be counted as an age")
        return -((at_ms - value) // HOUR_MS)

    def value(self, bucket: int, at_ms: int) -> int:
        """See `Scale`."""
        return at_ms + bucket * HOUR_MS

    def width(self, bucket: int, at_ms: int) -> int:
        """See `Scale`: an hour."""
        return HOUR_MS


class Moment:
    """Epoch milliseconds. Bound: a bucket for each hour between the oldest and the newest."""

    number = 3

    def bucket(self, value: Number, at_ms: int) -> int:
        """See `Scale`."""
        if type(value) is not int:
            raise PopulationError(f"{value!r} is no integer: it cannot be counted as a moment")
        return -(-value // HOUR_MS)

    def value(self, bucket: int, at_ms: int) -> int:
        """See `Scale`."""
        return bucket * HOUR_MS

    def width(self, bucket: int, at_ms: int) -> int:
        """See `Scale`: an hour."""
        return HOUR_MS


MAGNITUDE: Final = Magnitude()
DECAY: Final = Decay()
AGE: Final = Age()
MOMENT: Final = Moment()
SCALES: Final[dict[int, Scale]] = {scale.number: scale for scale in (MAGNITUDE, DECAY, AGE, MOMENT)}
"""By the number that is stored."""


@cache
def scale_of(feature: str) -> Scale:
    """The scale on which a feature is counted.

    Raises:
        PopulationError: there is no such feature, or its values are no numbers.
    """
    spec = FEATURES.get(feature)
    if spec is None or not spec.numeric:
        raise PopulationError(f"{feature!r} is no feature that is a number")
    if spec.drift == "decay":
        return DECAY
    if spec.drift == "age":
        return AGE
    return MOMENT if spec.unit == "epoch_ms" else MAGNITUDE


def _shift(bucket: int) -> int:
    """How many low bits the values of a bucket, which is not negative, do not agree on."""
    return max(0, (bucket >> _BITS) - 1)


def _least(bucket: int) -> int:
    """The least value of a bucket that is not negative."""
    shift = _shift(bucket)
    return (bucket - (shift << _BITS)) << shift


_LAST = MAGNITUDE.bucket(LARGEST, 0)
