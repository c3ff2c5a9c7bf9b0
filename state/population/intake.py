"""What one place gathers in one interval, to be put together with what other places gathered.

One snapshot of each customer in an interval: the busy do not outvote the others. A customer's snapshots all come
to the same place, which sees to that; then the merged intakes of an interval depend on the set of snapshots only.

Bound: the sample's and the sums' bounds, see there; nothing grows with the number of customers.
"""

from collections.abc import Mapping
from typing import Any, Final

from state.packing import pack
from state.population.axes import RawPoint, read_point
from state.population.cluster_settings import ClusterSettings
from state.population.model import ClusterModel
from state.population.partial import Partial
from state.population.refusal import ClusterStateError, unpack_versioned
from state.population.sample import Sample, customer_hash

_VERSION: Final = 1


class Intake:
    """Sampled customers, and the sums of all by the clusters of the model in force."""

    __slots__ = ("_axes", "_centroids", "_scaling", "newest_ms", "partial", "sample", "snapshots")

    def __init__(self, settings: ClusterSettings, model: ClusterModel | None) -> None:
        """`model`: the newest version that is known here; None before there is any."""
        self._axes = settings.scaling.axes
        self.sample = Sample(settings.sample_size, len(self._axes))
        self.snapshots = 0
        self.newest_ms = -1
        self.partial: Partial | None = None
        self._scaling = model.scaling if model is not None else None
        self._centroids = model.centroids if model is not None else ()
        if model is not None and settings.algorithm == "minibatch":  # the others learn from the sample
            self.partial = Partial(model.number, len(model.clusters), model.scaling.dimensions)

    def add(self, customer_id: str, as_of_ms: int, values: Mapping[str, Any]) -> None:
        """Take in a customer's snapshot of this interval."""
        if self.partial is None and not self.sample.wants(customer_hash(customer_id)):
            self._count(as_of_ms)
        else:
            self.add_point(customer_id, as_of_ms, read_point(self._axes, values))

    def add_point(self, customer_id: str, as_of_ms: int, raw: RawPoint) -> None:
        """The same of a snapshot whose place on the axes was read before."""
        self._count(as_of_ms)
        hashed = customer_hash(customer_id)
        if self.sample.wants(hashed):
            self.sample.add(hashed, as_of_ms, raw)
        if self.partial is not None and self._scaling is not None:
            self.partial.add(self._scaling.place(raw), self._centroids)

    def _count(self, as_of_ms: int) -> None:
        self.snapshots += 1
        self.newest_ms = max(self.newest_ms, as_of_ms)

    def merge(self, other: "Intake") -> None:
        """Take in what another place gathered in the same interval.

        Sums by an older model are let go: their centroids are not those of the newer one.
        """
        self.sample.merge(other.sample)
        self.snapshots += other.snapshots
        self.newest_ms = max(self.newest_ms, other.newest_ms)
        ours, theirs = self.partial, other.partial
        if theirs is None:
            return
        if ours is None or theirs.model_number > ours.model_number:
            self.partial = ours = Partial(theirs.model_number, len(theirs.counts), len(theirs.sums[0]))
        if theirs.model_number == ours.model_number:
            ours.merge(theirs)

    def packed(self) -> bytes:
        partial = None if self.partial is None else self.partial.packed()
        return pack((_VERSION, self.snapshots, self.newest_ms, self.sample.packed(), partial))

    @classmethod
    def unpacked(cls, settings: ClusterSettings, model: ClusterModel | None, packed: bytes) -> "Intake":
        """The intake again; of one with more or fewer axes nothing is kept, as of another learner's sample.

        Sums by another model than this one are kept, and nothing more is added to them.

        Raises:
            ClusterStateError: a newer program wrote it.
        """
        snapshots, newest_ms, packed_sample, partial = unpack_versioned(
            packed, _VERSION, "an intake of snapshots", ClusterStateError
        )
        intake, sample = cls(settings, model), Sample.unpacked(packed_sample)
        if sample.axes != len(settings.scaling.axes):
            return intake
        intake.snapshots, intake.newest_ms, intake.sample = snapshots, newest_ms, sample
        intake.partial = None if partial is None else Partial.unpacked(partial)
        if model is None or intake.partial is None or intake.partial.model_number != model.number:
            intake._scaling = None
        return intake
