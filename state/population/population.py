"""The population operator's logic: what customers tell in an interval in, versions of what is known of all of them out.

::

    gathered ─> counts of values ─> percentiles, published when they have moved
             ─> sample ──────────> distances, habits ─> drift? ─> clusters learn ─> a model, with ids that stay
             ─> examples ────────> scores learn

Counts and scores take in every interval; clusters learn when enough customers have come, and at an alarm. Customers are
shown a new view seldom, as each view wakes every one of them: when thresholds are published, clusters come or go or
have moved, or scores are first there, and else after `view_every_ms`.
"""

from collections.abc import Mapping, Sequence
from math import dist
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from state.packing import pack
from state.population.contributions import Deltas, FeatureSketches
from state.population.divergence import Bins
from state.population.drift import Alarm, DriftAlarm, visits_of
from state.population.gather import Gathered
from state.population.intake import Intake
from state.population.labels import Example
from state.population.learning import PopulationLearner
from state.population.model import ClusterModel
from state.population.percentiles import percentiles_of
from state.population.publishing import Published
from state.population.questions import Key
from state.population.refusal import unpack_versioned
from state.population.sample import customer_hash
from state.population.scales import Number
from state.population.score_history import ScoreHistory
from state.population.scores import ScoreModel
from state.population.settings import PopulationSettings
from state.population.version import Learned
from state.population.view import PopulationView

