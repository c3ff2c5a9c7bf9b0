"""What a customer is compared by: axes made of features, on logarithmic scales, with a meaning for what is absent.

An axis is `slog(feature / unit)`, or that minus `slog(per / per_unit)` for a ratio; slog(x) = sign(x) log(1 + |x|). So
it orders as the feature does, goes through zero, takes refunds (negative revenue), and tells ten orders from five as it
tells a hundred from fifty. Ratios of small counts stay near zero instead of jumping to one.

Absent: None, a name that is not there, and NaN (no number) are read as the axis's `absent`, in units. Anything
beyond +-1e18 units counts as that much.
"""

from collections.abc import Mapping, Sequence
from math import exp2, log1p
from typing import Any, Final

import msgspec

from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.rules.features import FEATURES, METRICS, WINDOW_DAYS, window_feature

AXES_MAX: Final = 32
LARGEST: Final = 1e18
WORDS_MAX: Final = 24
"""Characters of an axis's name, its topic and its words."""
DAY_MS: Final = 86_400_000.0

AGES: Final = frozenset(("recency_ms", "since_last_seen_ms", "since_first_seen_ms"))
"""Features that grow with time alone."""
_WINDOWS: Final = tuple(
    (days * int(DAY_MS), tuple(window_feature(metric, days) for metric in METRICS)) for days in WINDOW_DAYS
)
"""By length, the shortest first: the features of windows."""

RawPoint = tuple[float, ...]
"""A customer on all axes, not yet scaled."""


class Axis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One direction in which customers differ, and the words for its ends."""

    name: str
    feature: str
    """A numeric or boolean feature of `state.rules.features`."""
    unit: float = 1.0
    """How much of the feature makes one: 100 for whole currency units of cents, a day in milliseconds."""
    absent: float = 0.0
    """What an absent value is read as, in units."""
    per: str | None = None
    """The feature to divide by, if this is a ratio."""
    per_unit: float = 1.0
    weight: float = 1.0
    """How much a difference of one scale counts beside the other axes."""
    topic: str
    """Axes of one topic say nearly the same; a description mentions one of them."""
    high: str
    low: str


def checked_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The axes.

    Raises:
        ValueError: there are none or more than AXES_MAX, two of one name, a feature that is unknown or not a number,
            a unit or weight that is not positive, or words that are too long; the message names the axis.
    """
    if not 1 <= len(axes) <= AXES_MAX:
        raise ValueError(f"{len(axes)} axes: there must be 1 to {AXES_MAX}")
    if len({axis.name for axis in axes}) < len(axes):
        raise ValueError("two axes have the same name")
    for axis in axes:
        for feature in filter(None, (axis.feature, axis.per)):
            spec = FEATURES.get(feature)
            if spec is None or not (spec.numeric or spec.type == "bool"):
                raise ValueError(f"axis {axis.name}: {feature} is no numeric feature")
        for value in (axis.unit, axis.per_unit, axis.weight):
            if not 0 < value < LARGEST:
                raise ValueError(f"axis {axis.name}: units and weight must be positive")
        if not all(1 <= len(text) <= WORDS_MAX for text in (axis.name, axis.topic, axis.high, axis.low)):
            raise ValueError(f"axis {axis.name}: name, topic and words must have 1 to {WORDS_MAX} characters")
        if not -LARGEST <= axis.absent <= LARGEST:
            raise ValueError(f"axis {axis.name}: absent = {axis.absent} is out of range")
    return tuple(axes)


def slog(value: float) -> float:
    """sign(value) * log(1 + |value|)."""
    return log1p(value) if value >= 0 else -log1p(-value)


def aged(values: Mapping[str, Any], by_ms: int) -> Mapping[str, Any]:
    """The values `by_ms` later, if nothing has happened.

    Ages have grown, engagement has faded, and windows as long as the customer has been away are empty. What has left a
    longer window meanwhile is not known: it counts as before.
    """
    if by_ms <= 0:
        return values
    older = {**values, **{name: values[name] + by_ms for name in AGES if values.get(name) is not None}}
    if older.get("engagement"):
        older["engagement"] *= exp2(-by_ms / ENGAGEMENT_HALF_LIFE_MS)
    away_ms = older.get("since_last_seen_ms") or 0
    for length_ms, names in _WINDOWS:
        if away_ms < length_ms:
            break
        older.update((name, 0) for name in names if name in older)
    return older


def read_point(axes: Sequence[Axis], values: Mapping[str, Any]) -> RawPoint:
    """A customer's place on the axes; finite, whatever the values are."""
    point, get = [], values.get
    for axis in axes:
        place = _place(get(axis.feature), axis.unit, axis.absent)
        point.append(place if axis.per is None else place - _place(get(axis.per), axis.per_unit, 0.0))
    return tuple(point)


def _place(value: Any, unit: float, absent: float) -> float:
    """`slog` of a value in units."""
    if value is None or value != value:
        return slog(absent)
    # compared before it is divided: an integer may be too large for a float
    return slog(LARGEST if value > LARGEST * unit else -LARGEST if value < -LARGEST * unit else value / unit)
