"""How centroids follow the population: four learners behind one interface, chosen by a setting.

| name | what it learns from | how |
| --- | --- | --- |
| `sample` | the whole sample, each customer as of the newest snapshot | Lloyd's iterations from where it stands |
| `minibatch` | sums over an interval's snapshots; in a job, which has none, as the next | mini-batches, counts decay |
| `mixture` | the sampled snapshots of an interval | online expectation-maximisation |
| `river` | the same, one after the other | River's `cluster.KMeans`, its centroids seeded from data |

All start from the centroids of a batch fit on the sample and are bounded by k * dimensions numbers, a few times.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from state.population.cluster_settings import AlgorithmName
from state.population.partial import Partial
from state.population.scaling import Matrix
from state.population.seeding import Fit, label_sums, lloyd, nearest, squared_distances

_VARIANCE_FLOOR = 0.01
"""In squared scales: a component of the mixture never gets narrower."""


class Interval(NamedTuple):
    """What is new: everything that any of the learners may learn from."""

    partial: Partial | None
    """Sums by the centroids as they stood; None if no model was there to count by."""
    fresh: Matrix
    """(n, dimensions): customers of the sample with a snapshot in this interval, in the order of their hashes."""
    sample: Matrix
    """(n, dimensions): the whole sample, in the same order."""


class Algorithm(Protocol):
    """Centroids that learn."""

    centroids: Matrix
    """(k, dimensions)."""
    in_any_scaling: bool
    """Whether centroids are all that it remembers, so that it may go on in another scaling at any time."""

    def step(self, interval: Interval) -> None:
        """Learn from one interval."""

    def state(self) -> list[Any]:
        """Numbers and lists of them, from which `restored` makes the same again."""


class SampleKMeans:
    """Lloyd's iterations on the sample, warm from the centroids as they stand.

    The sample is a coreset that follows the population by itself: each customer's newest snapshot takes the place of
    the one before. Nothing else is remembered.
    """

    in_any_scaling = True

    def __init__(self, centroids: Matrix) -> None:
        self.centroids = centroids

    @classmethod
    def seeded(cls, fit: Fit, points: Matrix, half_life: float) -> "SampleKMeans":
        return cls(fit.centroids)

    def step(self, interval: Interval) -> None:
        self.centroids = lloyd(interval.sample, self.centroids).centroids

    def state(self) -> list[Any]:
        return [self.centroids.tolist()]

    @classmethod
    def restored(cls, state: Sequence[Any], half_life: float) -> "SampleKMeans":
        return cls(np.array(state[0], dtype=np.float64))


class MiniBatchKMeans:
    """Mini-batch k-means: Sculley, "Web-scale k-means clustering", WWW 2010, with counts that decay.

    A centroid moves to the mean of what it has seen; the count of that halves every `half_life` intervals, so
    that it follows a population that moves. A whole interval is assigned by the centroids as they stood, as the paper
    assigns a mini-batch; so sums from several places are all it needs.
    """

    in_any_scaling = False

    def __init__(self, centroids: Matrix, counts: Matrix, half_life: float) -> None:
        self.centroids, self._counts = centroids, counts
        self._decay = 0.5 ** (1.0 / half_life)

    @classmethod
    def seeded(cls, fit: Fit, points: Matrix, half_life: float) -> "MiniBatchKMeans":
        return cls(fit.centroids, fit.sizes.astype(np.float64), half_life)

    def step(self, interval: Interval) -> None:
        if interval.partial is None:
            labels = nearest(interval.fresh, self.centroids).labels
            totals, sizes = label_sums(interval.fresh, labels, len(self.centroids))
            counts = sizes.astype(np.float64)
        else:
            counts, totals = interval.partial.totals()
        known = self._counts * self._decay
        self._counts = known + counts
        moved = (self.centroids * known[:, None] + totals) / np.maximum(self._counts, 1e-12)[:, None]
        self.centroids = np.where(self._counts[:, None] > 1e-12, moved, self.centroids)

    def state(self) -> list[Any]:
        return [self.centroids.tolist(), self._counts.tolist()]

    @classmethod
    def restored(cls, state: Sequence[Any], half_life: float) -> "MiniBatchKMeans":
        centroids, counts = (np.array(part, dtype=np.float64) for part in state)
        return cls(centroids, counts, half_life)


class Mixture:
    """A mixture of Gaussians with diagonal covariances by online expectation-maximisation.

    Cappe and Moulines, "On-line expectation-maximization algorithm for latent data models", Journal of the Royal
    Statistical Society B 71 (2009): sufficient statistics move by a fixed step towards those of the interval; shares,
    means and variances follow from them. An interval counts by its size beside that of the sample.
    """

    in_any_scaling = False

    def __init__(self, statistics: Sequence[Matrix], half_life: float) -> None:
        """`statistics`: (k,) shares, (k, dimensions) sums, (k, dimensions) sums of squares; the shares sum to 1."""
        self._shares, self._sums, self._squares = statistics
        self._step = 1.0 - 0.5 ** (1.0 / half_life)
        self._half_life = half_life
        self._derive()

    @classmethod
    def seeded(cls, fit: Fit, points: Matrix, half_life: float) -> "Mixture":
        belongs = np.zeros((len(points), len(fit.centroids)))
        belongs[np.arange(len(points)), fit.labels] = 1.0
        return cls(_statistics(points, belongs), half_life)

    def step(self, interval: Interval) -> None:
        points = interval.fresh
        if not len(points):
            return
        step = self._step * min(1.0, len(points) / max(1, len(interval.sample)))
        seen = _statistics(points, self.responsibilities(points))
        self._shares, self._sums, self._squares = (
            (1.0 - step) * known + step * new
            for known, new in zip((self._shares, self._sums, self._squares), seen, strict=True)
        )
        self._derive()

    def responsibilities(self, points: Matrix) -> Matrix:
        """(n, k): the probability of each component, given the point; rows sum to 1."""
        logs = np.log(np.maximum(self._shares, 1e-12)) - 0.5 * np.log(self._variances).sum(axis=1)
        roots = np.sqrt(self._variances)
        away = [
            squared_distances(points / root, (centroid / root)[None, :])[:, 0]
            for centroid, root in zip(self.centroids, roots, strict=True)
        ]
        logs = logs[None, :] - 0.5 * np.stack(away, axis=1)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        found: Matrix = weights / weights.sum(axis=1, keepdims=True)
        return found

    def state(self) -> list[Any]:
        return [part.tolist() for part in (self._shares, self._sums, self._squares)]

    @classmethod
    def restored(cls, state: Sequence[Any], half_life: float) -> "Mixture":
        return cls([np.array(part, dtype=np.float64) for part in state], half_life)

    def _derive(self) -> None:
        shares = np.maximum(self._shares, 1e-12)[:, None]
        self.centroids = self._sums / shares
        self._variances = np.maximum(self._squares / shares - self.centroids**2, _VARIANCE_FLOOR)


def _statistics(points: Matrix, belongs: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    shares = belongs.mean(axis=0)
    sums = np.einsum("nk,nd->kd", belongs, points) / len(points)
    squares = np.einsum("nk,nd->kd", belongs, points**2) / len(points)
    return shares, sums, squares


class RiverKMeans:
    """River's incremental k-means, with centroids from data in place of the noise that it would start from.

    Each snapshot moves its nearest centroid by a fixed share of the way (River calls it `halflife`); the share is
    such that an interval in which each of a cluster's customers comes once fades in `half_life` intervals.
    """

    in_any_scaling = False

    def __init__(self, centroids: Matrix, per_cluster: float, half_life: float) -> None:
        """`per_cluster`: how many customers of the sample a cluster has, on average."""
        # River is slow to import, and the other learners do without it
        from river.cluster import KMeans

        self.centroids, self._per_cluster = centroids, per_cluster
        share = 1.0 - 0.5 ** (1.0 / max(1.0, per_cluster * half_life))
        self._river = KMeans(n_clusters=len(centroids), halflife=share, seed=0)

    @classmethod
    def seeded(cls, fit: Fit, points: Matrix, half_life: float) -> "RiverKMeans":
        return cls(fit.centroids, len(points) / len(fit.centroids), half_life)

    def step(self, interval: Interval) -> None:
        self._river.centers = {at: dict(enumerate(row)) for at, row in enumerate(self.centroids.tolist())}
        for point in interval.fresh.tolist():
            self._river.learn_one(dict(enumerate(point)))
        self.centroids = np.array([list(center.values()) for center in self._river.centers.values()])

    def state(self) -> list[Any]:
        return [self.centroids.tolist(), self._per_cluster]

    @classmethod
    def restored(cls, state: Sequence[Any], half_life: float) -> "RiverKMeans":
        return cls(np.array(state[0], dtype=np.float64), state[1], half_life)


_ALL: dict[str, Any] = {
    "sample": SampleKMeans,
    "minibatch": MiniBatchKMeans,
    "mixture": Mixture,
    "river": RiverKMeans,
}


def seeded(name: AlgorithmName, fit: Fit, points: Matrix, half_life: float) -> Algorithm:
    """A learner that starts from a batch fit of `points`."""
    make: Callable[[Fit, Matrix, float], Algorithm] = _ALL[name].seeded
    return make(fit, points, half_life)


def restored(name: AlgorithmName, state: Sequence[Any], half_life: float) -> Algorithm:
    """A learner as it was when `state` was taken."""
    make: Callable[[Sequence[Any], float], Algorithm] = _ALL[name].restored
    return make(state, half_life)