VERSION: Final = 2


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be said of the population: a record of the `models` topic."""

    at_ms: int
    kind: str
    """born, died, split, merged: of a cluster; drift: an alarm; view: a new view is in force."""
    cluster_id: int | None = None
    other_id: int | None = None
    features: dict[str, float] | None = None
    """Of a drift of features: those that moved, with their PSI."""
    habits: dict[str, tuple[float, float]] | None = None
    """Of a drift of habits: by axis the correlation of what customers do with what they did, before and now."""
    view: int | None = None
    kl: dict[str, float] | None = None
    """Of a drift of features: of those that moved, the Kullback-Leibler divergence of now from before, in nats."""


class Interval(NamedTuple):
    """What an interval has brought."""

    view: PopulationView | None
    events: list[Event]


class PopulationLogic:
    """One for all customers. Bound: the sketches', the sample's and the models'; see there."""

    def __init__(
        self,
        settings: PopulationSettings,
        questions: Mapping[Key, Sequence[Number]],
        packed: bytes | None = None,
    ) -> None:
        """
        Args:
            settings: of all parts.
            questions: the percentiles that rules ask about, and their points (`questions.questions`).
            packed: what one before left.

        Raises:
            ValueError: `packed` cannot be read, or was written by a newer program.
        """
        self._settings, self._questions = settings, questions
        parts: list[Any] = [None] * 7
        taken: bytes | None = None
        self._bins: list[Bins] = []
        self._shown: PopulationView | None = None
        self._intake: Intake | None = None  # what came since clusters learnt last, at `_learnt_ms`
        self._learnt_ms = self._looked_ms = self._began_ms = -1
        self._watching = False
        self._owed = Deltas()  # differences whose other half has not come yet
        if packed is not None:
            fields = unpack_versioned(packed, VERSION, "the population")
            parts, (bins, shown, taken, learnt_ms, looked_ms, owed, *rest) = fields[:7], fields[7:]
            self._learnt_ms, self._looked_ms, self._owed = learnt_ms, looked_ms, Deltas.unpacked(owed)
            self._began_ms, self._watching = rest or (learnt_ms, False)  # version 1 did not know
            known = (Bins.unpacked(one) for one in bins)
            self._bins = [one for one in known if one.feature in settings.drift.features]  # others are not counted now
            self._shown = None if shown is None else PopulationView.unpacked(shown)
        sketches, published, learner, scores, history, drift, number = parts
        self._number: int = number or 0
        self._sketches = FeatureSketches() if sketches is None else FeatureSketches.unpacked(sketches)
        self._published = Published(settings.percentiles, published)
        self._learner = PopulationLearner(settings.clusters, learner)
        self._scores = ScoreModel(settings.scores, scores)
        self._history = ScoreHistory(history)
        self._drift = DriftAlarm(settings.drift, drift, settings.clusters.scaling.axes)
        if self._learner.begins_anew:
            self._drift.on_other_axes()
        elif taken is not None:
            self._intake = Intake.unpacked(settings.clusters, None, taken)

    def ask(self, questions: Mapping[Key, Sequence[Number]]) -> None:
        """Answer these questions from the next interval on, and no others."""
        self._questions = questions

    def packed(self) -> bytes:
        """Everything that is remembered."""
        parts = self._sketches, self._published, self._learner, self._scores, self._history, self._drift
        shown = None if self._shown is None else self._shown.packed()
        bins = [one.packed() for one in self._bins]
        intake = None if self._intake is None else self._intake.packed()
        rest = self._number, bins, shown, intake, self._learnt_ms, self._looked_ms, self._owed.packed()
        return pack([VERSION, *(part.packed() for part in parts), *rest, self._began_ms, self._watching])

    def on_interval(self, gathered: Gathered, at_ms: int) -> Interval:
        """Learn from an interval that ended at `at_ms`; intervals go forward."""
        events: list[Event] = []
        gathered.deltas.merge(self._owed)
        now, self._owed = self._sketches.payable(gathered.deltas)
        self._sketches.apply(now)
        if self._began_ms < 0:
            self._began_ms = at_ms
        alarm = self._drifted(gathered, at_ms)
        self._take_in(gathered)
        learned = None
        if self._is_time(at_ms, at_once=alarm is not None):
            alarm = self._changed(at_ms) or alarm
            if alarm is not None:
                self._learner.look_again()
            learned = self._learned(at_ms)
        if alarm is not None:
            features, divergences, habits = alarm.features or None, alarm.kl or None, alarm.habits or None
            events.append(Event(at_ms, "drift", features=features, kl=divergences, habits=habits))
        if learned is not None:
            events += [Event(at_ms, one.kind, one.cluster_id, one.other_id) for one in learned.events]
            if self._is_warm(at_ms) and (alarm is not None or learned.events or not self._watching):
                self._start_watching(at_ms)
        self._scores.learn(self._history.recalled(map(Example.unpacked, gathered.examples)), at_ms)
        view = self._view(self._ask(at_ms), changed=bool(events), at_ms=at_ms)
        if view is not None:
            events.append(Event(at_ms, "view", view=view.number))
        return Interval(view, events)

    def _take_in(self, gathered: Gathered) -> None:
        """Add snapshots to those that clusters have not learnt from yet."""
        if self._intake is None:
            self._intake = gathered.intake
        else:
            self._intake.merge(gathered.intake)
        for customer_id in gathered.gone:
            self._intake.sample.forget(customer_hash(customer_id))
            self._learner.forget(customer_id)

    def _is_time(self, at_ms: int, *, at_once: bool) -> bool:
        """Whether clusters learn: it costs the same however few have come."""
        settings, intake = self._settings, self._intake
        if intake is None:
            return False
        if self._learner.model is None or at_once:
            return True
        few = intake.snapshots < settings.learn_share * self._learner.sampled
        return not few and at_ms >= self._learnt_ms + settings.learn_every_ms

    def _learned(self, at_ms: int) -> Learned | None:
        intake, self._intake, self._learnt_ms = self._intake, None, at_ms
        return None if intake is None else self._learner.learn(intake)

    def _changed(self, at_ms: int) -> Alarm | None:
        """Whether those whom clusters are about to learn from go on as they did when they learnt last."""
        moves = () if self._intake is None else self._learner.moves(self._intake)
        return self._drift.on_moves(moves, at_ms, warm=self._watching)

    def _is_warm(self, at_ms: int) -> bool:
        """Whether there has been a population for long enough to tell a drift from its growth."""
        return at_ms >= self._began_ms + self._settings.drift.warm_up_ms

    def _drifted(self, gathered: Gathered, at_ms: int) -> Alarm | None:
        """Whether those who came in this interval, or everybody, are others than the model was made of."""
        model = self._learner.model
        if model is None or not self._watching:
            return None
        distances, came = {}, set(gathered.came)
        for hashed, (_, raw) in gathered.intake.sample.by_hash():
            if hashed in came:  # whoever stays away is looked at now and then, all of one day on one day
                point = model.scaling.place(raw)
                distances[f"{hashed:016x}"] = min(dist(point, cluster.centroid) for cluster in model.clusters)
        alarm = self._drift.on_distances(distances, at_ms)
        if alarm is not None or not self._bins or at_ms < self._looked_ms + self._settings.learn_every_ms:
            return alarm
        self._looked_ms = at_ms
        needed = {name for one in self._bins for name in (one.feature, visits_of(one.feature)) if name is not None}
        sketches = {name: self._sketches.sketch(name) for name in needed}
        return self._drift.on_distributions(self._bins, sketches, at_ms)

    def _start_watching(self, at_ms: int) -> None:
        """There are other clusters: what comes is held against what is so now."""
        self._drift.on_model()
        self._watching = True
        sketch = self._sketches.sketch
        self._bins = []
        for feature in self._settings.drift.features:
            visits = visits_of(feature)
            there = None if visits is None else sketch(visits)
            bins = Bins.of(feature, sketch(feature), at_ms, positive=True, visits=there)
            if bins is not None:
                self._bins.append(bins)

    def _ask(self, at_ms: int) -> bool:
        """Publish the thresholds that have moved; whether there are any."""
        any_new = False
        for (feature, positive), points in self._questions.items():
            sketch = self._sketches.sketch(feature)
            fresh = percentiles_of(feature, sketch, points, positive=positive)
            any_new |= self._published.consider(fresh, sketch, at_ms) is not None
        return any_new

    def _view(self, thresholds: bool, *, changed: bool, at_ms: int) -> PopulationView | None:
        """The next view, if it is time for one."""
        shown, model = self._shown, self._learner.model
        known = self._scores.speaks
        if not (thresholds or model is not None or known):
            return None
        due = (
            shown is None
            or thresholds
            or changed
            or _moved(shown.clusters, model) > self._settings.moved_by
            or (known and shown.scores is None)
            or at_ms - shown.at_ms >= self._settings.view_every_ms
        )
        if not due:
            return None
        self._number += 1
        found = {key: self._published.in_force(key[0], positive=key[1]) for key in self._questions}
        percentiles = {key: one for key, one in found.items() if one is not None}
        scores = self._scores.publish() if known else None
        self._shown = PopulationView(self._number, at_ms, percentiles, model, scores)
        if scores is not None:
            self._history.add(scores, at_ms)
        return self._shown


def _moved(old: ClusterModel | None, new: ClusterModel | None) -> float:
    """How far the clusters have moved since they were shown, in scales; infinite if they are others."""
    if old is None or new is None:
        return 0.0 if old is new else float("inf")
    if old.ids != new.ids or old.scaling.axes != new.scaling.axes:
        return float("inf")
    if old.scaling == new.scaling:
        return max(dist(one, other) for one, other in zip(old.centroids, new.centroids, strict=True))
    carried = new.scaling.places(old.scaling.raws(np.array(old.centroids))).tolist()
    away = max(dist(one, other) for one, other in zip(carried, new.centroids, strict=True))
    return max(away, old.scaling.moved(new.scaling))
