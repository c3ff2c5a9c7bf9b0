"""From places on the axes to the space in which clusters lie: centred, scaled, clipped, weighted, perhaps turned.

A scaling is fitted once on a sample and frozen inside a model version, so that centroids and distances of a version are
comparable with each other, and points of another version can be carried over.

* Centre: the median. Scale: the range from the 5th to the 95th percentile by 3.29, its length in standard normal ones;
  where that is zero (an axis on which nearly all are equal) the standard deviation; where that is zero, 1.
* Clip: beyond +-`clip` scales everybody is equally far: a few wholesale buyers do not become all of the clusters.
* With more than `turn_above` axes: principal components, as many as `turn_share` of the variance needs. Distances are
  kept, up to the share that is left out.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.population.axes import Axis, RawPoint, read_point
from state.population.scaling_settings import ScalingSettings

Matrix: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[float, ...]

NORMAL_RANGE: Final = 3.2897
"""From the 5th to the 95th percentile of a standard normal distribution."""


class Scaling(msgspec.Struct, frozen=True, array_like=True):
    """A fitted scaling. Bound: AXES_MAX axes, so at most some 10 KB, packed."""

    axes: tuple[Axis, ...]
    centres: tuple[float, ...]
    factors: tuple[float, ...]
    """By axis: its weight over its scale."""
    limits: tuple[float, ...]
    """By axis: its weight times the clip."""
    turned: tuple[tuple[float, ...], ...] | None = None
    """Rows: principal components, over the axes."""

    @property
    def dimensions(self) -> int:
        """Of the space in which clusters lie."""
        return len(self.axes if self.turned is None else self.turned)

    def point(self, values: Mapping[str, Any]) -> Point:
        """Where a snapshot lies."""
        return self.place(read_point(self.axes, values))

    def place(self, raw: RawPoint) -> Point:
        """Where a place on the axes lies."""
        scaled = []
        for value, centre, factor, limit in zip(raw, self.centres, self.factors, self.limits, strict=True):
            value = (value - centre) * factor
            scaled.append(limit if value > limit else max(value, -limit))
        if self.turned is None:
            return tuple(scaled)
        return tuple(sum(a * b for a, b in zip(row, scaled, strict=True)) for row in self.turned)

    def places(self, raws: Matrix) -> Matrix:
        """The same for many: (n, axes) to (n, dimensions)."""
        limits = np.array(self.limits)
        scaled = np.clip((raws - np.array(self.centres)) * np.array(self.factors), -limits, limits)
        return scaled if self.turned is None else _times(scaled, np.array(self.turned).T)

    def raws(self, places: Matrix) -> Matrix:
        """Back again, but for what was clipped or left out: (n, dimensions) to (n, axes)."""
        scaled = places if self.turned is None else _times(places, np.array(self.turned))
        back: Matrix = scaled / np.array(self.factors) + np.array(self.centres)
        return back

    def moved(self, other: "Scaling") -> float:
        """How far another scaling of the same axes is from this one: the largest shift of a centre, in scales, or
        change of a scale, as the logarithm of their ratio."""
        ours, theirs = np.array(self.factors), np.array(other.factors)
        weights = np.array([axis.weight for axis in self.axes])
        shifts = np.abs(np.array(other.centres) - np.array(self.centres)) * ours / weights
        return float(max(shifts.max(), np.abs(np.log(ours / theirs)).max()))


def fit_scaling(settings: ScalingSettings, raws: Matrix) -> Scaling:
    """The scaling of a sample.

    Args:
        raws: (n, axes) places on the settings' axes; n >= 1.
    """
    low, centres, high = np.quantile(raws, (0.05, 0.5, 0.95), axis=0)
    scales = (high - low) / NORMAL_RANGE
    scales = np.where(scales > 0, scales, raws.std(axis=0))
    scales = np.where(scales > 1e-9, scales, 1.0)
    weights = np.array([axis.weight for axis in settings.axes])
    scaling = Scaling(
        settings.axes,
        tuple(centres.tolist()),
        tuple((weights / scales).tolist()),
        tuple((weights * settings.clip).tolist()),
    )
    if len(settings.axes) <= settings.turn_above:
        return scaling
    return msgspec.structs.replace(scaling, turned=_components(scaling.places(raws), settings.turn_share))


def _components(scaled: Matrix, share: float) -> tuple[tuple[float, ...], ...]:
    """Principal components by falling variance; of each, the entry that is largest by size is positive."""
    centred = scaled - scaled.mean(axis=0)
    variances, vectors = np.linalg.eigh(_times(centred.T, centred))
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1].T
    total = float(variances.sum())
    needed = 1 if total == 0 else int(np.searchsorted(np.cumsum(variances) / total, share - 1e-12)) + 1
    rows = vectors[: min(needed, len(vectors))]
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])
    return tuple(tuple(row) for row in (rows * signs[:, None]).tolist())


def _times(a: Matrix, b: Matrix) -> Matrix:
    """a @ b, added up in one fixed order whatever the number of threads."""
    product: Matrix = np.einsum("ij,jk->ik", a, b)
    return product
