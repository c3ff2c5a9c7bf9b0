"""From centroids to a version of the model: ids, events, sizes, words, broad kinds, quality."""

from typing import NamedTuple

import numpy as np

from state.population.cluster_settings import ClusterSettings
from state.population.describing import labels_of, traits
from state.population.identity import ClusterEvent, Matching, match_clusters
from state.population.model import Cluster, ClusterModel, ModelQuality
from state.population.nesting import broad_kinds
from state.population.quality import adjusted_rand, davies_bouldin, silhouette
from state.population.scaling import Matrix, Scaling
from state.population.seeding import Fit, Labels, nearest, squared_distances

_SHARPEST = 1e-6


class Learned(NamedTuple):
    """A new version, and what became of the clusters of the one before."""

    model: ClusterModel
    events: list[ClusterEvent]
    next_id: int


def make_version(
    settings: ClusterSettings,
    raws: Matrix,
    scaling: Scaling,
    centroids: Matrix,
    before: ClusterModel | None,
    *,
    number: int,
    next_id: int,
    as_of_ms: int,
) -> Learned:
    """Describe and judge centroids by the sample.

    Args:
        raws: (n, axes) the sample, n >= 1.
        centroids: (k, dimensions) in the space of `scaling`; the model has its clusters in this order.
        before: the version before, whose ids go on.
        number: of this version.
        next_id: larger than every id that was ever given.
    """
    points = scaling.places(raws)
    fit = nearest(points, centroids)
    were = _labels_before(raws, before)
    matching = _matched(settings, scaling, centroids, before, next_id, were, fit.labels)
    quality = ModelQuality(
        silhouette(points[: settings.judged], fit.labels[: settings.judged]),
        davies_bouldin(points, fit.labels),
        1.0 if were is None else adjusted_rand(were, fit.labels),
        len(points),
    )
    softness = max(_SHARPEST, 2.0 * fit.inertia / points.size)
    clusters = _clusters(settings, scaling, raws, points, fit, matching.ids)
    model = ClusterModel(number, as_of_ms, scaling, clusters, softness, settings.stay, quality)
    return Learned(model, matching.events, matching.next_id)


def _labels_before(raws: Matrix, before: ClusterModel | None) -> Labels | None:
    if before is None:
        return None
    return nearest(before.scaling.places(raws), np.array(before.centroids)).labels


def _matched(
    settings: ClusterSettings,
    scaling: Scaling,
    centroids: Matrix,
    before: ClusterModel | None,
    next_id: int,
    were: Labels | None,
    are: Labels,
) -> Matching:
    if before is None or were is None:
        return match_clusters((), centroids[:0], centroids, next_id=next_id, gate=settings.gate)
    old = np.array(before.centroids)
    if before.scaling != scaling:
        old = scaling.places(before.scaling.raws(old))
    return match_clusters(before.ids, old, centroids, next_id=next_id, gate=settings.gate, moved=(were, are))


def _clusters(
    settings: ClusterSettings, scaling: Scaling, raws: Matrix, points: Matrix, fit: Fit, ids: tuple[int, ...]
) -> tuple[Cluster, ...]:
    found = traits(scaling.axes, raws, fit.labels, len(ids))
    sizes = fit.sizes
    own = squared_distances(points, fit.centroids)[np.arange(len(points)), fit.labels]
    spreads = np.sqrt(np.bincount(fit.labels, weights=own, minlength=len(ids)) / np.maximum(sizes, 1))
    kinds = broad_kinds(fit.centroids)
    eldest = {kind: min(one for one, other in zip(ids, kinds, strict=True) if other == kind) for kind in set(kinds)}
    return tuple(
        Cluster(
            cluster_id,
            tuple(fit.centroids[at].tolist()),
            int(sizes[at]),
            float(sizes[at] / len(points)),
            float(spreads[at]),
            eldest[kinds[at]],
            label,
            found[at],
            settings.names.get(cluster_id),
        )
        for at, (cluster_id, label) in enumerate(zip(ids, labels_of(found), strict=True))
    )
