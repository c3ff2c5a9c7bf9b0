"""The population learner: snapshots in, versions of the cluster model out.

::

    interval     1          2          ...   8                  9
    snapshots    seed       follow           follow, recheck    follow
    model        #1         #2               #8                 #9
                 k-means++  the algorithm    k and scaling      ids matched with the version before, every time

It is fed with one merged `Intake` for each interval. Its sample replaces older snapshots of the same customers; when
it is large enough, the number of clusters is chosen and centroids are seeded from it; from then on the algorithm of the
settings follows the population, and every few intervals batch fits tell whether other clusters would be much better.

Deterministic: the same intakes in the same order give the same bytes. What is remembered is bounded by the sample, some
230 KB with the default settings. Who is erased leaves the sample at once, and the centroids as soon as they are next
fitted to it: with the algorithm `sample`, in the next interval.
"""

from typing import Final

import numpy as np

from state.packing import pack
from state.population.algorithms import Algorithm, Interval, restored, seeded
from state.population.choosing import allowed, choose, reconsider
from state.population.cluster_settings import ClusterSettings
from state.population.habits import Move
from state.population.intake import Intake
from state.population.model import ClusterModel
from state.population.refusal import ClusterStateError, unpack_versioned
from state.population.sample import Sample, customer_hash
from state.population.scaling import Matrix, Scaling, fit_scaling
from state.population.seeding import Fit, lloyd, nearest, without_small
from state.population.version import Learned, make_version

_VERSION: Final = 2
_GROWN: Final = 1.5


