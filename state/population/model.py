"""A version of the clusters: frozen, judged, published; and where it puts a customer.

A customer belongs to the nearest centroid, with hysteresis: one who is in a cluster stays until another is nearer by a
stated factor, so that nobody flaps between two. Beside that there are probabilities, softmax(-d^2 / (2 s^2)) with s^2
the mean squared distance to the centroid per dimension: what a mixture of equal round Gaussians would say.
"""

from collections.abc import Mapping
from math import dist, exp
from typing import Any, Final, NamedTuple

import msgspec

from state.packing import pack
from state.population.refusal import ClusterStateError, expect_version
from state.population.scaling import Point, Scaling

_VERSION: Final = 1
PACKED_MAX_BYTES: Final = 128 * 1024


class ModelQuality(msgspec.Struct, frozen=True, array_like=True):
    """How good a version is; see `quality.py` for the definitions."""

    silhouette: float
    davies_bouldin: float
    stability: float
    """Adjusted Rand index of this version and the one before on the same sample; 1 for the first one."""
    sampled: int
    """Customers in the sample it was judged on."""


class Trait(msgspec.Struct, frozen=True, array_like=True):
    """How a cluster differs from the population on one axis."""

    axis: str
    difference: float
    """Mean of the cluster minus mean of the population, in standard deviations of the population."""
    words: str


class Cluster(msgspec.Struct, frozen=True, array_like=True):
    """One cluster of a version."""

    cluster_id: int
    centroid: tuple[float, ...]
    size: int
    """Members in the sample."""
    share: float
    """Of the sample."""
    spread: float
    """Root of the mean squared distance of members to the centroid, in scales."""
    kind: int
    """The broad kind it belongs to: the smallest id of the clusters in it."""
    label: str
    """Generated words."""
    traits: tuple[Trait, ...] = ()
    """What sets it apart most, strongest first."""
    pinned: str | None = None
    """The name that a user gave to this id."""

    @property
    def name(self) -> str:
        """The pinned name, else the generated label."""
        return self.label if self.pinned is None else self.pinned


class Assignment(NamedTuple):
    """Where a model puts a customer."""

    cluster_id: int
    probabilities: dict[int, float]
    """By id of every cluster; they sum to 1."""
    distance: float
    """To the centroid of `cluster_id`, in scales."""


class ClusterModel(msgspec.Struct, frozen=True, array_like=True):
    """A version of the clusters. Bound: CLUSTERS_MAX clusters on AXES_MAX axes, below PACKED_MAX_BYTES, packed."""

    number: int
    """Counts up with every version."""
    as_of_ms: int
    """The newest snapshot that it has learnt from."""
    scaling: Scaling
    clusters: tuple[Cluster, ...]
    softness: float
    """2 s^2 of the probabilities."""
    stay: float
    """A customer leaves a cluster for one that is nearer by this factor."""
    quality: ModelQuality

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it reads, without repetition."""
        names = [name for axis in self.scaling.axes for name in (axis.feature, axis.per) if name is not None]
        return tuple(dict.fromkeys(names))

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(cluster.cluster_id for cluster in self.clusters)

    @property
    def centroids(self) -> tuple[Point, ...]:
        return tuple(cluster.centroid for cluster in self.clusters)

    @property
    def kinds(self) -> dict[int, tuple[int, ...]]:
        """By broad kind, the ids of the clusters in it."""
        nested: dict[int, tuple[int, ...]] = {}
        for cluster in self.clusters:
            nested[cluster.kind] = (*nested.get(cluster.kind, ()), cluster.cluster_id)
        return nested

    def cluster(self, cluster_id: int) -> Cluster:
        """The cluster of an id.

        Raises:
            KeyError: this version has none of that id.
        """
        for cluster in self.clusters:
            if cluster.cluster_id == cluster_id:
                return cluster
        raise KeyError(cluster_id)

    def assign(self, values: Mapping[str, Any], current_id: int | None = None) -> Assignment:
        """Where a snapshot belongs.

        Args:
            values: features by name; what absent ones and NaN mean stands in `axes.py`.
            current_id: the cluster that the customer is in; one that this version does not have holds nobody.
        """
        return self.assign_point(self.scaling.point(values), current_id)

    def assign_point(self, point: Point, current_id: int | None = None) -> Assignment:
        """Where a point of the model's own space belongs."""
        clusters, softness = self.clusters, self.softness
        distances = [dist(point, cluster.centroid) for cluster in clusters]
        least = min(distances)
        at = distances.index(least)
        if current_id is not None:
            limit = least * self.stay
            for index, cluster in enumerate(clusters):
                if cluster.cluster_id == current_id:
                    at = index if distances[index] <= limit else at
        least *= least
        weights = [exp((least - away * away) / softness) for away in distances]
        total = sum(weights)
        probabilities = {cluster.cluster_id: weight / total for cluster, weight in zip(clusters, weights, strict=True)}
        return Assignment(clusters[at].cluster_id, probabilities, distances[at])

    def packed(self) -> bytes:
        return pack((_VERSION, self))

    @classmethod
    def unpacked(cls, packed: bytes) -> "ClusterModel":
        """The model again.

        Raises:
            ClusterStateError: a newer program wrote it, or it is damaged.
        """
        try:
            version, rest = _envelope.decode(packed)
            expect_version(version, _VERSION, "a cluster model", ClusterStateError)
            return _decoder.decode(rest)
        except msgspec.MsgspecError as error:
            raise ClusterStateError(f"a cluster model is damaged: {error}") from error


_envelope = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_decoder = msgspec.msgpack.Decoder(ClusterModel)
