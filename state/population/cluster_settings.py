"""Settings of the clusters."""

from typing import Literal, TypeAlias

import msgspec

from state.population.cluster_names import CLUSTERS_MAX, checked_names
from state.population.scaling_settings import ScalingSettings

AlgorithmName: TypeAlias = Literal["sample", "minibatch", "mixture", "river"]


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the population is clustered.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    scaling: ScalingSettings = ScalingSettings()
    algorithm: AlgorithmName = "sample"
    """See `algorithms.py`."""
    k_min: int = 2
    k_max: int = 12
    """The number of clusters is chosen between these two, by silhouette; the same twice: it is fixed."""
    k_tolerance: float = 0.0
    """The largest number of clusters whose silhouette is within this of the best one's is taken, ..."""
    k_doubt: float = 2.0
    """... or behind it by at most so many standard errors of the difference ..."""
    agreement: float = 0.75
    """... among those on which halves of the sample agree by so much: an adjusted Rand index, see `choosing.py`."""
    k_margin: float = 0.015
    """Other clusters take the place of those that are there only if their silhouette is better by this."""
    sample_size: int = 4_096
    """Customers in the sample; 16 + 8 * axes bytes each."""
    judged: int = 1_024
    """Of these, the first ones by hash are what silhouettes are computed on: exact, with judged^2 distances."""
    seed_at: int = 200
    """Customers in the sample from which there is a model."""
    recheck_every: int = 8
    """Intervals after which the number of clusters is looked at again; or sooner, when the sample has grown by half.
    Other clusters take the place of those that are there once they have been better twice in a row."""
    rescale_at: float = 0.02
    """The scaling is fitted anew when it has moved by so much; see `Scaling.moved`."""
    half_life: float = 4.0
    """Intervals after which a learner that forgets has forgotten half."""
    least_share: float = 0.005
    least_size: int = 10
    """A cluster has at least this share of the sample and this many members in it."""
    gate: float = 1.5
    """Centroids farther apart than this, in scales, are not the same cluster."""
    stay: float = 1.1
    """A customer leaves a cluster for one that is nearer by this factor."""
    forget_ms: int = 0
    """Customers without a snapshot for longer leave the sample; 0: never."""
    seed: int = 1
    names: dict[int, str] = {}
    """Names that users pin to cluster ids."""

    def __post_init__(self) -> None:
        if not 1 <= self.k_min <= self.k_max <= CLUSTERS_MAX:
            raise ValueError(
                f"k_min = {self.k_min}, k_max = {self.k_max}: must be in order, within 1 to {CLUSTERS_MAX}"
            )
        least = {
            "k_tolerance": 0.0, "k_doubt": 0.0, "agreement": -1.0, "k_margin": 0.0, "sample_size": 16, "judged": 16,
            "seed_at": 2, "recheck_every": 1, "rescale_at": 0.0, "half_life": 0.1, "least_share": 0.0, "least_size": 1,
            "gate": 0.0, "stay": 1.0, "forget_ms": 0, "seed": 0,
        }  # fmt: skip
        for name, lowest in least.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least {lowest}")
        if self.seed_at > self.sample_size:
            raise ValueError(f"seed_at = {self.seed_at}: the sample never has more than {self.sample_size} customers")
        if self.least_share * self.k_min > 1:
            raise ValueError(f"least_share = {self.least_share}: too large for {self.k_min} clusters")
        checked_names(self.names)

    def least(self, sampled: int) -> int:
        """Members that a cluster needs in a sample of this size."""
        return max(self.least_size, -int(-self.least_share * sampled // 1))