class PopulationLearner:
    """Learns the clusters of a population; one for all customers."""

    def __init__(self, settings: ClusterSettings, packed: bytes | None = None) -> None:
        """`packed`: what a learner before left; one with other axes leaves its numbers and ids, and no more.

        Raises:
            ClusterStateError: a newer program wrote `packed`.
        """
        self._settings = settings
        self._sample = Sample(settings.sample_size, len(settings.scaling.axes))
        self._intervals = 0  # since the last look at the number of clusters ...
        self._looked_at = 0  # ... which was at a sample of so many customers ...
        self._wished = False  # ... and found better ones, or will be believed if it does
        self._next_id, self._number, self._newest_ms = 1, 0, -1
        self._rows_from = 0  # the first version with the same rows in the same scaling as now
        self.begins_anew = False
        """Whether the one before had other axes: then snapshots that were read on them mean nothing, either."""
        self._algorithm: Algorithm | None = None
        self.model: ClusterModel | None = None
        """The newest version."""
        self._packed: bytes | None = None  # until something changes: most intervals are not learned from at once
        if packed is not None:
            self._restore(packed)

    @property
    def sampled(self) -> int:
        """Customers in the sample."""
        return len(self._sample)

    def learn(self, intake: Intake) -> Learned | None:
        """Learn from everybody's snapshots of one interval; None as long as there are too few customers."""
        self._packed = None
        self._sample.merge(intake.sample)
        self._newest_ms = max(self._newest_ms, intake.newest_ms)
        if self._settings.forget_ms:
            self._sample.forget_before(self._newest_ms - self._settings.forget_ms)
        if len(self._sample) < self._settings.seed_at:
            return None
        raws = self._sample.matrix(self._settings.scaling.axes, self._newest_ms)
        if self.model is None or self._algorithm is None:
            scaling = self._seed(raws)
        else:
            scaling = self._follow(self._algorithm, self.model.scaling, raws, intake)
        return None if self._algorithm is None else self._publish(raws, scaling, self._algorithm.centroids)

    def moves(self, intake: Intake) -> list[Move]:
        """Of whoever is in the sample: where they stood when this learnt last, and where they stand in the intake."""
        found = ((self._sample.get(hashed), raw) for hashed, (_, raw) in intake.sample.by_hash())
        return [Move(before, raw) for before, raw in found if before is not None]

    def forget(self, customer_id: str) -> None:
        """A customer was erased."""
        self._packed = None
        self._sample.forget(customer_hash(customer_id))

    def look_again(self) -> None:
        """The population is not what it was: with the next interval clusters are looked at again, and better ones are
        taken at once."""
        self._packed = None
        self._intervals = self._settings.recheck_every - 1
        self._wished = True

    def packed(self) -> bytes:
        """Everything that the learner remembers."""
        if self._packed is None:
            model = None if self.model is None else self.model.packed()
            algorithm = None if self._algorithm is None else self._algorithm.state()
            self._packed = pack((
                _VERSION, self._axes(), self._next_id, self._number, self._newest_ms, self._intervals, self._rows_from,
                self._settings.algorithm, self._sample.packed(), model, algorithm, self._looked_at, self._wished,
            ))  # fmt: skip
        return self._packed

    def _restore(self, packed: bytes) -> None:
        rest = unpack_versioned(packed, _VERSION, "a learner of clusters", ClusterStateError)
        axes, self._next_id, self._number, self._newest_ms, self._intervals, self._rows_from, name, *parts = rest
        sample, model, state, *looked = parts
        if axes != self._axes():
            self._intervals, self.begins_anew = 0, True
            return
        self._sample.merge(Sample.unpacked(sample))
        self._looked_at, self._wished = looked or (len(self._sample), False)  # version 1 did not know
        if model is None:
            return
        self.model = ClusterModel.unpacked(model)
        settings = self._settings
        if name == settings.algorithm:
            self._algorithm = restored(name, state, settings.half_life)
        elif len(self._sample):
            points = self.model.scaling.places(self._sample.matrix(settings.scaling.axes, self._newest_ms))
            fit = nearest(points, np.array(self.model.centroids))
            self._algorithm = seeded(settings.algorithm, fit, points, settings.half_life)

    def _axes(self) -> bytes:
        return pack(self._settings.scaling.axes)

    def _seed(self, raws: Matrix) -> Scaling:
        scaling = fit_scaling(self._settings.scaling, raws)
        points = scaling.places(raws)
        fit = choose(self._settings, points).fit
        self._looked(len(points))
        self._start_anew(fit, points)
        return scaling

    def _follow(self, algorithm: Algorithm, scaling: Scaling, raws: Matrix, intake: Intake) -> Scaling:
        if algorithm.in_any_scaling:
            scaling, algorithm = self._rescaled(algorithm, scaling, raws)
        points = scaling.places(raws)
        partial = intake.partial
        if partial is not None and partial.model_number < self._rows_from:
            partial = None
        fresh = scaling.places(self._sample.among(intake.sample, self._settings.scaling.axes, self._newest_ms))
        algorithm.step(Interval(partial, fresh, points))
        self._intervals += 1
        grown = len(points) >= _GROWN * self._looked_at < self._settings.sample_size
        if self._intervals >= self._settings.recheck_every or grown:
            return self._recheck(algorithm, scaling, raws, grown=grown)
        fit = nearest(points, algorithm.centroids)
        left = without_small(points, fit, self._settings.least(len(points)))
        if len(left.centroids) < len(fit.centroids):
            self._start_anew(left, points)
        return scaling

    def _recheck(self, algorithm: Algorithm, scaling: Scaling, raws: Matrix, *, grown: bool) -> Scaling:
        """`grown`: the customers are others than those in whom the clusters were found."""
        scaling, algorithm = self._rescaled(algorithm, scaling, raws)
        points = scaling.places(raws)
        choice, new = reconsider(self._settings, points, algorithm.centroids, anew=grown)
        sure = grown or self._wished or not allowed(self._settings, nearest(points, algorithm.centroids))
        self._looked(len(points))
        if new and sure:
            self._start_anew(choice.fit, points)
        elif new:
            self._wished = True
            self._intervals = self._settings.recheck_every - 1
        return scaling

    def _looked(self, sampled: int) -> None:
        self._intervals, self._looked_at, self._wished = 0, sampled, False

    def _rescaled(self, algorithm: Algorithm, scaling: Scaling, raws: Matrix) -> tuple[Scaling, Algorithm]:
        """The scaling of the sample as it is now, if it has moved far enough, and what goes on in it."""
        fitted = fit_scaling(self._settings.scaling, raws)
        if scaling.moved(fitted) <= self._settings.rescale_at:
            return scaling, algorithm
        points = fitted.places(raws)
        # what was clipped is clipped elsewhere now: the carried centroids are not quite the means of their points
        fit = lloyd(points, fitted.places(scaling.raws(algorithm.centroids)))
        return fitted, self._start_anew(fit, points)

    def _start_anew(self, fit: Fit, points: Matrix) -> Algorithm:
        self._algorithm = seeded(self._settings.algorithm, fit, points, self._settings.half_life)
        self._rows_from = self._number + 1
        return self._algorithm

    def _publish(self, raws: Matrix, scaling: Scaling, centroids: Matrix) -> Learned:
        self._number += 1
        learned = make_version(
            self._settings,
            raws,
            scaling,
            centroids,
            self.model,
            number=self._number,
            next_id=self._next_id,
            as_of_ms=self._newest_ms,
        )
        self.model, self._next_id = learned.model, learned.next_id
        return learned
