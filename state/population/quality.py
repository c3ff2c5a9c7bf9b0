"""How good clusters are, and how alike two clusterings.

* Silhouette: Rousseeuw, "Silhouettes: a graphical aid", Journal of Computational and Applied Mathematics 20 (1987):
  s(i) = (b - a) / max(a, b), a the mean distance of i to the others of its cluster and b the least mean distance to
  another cluster; 0 in a cluster of one. -1 to 1, larger is better.
* Davies-Bouldin: Davies and Bouldin, "A Cluster Separation Measure", IEEE PAMI 1 (1979): the mean over clusters of the
  largest (S_i + S_j) / M_ij, with S the mean distance to the centroid and M the distance of centroids. 0 is best.
* Adjusted Rand index: Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985):
  (index - expected) / (maximum - expected) over pairs. 1: the same but for names, about 0: no more than by chance.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from state.population.scaling import Matrix
from state.population.seeding import Labels, means


def silhouette(points: Matrix, labels: Labels) -> float:
    """Mean silhouette, exact: n^2 distances. 0 if there are fewer than two clusters.

    Args:
        points: (n, dimensions); a bounded sample.
        labels: (n,) any integers from 0.
    """
    return float(silhouettes(cdist(points, points), labels).mean())


def silhouettes(distances: Matrix, labels: Labels) -> Matrix:
    """(n,): the silhouette of each point; all 0 if there are fewer than two clusters.

    Args:
        distances: (n, n) between the points.
        labels: (n,) any integers from 0.
    """
    kinds, own = np.unique(labels, return_inverse=True)
    if len(kinds) < 2:
        return np.zeros(len(labels))
    sums = np.stack([distances[:, own == kind].sum(axis=1) for kind in range(len(kinds))], axis=1)
    sizes = np.bincount(own)
    rows = np.arange(len(labels))
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    outside = sums / sizes
    outside[rows, own] = np.inf
    nearest = outside.min(axis=1)
    larger = np.maximum(inside, nearest)
    scores: Matrix = np.where(
        (sizes[own] > 1) & (larger > 0), (nearest - inside) / np.where(larger > 0, larger, 1.0), 0.0
    )
    return scores


def davies_bouldin(points: Matrix, labels: Labels) -> float:
    """Davies-Bouldin index; 0 if there are fewer than two clusters, infinite if two have the same centroid."""
    kinds, own = np.unique(labels, return_inverse=True)
    if len(kinds) < 2:
        return 0.0
    centroids, sizes = means(points, own, len(kinds))
    spreads = np.bincount(own, weights=np.sqrt(((points - centroids[own]) ** 2).sum(axis=1))) / sizes
    apart = cdist(centroids, centroids)
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (spreads[:, None] + spreads[None, :]) / apart
    ratios[np.isnan(ratios)] = np.inf  # two clusters of one and the same point
    return float(ratios.max(axis=1).mean())


def adjusted_rand(a: Sequence[int] | Labels, b: Sequence[int] | Labels) -> float:
    """Adjusted Rand index of two labellings of the same things; 1 if both put all into one cluster, or all apart.

    Raises:
        ValueError: they are not of the same things.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels beside {len(b)}: both must label the same things")
    rows, columns = (np.unique(labels, return_inverse=True)[1] for labels in (a, b))
    table = np.zeros((rows.max(initial=0) + 1, columns.max(initial=0) + 1), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    together = _pairs(table)
    in_a, in_b, pairs = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0)), len(a) * (len(a) - 1) // 2
    if in_a == in_b and in_a in (0, pairs):
        return 1.0
    expected = in_a * in_b / pairs
    return (together - expected) / ((in_a + in_b) / 2 - expected)


def _pairs(counts: Labels) -> int:
    return int((counts * (counts - 1) // 2).sum())
