"""When the population is no longer what the model was made of: three alarms, and none twice in a row.

By *habit*: customers do not go on as they did (`habits.py`); seen when clusters learn, and tells by which axes.
By *distance*: customers lie farther from (or nearer to) the centroids than they did; seen within a part of an interval.
By *distribution*: a feature's values have moved between two moments; tells which one. An alarm asks for a new model.

::

    alarms       !              !        !                                 !
    raised       !              .        .      ! (at the end)             !
                 |--- hold_off_ms --------------|--- hold_off_ms ----|
    what is held off is raised at the end, unless a new model has come by then
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from heapq import nsmallest
from math import isnan
from typing import Any, Final, Literal

import msgspec

from schemas.settings import DAY_MS
from state.packing import pack
from state.population.axes import Axis
from state.population.detectors import Adwin, Detector, PageHinkley
from state.population.divergence import Bins, kl, psi, psi_by_chance
from state.population.habits import Habits, Move
from state.population.refusal import PopulationError, unpack_versioned
from state.population.sketch import QuantileSketch
from state.rules.features import FEATURES

VERSION: Final = 2


class DriftSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as a drift.

    Raises:
        ValueError: a setting is out of its range.
    """

    detector: Literal["adwin", "page-hinkley"] = "adwin"
    """What watches the distances. A saved state of the other one is not read: it starts anew."""
    delta: float = 1e-4
    """ADWIN: the greatest probability of a false alarm at one look, once in 32 values, if these do not depend on each
    other. Those of the same customers day after day do, and alarm more often (benchmarks/drift_alarms.py)."""
    threshold: float = 50.0
    """Page-Hinkley: how far its sum may stray."""
    typical_distance: float = 1.0
    """A distance that counts as 1/2; half of the customers should be nearer."""
    batch_max: int = 2_000
    """Distances of one batch that are looked at, drawn by a hash."""
    psi_threshold: float = 0.2
    """A feature whose index is at most this has not moved."""
    false_alarms: float = 0.001
    """Probability that chance alone moves any feature of two independent samples as far as an alarm takes."""
    habit_doubt: float = 4.5
    """Standard errors by which the correlation of what customers do with what they did has fallen."""
    habit_least: int = 100
    """Customers who came again, of whom there is one."""
    habit_ms: int = 7 * DAY_MS
    """So far back the present reaches, of which any stretch is looked at; 0: there is no such alarm."""
    hold_off_ms: int = DAY_MS
    """The least time between two alarms."""
    warm_up_ms: int = 28 * DAY_MS
    """So long after the first customer nothing is said: everybody is new then, and windows are filling."""
    features: tuple[str, ...] = ("views_7d", "cart_adds_7d", "orders_7d", "revenue_7d_cents", "sessions_7d")
    """Whose distributions are watched, among those who were there in the window: counts and sums of windows. What adds
    up over a life or fades moves as those who have gone become more."""

    @property
    def watched(self) -> tuple[str, ...]:
        """What has to be counted for this: the features, and the visits of their windows."""
        return tuple(dict.fromkeys((*self.features, *filter(None, map(visits_of, self.features)))))

    def __post_init__(self) -> None:
        for name in ("delta", "false_alarms"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0 and below 1")
        for name in ("threshold", "typical_distance", "batch_max", "psi_threshold", "habit_doubt"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0")
        if not self.habit_least >= 10:
            raise ValueError(f"habit_least = {self.habit_least}: must be at least 10")
        for name in ("hold_off_ms", "warm_up_ms", "habit_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must not be negative")
        for name in self.features:
            if name not in FEATURES or FEATURES[name].drift not in ("count", "sum"):
                raise ValueError(f"{name!r} among the features of the drift: must be a count or a sum of a window")


def visits_of(feature: str) -> str | None:
    """The feature that says who was there in the window of another one; None: this one does."""
    spec = FEATURES[feature]
    return None if spec.window_days is None or spec.metric == "sessions" else f"sessions_{spec.window_days}d"


class DistanceDrift:
    """Watches the distances of snapshots to their centroids.

    A distance d counts as d / (d + typical): between 0 and 1, where ADWIN's guarantee holds, and no customer counts for
    more than one. Each batch is taken in an order drawn by hashes of the customers' ids and the batch's time: ids often
    rise with the age of an account, and a batch in their order would look like a drift each time.

    Bound: that of the detector, and one batch while it is looked at.
    """

    def __init__(self, settings: DriftSettings, packed: bytes | None = None) -> None:
        """
        Args:
            settings: which detector, how sensitive.
            packed: what one before left.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._settings = settings
        state: bytes | None = None
        if packed is not None:
            detector, saved = unpack_versioned(packed, VERSION, "the drift of distances")
            state = saved if detector == settings.detector else None
        self._detector = self._made(state)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, self._settings.detector, self._detector.packed()])

    def on_batch(self, distances: Mapping[str, float], at_ms: int) -> bool:
        """The distances of one batch by customer; whether their mean has changed.

        An infinite distance counts as 1.

        Raises:
            PopulationError: a distance is NaN or negative; nothing of the batch is counted then.
        """
        for customer, distance in distances.items():
            if isnan(distance) or distance < 0:
                raise PopulationError(f"the distance of customer {customer!r} is {distance}")
        changed = False
        for customer in drawn(distances, at_ms, self._settings.batch_max):
            changed |= self._detector.update(squashed(distances[customer], self._settings.typical_distance))
        return changed

    def start_anew(self) -> None:
        """There is a new model: distances to the old one mean nothing any longer."""
        self._detector = self._made(None)

    def _made(self, state: bytes | None) -> Detector:
        if self._settings.detector == "adwin":
            return Adwin(self._settings.delta, state)
        return PageHinkley(self._settings.threshold, state)


def drawn(customers: Iterable[str], at_ms: int, most: int) -> list[str]:
    """Up to `most` customers in an order that nobody chose: by a hash of id and time, whatever order they come in."""
    salt = at_ms.to_bytes(8, "big", signed=True)
    return nsmallest(most, customers, key=lambda one: (blake2b(one.encode(), digest_size=8, key=salt).digest(), one))


def squashed(distance: float, typical: float) -> float:
    """Between 0 and 1; 1/2 at the typical distance, 1 at infinity."""
    return 1 - typical / (distance + typical)


class Alarm(msgspec.Struct, frozen=True):
    """The population has drifted."""

    at_ms: int
    """When it was seen."""
    kind: Literal["distances", "features", "habits"]
    features: dict[str, float] = {}
    """Of kind `features`: those that moved, with their index."""
    habits: dict[str, tuple[float, float]] = {}
    """Of kind `habits`: by axis the correlation of what customers do with what they did, before and now."""
    kl: dict[str, float] = {}
    """Of kind `features`: of those that moved, the Kullback-Leibler divergence of now from before, in nats."""


class DriftAlarm:
    """All alarms, and what was said of late.

    Bound: those of `DistanceDrift` and `Habits`, and one alarm of a few bytes for each feature or axis.
    """

    def __init__(self, settings: DriftSettings, packed: bytes | None = None, axes: Sequence[Axis] = ()) -> None:
        """
        Args:
            settings: thresholds and hold-off.
            packed: what one before left.
            axes: of the habits.

        Raises:
            PopulationError: it cannot be read, or was written by a newer program.
        """
        self._settings = settings
        self._raised_ms: int | None = None
        self._held: Alarm | None = None
        self.held_off = 0
        """How many times something was seen and not said at once."""
        distances: bytes | None = None
        habits: bytes | None = None
        if packed is not None:
            fields: list[Any] = unpack_versioned(packed, VERSION, "the drift alarm")
            self._raised_ms, self.held_off, held, distances, *rest = fields
            self._held = msgspec.convert(held, Alarm) if held is not None else None
            habits = rest[0] if rest else None  # version 1 had none
        self._distances = DistanceDrift(settings, distances)
        self._habits = Habits(
            axes,
            doubt=settings.habit_doubt,
            least=settings.habit_least,
            recent_ms=settings.habit_ms,
            packed=habits,
        )

    def packed(self) -> bytes:
        """Versioned bytes."""
        parts = self._distances.packed(), self._habits.packed()
        return pack([VERSION, self._raised_ms, self.held_off, self._held, *parts])

    def on_distances(self, distances: Mapping[str, float], at_ms: int) -> Alarm | None:
        """One batch's distances to the centroids, by customer (see `DistanceDrift`); the alarm to raise now, if any.

        Raises:
            PopulationError: a distance is NaN or negative.
        """
        seen = self._distances.on_batch(distances, at_ms)
        return self._said(Alarm(at_ms, "distances") if seen else None, at_ms)

    def on_moves(self, moves: Iterable[Move], at_ms: int, *, warm: bool) -> Alarm | None:
        """What customers of the sample have done since clusters learnt last (see `Habits`); the alarm to raise now.

        With an alarm the habits are learned anew. `warm`: otherwise they are only learned, and none is raised.
        """
        fallen = self._habits.on_batch(moves, at_ms)
        if not warm:
            return None
        if fallen:
            self._habits.start_anew()
        return self._said(Alarm(at_ms, "habits", habits=fallen) if fallen else None, at_ms)

    def on_other_axes(self) -> None:
        """Customers are compared by something else: the habits are learned anew."""
        self._habits.start_anew()

    def on_distributions(
        self, bins: Iterable[Bins], sketches: Mapping[str, QuantileSketch], at_ms: int
    ) -> Alarm | None:
        """The features' distributions now, beside those the model was made of; the alarm to raise now, if any.

        A feature has moved if its index is above `psi_threshold`, and above what chance makes of as many customers
        (`psi_by_chance`), the probability being shared by all features. One that nobody has now, has moved too; index
        and divergence are told as infinite.

        Args:
            bins: of the model in force.
            sketches: by feature; one that is missing is empty.
            at_ms: now.
        """
        known = list(bins)
        looked_at = {one.feature: self._moved(one, len(known), sketches, at_ms) for one in known}
        moved = {name: measures for name, measures in looked_at.items() if measures is not None}
        if not moved:
            return self._said(None, at_ms)
        index, divergence = ({name: measures[at] for name, measures in moved.items()} for at in (0, 1))
        return self._said(Alarm(at_ms, "features", index, kl=divergence), at_ms)

    def on_model(self) -> None:
        """There is a new model: what was held off is settled, and distances are learned anew."""
        self._held = None
        self._distances.start_anew()

    def _moved(
        self, one: Bins, features: int, sketches: Mapping[str, QuantileSketch], at_ms: int
    ) -> tuple[float, float] | None:
        """Its index and its divergence, if the index is too large."""
        sketch = sketches.get(one.feature)
        visits = visits_of(one.feature)
        counts = () if sketch is None else one.count(sketch, at_ms, sketches.get(visits) if visits else None)
        if not any(counts):
            return float("inf"), float("inf")
        index = psi(one.counts, counts)
        share = self._settings.false_alarms / features
        chance = psi_by_chance(len(one.counts), sum(one.counts), sum(counts), share)
        return (index, kl(one.counts, counts)) if index > max(self._settings.psi_threshold, chance) else None

    def _said(self, seen: Alarm | None, at_ms: int) -> Alarm | None:
        """What to say of what is seen now, and of what was held off."""
        if self._raised_ms is not None and at_ms - self._raised_ms < self._settings.hold_off_ms:
            if seen is not None:
                self._held = seen
                self.held_off += 1
            return None
        raised = seen or self._held
        if raised is not None:
            self._raised_ms, self._held = at_ms, None
        return raised
