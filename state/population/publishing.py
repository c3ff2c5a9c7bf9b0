"""When thresholds are published anew: seldom, so that a threshold that trembles makes nobody come and go.

::

    p80 as computed    100  101   99  100  102 |  125  126  124        102 is within 2 %: nothing is said
    p80 as published   100 ....................|  125 .........        125 is not, and 6 % of the customers lie between

A threshold stays as long as it is good enough by either measure: by *value* (within `tolerance` of the new one, or
within the bucket's width) or by *rank* (the share of customers up to it is still what it should be, within
`rank_tolerance`). The second one matters where few customers lie: between "never bought" and the least order, a median
may leap back and forth over a gap in which there is nobody. Each threshold is judged by itself, and all of them are
renewed after `interval_ms`.
"""

from itertools import pairwise
from typing import Any, Final

import msgspec

from schemas.settings import DAY_MS
from state.packing import pack
from state.population.percentiles import Percentiles
from state.population.refusal import PopulationError, unpack_versioned
from state.population.scales import Number
from state.population.sketch import QuantileSketch

VERSION: Final = 1


class PublishSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much must have changed.

    Raises:
        ValueError: a setting is out of its range.
    """

    tolerance: float = 0.02
    """A threshold that moved by at most this share of its value stays; never less than a bucket's width."""
    rank_tolerance: float = 0.01
    """A threshold that at most this share of customers lies on the wrong side of stays."""
    interval_ms: int = 7 * DAY_MS
    """After so long, whatever differs is published."""
    least_count: int = 20
    """The percentiles of fewer customers than that are not published."""

    def __post_init__(self) -> None:
        for name in ("tolerance", "rank_tolerance"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 0 and below 1")
        for name in ("interval_ms", "least_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")


class _Said(msgspec.Struct):
    """What was published of a feature."""

    percentiles: Percentiles
    renewed_ms: int
    """When all of its thresholds were renewed."""


class Published:
    """The percentiles that are in force, by feature and whether of positive values only.

    If no threshold ever fails both tolerances, a feature is published at most 1 + T / `interval_ms` times in a time T.
    Bound: one `Percentiles` for each question.
    """

    def __init__(self, settings: PublishSettings, packed: bytes | None = None) -> None:
        """
        Args:
            settings: the tolerances.
            packed: what one before left.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._settings = settings
        self._said: dict[tuple[str, bool], _Said] = {}
        if packed is not None:
            fields: list[Any] = unpack_versioned(packed, VERSION, "published percentiles")
            for one, renewed_ms in fields[0]:
                percentiles = Percentiles.unpacked(one)
                self._said[percentiles.feature, percentiles.positive] = _Said(percentiles, renewed_ms)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, [(said.percentiles.packed(), said.renewed_ms) for _, said in sorted(self._said.items())]])

    def in_force(self, feature: str, *, positive: bool = False) -> Percentiles | None:
        """What was published last; None: nothing yet."""
        said = self._said.get((feature, positive))
        return said.percentiles if said else None

    def consider(self, fresh: Percentiles | None, sketch: QuantileSketch, at_ms: int) -> Percentiles | None:
        """What to publish now, or None: what is in force is good enough, or too few customers are known.

        Args:
            fresh: as computed from `sketch` now (`percentiles_of`).
            sketch: all customers' values.
            at_ms: now, never less than at the call before.

        Raises:
            PopulationError: `fresh` is not of this sketch.
        """
        if fresh is None or fresh.count < self._settings.least_count:
            return None
        key = fresh.feature, fresh.positive
        said = self._said.get(key)
        renewed_ms = at_ms
        if said is not None and said.percentiles.points == fresh.points:
            if said.percentiles.buckets == fresh.buckets:
                return None
            if at_ms < said.renewed_ms + self._settings.interval_ms:
                fresh = self._settled(said.percentiles, fresh, sketch, at_ms)
                if fresh.buckets == said.percentiles.buckets:
                    return None
                renewed_ms = said.renewed_ms
        self._said[key] = _Said(fresh, renewed_ms)
        return fresh

    def _settled(self, old: Percentiles, fresh: Percentiles, sketch: QuantileSketch, at_ms: int) -> Percentiles:
        """The fresh ones, with the old thresholds where they are good enough."""
        below = len(sketch) - fresh.count if fresh.positive else 0
        if not 0 <= below < len(sketch):
            raise PopulationError(f"the percentiles of {fresh.feature} are not of this sketch")
        buckets = [
            was if self._is_near(was, now, sketch, at_ms) or self._has_rank(was, point, below, sketch) else now
            for point, was, now in zip(fresh.points, old.buckets, fresh.buckets, strict=True)
        ]
        if any(one > other for one, other in pairwise(buckets)):
            return fresh  # an old threshold stands above a new one that should be above it
        return msgspec.structs.replace(fresh, buckets=tuple(buckets))

    def _is_near(self, was: int, now: int, sketch: QuantileSketch, at_ms: int) -> bool:
        """By value."""
        scale = sketch.scale
        old, new = scale.value(was, at_ms), scale.value(now, at_ms)
        return abs(new - old) <= max(self._settings.tolerance * abs(old), scale.width(was, at_ms))

    def _has_rank(self, was: int, point: Number, below: int, sketch: QuantileSketch) -> bool:
        """By rank: the threshold's bucket holds customers from one share to another; is the wanted one near them?"""
        counted = len(sketch) - below
        upper = (sketch.up_to(was) - below) / counted
        lower = upper - sketch.count(was) / counted
        off = max(lower - point / 100, point / 100 - upper)
        return off <= self._settings.rank_tolerance
