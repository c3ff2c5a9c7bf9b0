"""Centroids from data: k-means++ and Lloyd's iterations on a bounded sample.

* Seeds: Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007, with a greedy choice among
  2 + log k candidates that the paper proposes in its section 6.
* Iterations: Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28 (1982). A centroid
  without points moves to the point that lies farthest from its own.

Draws come from `random.Random(seed)` alone, sums are in one fixed order: equal inputs give equal centroids.
"""

from bisect import bisect_right
from math import log
from random import Random
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from state.population.scaling import Matrix

Labels: TypeAlias = NDArray[np.int64]


class Fit(NamedTuple):
    """Centroids and who is nearest to which."""

    centroids: Matrix
    """(k, dimensions)."""
    labels: Labels
    """(n,): indices of centroids."""
    inertia: float
    """Sum of squared distances to the nearest centroid."""

    @property
    def sizes(self) -> Labels:
        """(k,): points of each centroid."""
        return np.bincount(self.labels, minlength=len(self.centroids))


def squared_distances(points: Matrix, centroids: Matrix) -> Matrix:
    """(n, k) squared Euclidean distances."""
    found: Matrix = cdist(points, centroids, "sqeuclidean")
    return found


def nearest(points: Matrix, centroids: Matrix) -> Fit:
    """Everybody to the nearest centroid; the first of several as near."""
    distances = squared_distances(points, centroids)
    labels = distances.argmin(axis=1)
    return Fit(centroids, labels, float(distances[np.arange(len(points)), labels].sum()))


def seeds(points: Matrix, k: int, random: Random) -> Matrix:
    """k points far from each other, by greedy k-means++; fewer if there are fewer distinct ones."""
    chosen = [random.randrange(len(points))]
    closest = squared_distances(points, points[chosen])[:, 0]
    candidates = 2 + int(log(k))
    while len(chosen) < k:
        sums = np.cumsum(closest)
        if sums[-1] <= 0:
            break
        drawn = [min(bisect_right(sums, random.random() * sums[-1]), len(points) - 1) for _ in range(candidates)]
        tried = np.minimum(squared_distances(points, points[drawn]), closest[:, None])
        best = int(tried.sum(axis=0).argmin())
        chosen.append(drawn[best])
        closest = tried[:, best]
    return points[chosen].copy()


def label_sums(points: Matrix, labels: Labels, k: int) -> tuple[Matrix, Labels]:
    """(k, dimensions) sums of the points of each label, and (k,) their numbers."""
    sizes = np.bincount(labels, minlength=k)
    return np.stack([np.bincount(labels, weights=column, minlength=k) for column in points.T], axis=1), sizes


def means(points: Matrix, labels: Labels, k: int) -> tuple[Matrix, Labels]:
    """(k, dimensions) means of the points of each label, zeros where there are none; and (k,) their numbers."""
    totals, sizes = label_sums(points, labels, k)
    return totals / np.maximum(sizes, 1)[:, None], sizes


def lloyd(points: Matrix, start: Matrix, rounds: int = 100) -> Fit:
    """Lloyd's iterations from `start`, until nobody changes or for `rounds`."""
    fit = nearest(points, start)
    for _ in range(rounds):
        centroids, sizes = means(points, fit.labels, len(start))
        for empty in np.flatnonzero(sizes == 0):
            own = ((points - centroids[fit.labels]) ** 2).sum(axis=1)
            farthest = int(own.argmax())
            centroids[empty] = points[farthest]
            fit.labels[farthest] = empty
        following = nearest(points, centroids)
        if np.array_equal(following.labels, fit.labels):
            return following
        fit = following
    return fit


def fit_kmeans(points: Matrix, k: int, seed: int, restarts: int = 4) -> Fit:
    """The best of several runs from different seeds; fewer clusters than k if there are fewer distinct points."""
    random = Random(seed * 1_000 + k)  # noqa: S311  # must be repeatable, need not be secret
    fits = [lloyd(points, seeds(points, k, random)) for _ in range(restarts)]
    return min(fits, key=lambda fit: fit.inertia)


def without_small(points: Matrix, fit: Fit, least: int) -> Fit:
    """Take out the smallest cluster, and let the others have its points, until none has fewer than `least`."""
    while len(fit.centroids) > 1 and fit.sizes.min() < least:
        fit = lloyd(points, np.delete(fit.centroids, int(fit.sizes.argmin()), axis=0))
    return fit
