"""The population as a whole: from messages of customers to views and events."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from cluster_worlds import AXES, CENTRES, SETTINGS, kind_of, values
from habit_shop import Shop
from msgspec.structs import replace

from schemas.settings import DAY_MS, HOUR_MS
from state.packing import pack
from state.population.axes import Axis, read_point
from state.population.cluster_settings import ClusterSettings
from state.population.contributions import contribute
from state.population.drift import DriftSettings
from state.population.gather import Gathered, gathered
from state.population.labels import BUYS, LAPSES, Example
from state.population.population import Interval, PopulationLogic
from state.population.publishing import PublishSettings
from state.population.questions import questions
from state.population.refusal import PopulationError
from state.population.score_history import APART_MS, VERSIONS_MAX, ScoreHistory
from state.population.score_inputs import score_inputs, vectors
from state.population.score_settings import ScoreSettings
from state.population.score_version import ScoreVersion
from state.population.scores import ScoreModel
from state.population.settings import PopulationSettings
from state.population.snapshots import Message
from state.population.telling import event_record
from state.rules.tree import Asked

START_MS = 1_750_000_000_000
USED = PopulationSettings(
    clusters=SETTINGS,
    learn_every_ms=HOUR_MS,
    moved_by=0.25,  # in scales: what sixty customers of a cluster move by chance is less
    scores=ScoreSettings(examples_min=60, each_min=5),
    percentiles=PublishSettings(tolerance=0.2, rank_tolerance=0.1),  # all are others in each interval, and they are few
)
ASKED = (Asked("percentile", ("views_30d", 80)), Asked("quartile", ("orders_30d",)))
QUESTIONS = questions(ASKED)
COUNTED = ("orders_30d", "sessions_30d", "views_30d")
CUSTOMERS = 240


class World:
    """Customers of known kinds who all speak once in each interval."""

    def __init__(self, seed: int = 1, told_after_ms: int = 7 * DAY_MS) -> None:
        self.random, self.told_after_ms = Random(seed), told_after_ms
        self.contributions: dict[str, bytes | None] = {}
        self.now: dict[str, dict[str, Any]] = {}

    def interval(
        self,
        number: int,
        centres: tuple[tuple[int, ...], ...] = CENTRES,
        gone: frozenset[str] = frozenset(),
        used: ClusterSettings = SETTINGS,
    ) -> Gathered:
        messages = []
        for at in range(CUSTOMERS):
            name = f"c{at}"
            as_of_ms = START_MS + number * HOUR_MS + self.random.randrange(HOUR_MS)
            if name in gone:
                features = None
                self.now.pop(name, None)
            else:
                features = self.now[name] = values(centres[kind_of(at, len(centres))], self.random)
            old = self.contributions.get(name)
            deltas, self.contributions[name] = contribute(old, features, as_of_ms, COUNTED)
            point = None if features is None else read_point(used.scaling.axes, features)
            if features is not None or old is not None:
                examples = () if features is None else self.examples(name, as_of_ms, features)
                messages.append(Message(name, as_of_ms, deltas.packed(), features is None, point, examples, 0))
        return gathered(used, messages)

    def examples(self, name: str, as_of_ms: int, features: dict[str, Any]) -> tuple[bytes, ...]:
        """Of a while ago, as if nothing had changed since: who views much, buys."""
        inputs = vectors.packed(score_inputs(features))
        bought = features["views_30d"] > 50
        return (Example(as_of_ms - self.told_after_ms, name, BUYS, bought, inputs, None).packed(),)


def lived(
    logic: PopulationLogic, world: World, numbers: range, centres: tuple[tuple[int, ...], ...] = CENTRES
) -> Iterator[Interval]:
    for number in numbers:
        yield logic.on_interval(world.interval(number, centres), START_MS + (number + 1) * HOUR_MS)


def new_logic(packed: bytes | None = None, used: PopulationSettings = USED) -> PopulationLogic:
    return PopulationLogic(used, QUESTIONS, packed)


def shopped(logic: PopulationLogic, shop: Shop, days: range) -> Iterator[Interval]:
    """Each day is an interval, in which everybody comes once."""
    for day in days:
        at_ms = START_MS + day * DAY_MS
        messages = [
            Message(f"c{number}", at_ms, b"", False, move.now, (), 0) for number, move in shop.numbered_day(30).items()
        ]
        yield logic.on_interval(gathered(PopulationSettings().clusters, messages), at_ms + 1)


class TestViews:
    """What all customers are shown, and how often."""

    def test_the_first_one_has_it_all(self) -> None:
        """Thresholds as a sorted list has them, to their precision; a cluster for each kind; scores soon."""
        logic, world = new_logic(), World()
        (interval,) = lived(logic, world, range(1))
        view = interval.view
        assert view is not None
        views = sorted(one["views_30d"] for one in world.now.values())
        exact = views[-(-80 * CUSTOMERS // 100) - 1]
        threshold = view.percentiles["views_30d", False].percentile(80)
        assert exact <= threshold <= exact * (1 + 1 / 256)
        assert view.clusters is not None
        assert len(view.clusters.clusters) == len(CENTRES)
        assert view.scores is not None
        assert [one.kind for one in interval.events] == ["born"] * len(CENTRES) + ["view"]

    def test_seldom_when_nothing_changes(self) -> None:
        """In four days of hours at most two a day, and nobody is born or dies."""
        logic, world = new_logic(), World()
        found = list(lived(logic, world, range(96)))
        assert all(interval.events == [] or interval.view is not None for interval in found[1:])
        kinds = [one.kind for interval in found[1:] for one in interval.events]
        assert set(kinds) <= {"view"}
        assert 3 <= len(kinds) <= 8
        numbers = [interval.view.number for interval in found if interval.view is not None]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_who_is_gone_is_counted_no_more(self) -> None:
        """Neither in thresholds nor in the sample of the clusters."""
        logic, world = new_logic(), World()
        list(lived(logic, world, range(2)))
        gone = frozenset(f"c{at}" for at in range(CUSTOMERS) if kind_of(at) == 1)
        logic.on_interval(world.interval(2, gone=gone), START_MS + 3 * HOUR_MS)
        day = logic.on_interval(gathered(SETTINGS, []), START_MS + 3 * HOUR_MS + 2 * DAY_MS)
        assert day.view is not None
        assert day.view.percentiles["views_30d", False].count == CUSTOMERS - len(gone)
        assert day.view.clusters is not None
        assert sum(one.size for one in day.view.clusters.clusters) == CUSTOMERS - len(gone)


class TestDrift:
    """Others than before."""

    def test_nothing_is_said_at_first(self) -> None:
        """While the population is young it changes all the time; what it is then is no measure of what comes."""
        young = replace(USED, drift=DriftSettings(warm_up_ms=2 * DAY_MS))
        others = (CENTRES[0], CENTRES[1], (3, 200, 2), (900, 300, 3), (900, 2, 400))
        logic, world = new_logic(used=young), World()
        intervals = [*lived(logic, world, range(24)), *lived(logic, world, range(24, 47), others)]
        assert not [one for interval in intervals for one in interval.events if one.kind == "drift"]
        intervals = [*lived(logic, world, range(47, 95), others), *lived(logic, world, range(95, 143))]
        assert [one for interval in intervals for one in interval.events if one.kind == "drift"]

    def test_found_and_learned(self) -> None:
        """Two kinds change: an alarm within two days, none before, and it is what finds the new clusters."""
        patient = replace(
            USED, clusters=replace(SETTINGS, recheck_every=1_000_000), drift=DriftSettings(warm_up_ms=DAY_MS)
        )
        logic, world = new_logic(used=patient), World()
        before = list(lived(logic, world, range(48)))
        assert not [one for interval in before for one in interval.events if one.kind == "drift"]
        others = (CENTRES[0], CENTRES[1], (3, 200, 2), (900, 300, 3), (900, 2, 400))
        after = list(lived(logic, world, range(48, 96), others))
        assert [one for interval in after for one in interval.events if one.kind == "drift"]
        model = [interval.view.clusters for interval in after if interval.view is not None][-1]
        assert model is not None
        found = {model.assign(values(centre, Random(at))).cluster_id for at, centre in enumerate(others)}
        assert len(found) == len(others) == len(model.clusters)


class TestHabits:
    """Customers who do not go on as they did."""

    def test_a_change_of_ways_is_said(self) -> None:
        """Within five days, none before; by the axis, with the correlations before and now."""
        logic, shop = PopulationLogic(PopulationSettings(), {}), Shop(1)
        before = [one for interval in shopped(logic, shop, range(45)) for one in interval.events]
        assert not [one for one in before if one.kind == "drift"]
        shop.turn_round()
        after = [one for interval in shopped(logic, shop, range(45, 50)) for one in interval.events]
        (drift,) = [one for one in after if one.kind == "drift"]
        assert drift.habits is not None
        was, now = drift.habits["carts per view"]
        assert was > now
        assert drift.features is None
        record = json.loads(event_record(drift, None))
        assert record == {"at_ms": drift.at_ms, "kind": "drift", "habits": {"carts per view": [was, now]}}

    def test_nothing_is_said_at_first(self) -> None:
        logic, shop = PopulationLogic(PopulationSettings(drift=DriftSettings(warm_up_ms=60 * DAY_MS)), {}), Shop(1)
        list(shopped(logic, shop, range(45)))
        shop.turn_round()
        after = [one for interval in shopped(logic, shop, range(45, 55)) for one in interval.events]
        assert not [one for one in after if one.kind == "drift"]


class TestScores:
    """Judged by what was said before the outcome was known."""

    def test_quality_is_of_versions_in_force(self) -> None:
        """None while all examples are of before the first version; then what is easy to foretell is foretold."""
        for told_after_ms, judged in ((7 * DAY_MS, False), (2 * HOUR_MS, True)):
            logic, world = new_logic(), World(told_after_ms=told_after_ms)
            views = [one.view for one in lived(logic, world, range(60)) if one.view is not None]
            scores = views[-1].scores
            assert scores is not None
            buys, lapses = scores.scores
            assert lapses is None
            assert buys is not None
            assert (buys.quality is not None) == judged
            if buys.quality is not None:
                assert buys.quality.auc > 0.95

    def test_views_that_follow_one_another_fast(self) -> None:
        """A view with each hour of thirteen days: what was said twelve days ago is known all the same."""
        eager = PublishSettings(tolerance=0.0, rank_tolerance=0.0, interval_ms=1, least_count=5)
        logic = new_logic(used=replace(USED, percentiles=eager, scores=ScoreSettings(examples_min=20, each_min=5)))
        random, contributions, views = Random(1), dict[str, bytes | None](), []
        for hour in range(13 * 24):
            at_ms, messages = START_MS + hour * HOUR_MS, []
            for number in range(6):
                name, told_ms = f"c{number}", at_ms - 12 * DAY_MS
                counts = {"views_30d": random.randint(0, 40), "orders_30d": random.randint(0, 3)}
                deltas, contributions[name] = contribute(contributions.get(name), counts, at_ms, COUNTED)
                inputs = vectors.packed(score_inputs(counts))
                example = Example(told_ms, name, BUYS, counts["views_30d"] > 20, inputs, None).packed()
                messages.append(Message(name, at_ms, deltas.packed(), False, None, (example,), 0))
            view = logic.on_interval(gathered(SETTINGS, messages), at_ms + HOUR_MS).view
            views += [] if view is None else [view]
        assert len(views) > VERSIONS_MAX
        scores = [view.scores for view in views if view.scores is not None]
        buys = scores[-1].scores[BUYS]
        assert buys is not None
        assert buys.quality is not None
        assert buys.quality.examples > 50
        assert len({one.number for one in scores}) == len(scores)


class TestState:
    """What is remembered."""

    def test_a_restart_changes_nothing(self) -> None:
        """Read again after each interval it goes on to the same bytes and says the same."""
        steady, restarted, worlds = new_logic(), new_logic(), (World(), World())
        for number in range(30):
            (mine,), (theirs,) = (
                list(lived(logic, world, range(number, number + 1)))
                for logic, world in zip((steady, restarted), worlds, strict=True)
            )
            assert mine.events == theirs.events
            assert (mine.view and mine.view.packed()) == (theirs.view and theirs.view.packed())
            assert restarted.packed() == steady.packed()
            restarted = new_logic(restarted.packed())
            assert restarted.packed() == steady.packed()

    @pytest.mark.parametrize("axes", [AXES[:2], (*AXES[:2], replace(AXES[2], unit=10.0))])
    def test_other_axes(self, axes: tuple[Axis, ...]) -> None:
        """A job goes on with them: what was read on those of before is let go of, and no id comes twice."""
        seldom = replace(USED, learn_every_ms=DAY_MS)
        logic, world = new_logic(used=seldom), World()
        first = next(lived(logic, world, range(1))).view
        list(lived(logic, world, range(1, 3)))
        clusters = replace(SETTINGS, scaling=replace(SETTINGS.scaling, axes=axes))
        again = new_logic(logic.packed(), replace(seldom, clusters=clusters))
        assert again._drift._habits._batches == []
        told = world.interval(3, used=clusters)
        view, events = again.on_interval(told, START_MS + 4 * HOUR_MS)
        assert first is not None
        assert first.clusters is not None
        assert view is not None
        assert view.clusters is not None
        assert view.clusters.scaling.axes == axes
        assert min(view.clusters.ids) > max(first.clusters.ids)
        assert sum(one.size for one in view.clusters.clusters) == CUSTOMERS
        raws = told.intake.sample.matrix()
        assert again._learner._sample.matrix().tolist() == raws.tolist()
        assert {one.kind for one in events} == {"born", "view"}
        assert view.percentiles["views_30d", False].count == CUSTOMERS

    def test_newer_bytes_are_refused(self) -> None:
        """With a word about it."""
        with pytest.raises(PopulationError, match="version 99"):
            new_logic(pack([99]))


class TestHistory:
    """What was said of an example is what the version in force at its time says."""

    def version(self, seed: int) -> ScoreVersion:
        random, model = Random(seed), ScoreModel(ScoreSettings(examples_min=20, each_min=5))
        inputs = [score_inputs({"views_30d": random.randint(0, 9), "orders_total": 1}) for _ in range(80)]
        learnt = [
            Example(at, f"c{at}", at % 2, random.random() < 0.4, vectors.packed(one), None)
            for at, one in enumerate(inputs)
        ]
        model.learn(learnt, seed)
        return model.publish()

    @pytest.mark.parametrize("seed", range(5))
    def test_versions_in_force(self, seed: int) -> None:
        """Nothing before the first one; the newest one at or before the time of the example after that."""
        random, history = Random(seed), ScoreHistory()
        versions = [(at * 10 * HOUR_MS, self.version(seed * 100 + at)) for at in range(12)]
        for from_ms, version in versions:
            history.add(version, from_ms)
            history = ScoreHistory(history.packed())
        inputs = score_inputs({"views_30d": 3, "orders_total": 1})
        for _ in range(50):
            at_ms = random.choice((-1, 0, *(from_ms + random.randint(-1, 1) for from_ms, _ in versions)))
            asked = Example(at_ms, "c", random.choice((BUYS, LAPSES)), True, vectors.packed(inputs), None)
            (told,) = history.recalled([asked])
            known = [version for from_ms, version in versions if from_ms <= at_ms]
            if not known:
                assert told.said is None
                continue
            score = known[-1].scores[asked.target]
            kept = vectors.unpacked(asked.inputs)
            assert told.said == (None if score is None else score.probability(kept))

    def test_bounded(self) -> None:
        """By number, and by the longest time that an example waits."""
        version = self.version(1)
        history = ScoreHistory()
        for at in range(2 * VERSIONS_MAX):
            history.add(version, at * APART_MS)
        many = len(history.packed())
        assert many > 200 * len(version.packed())
        history.add(version, 2 * VERSIONS_MAX * APART_MS)
        assert len(history.packed()) <= many + 16
        history.add(version, 100 * DAY_MS)
        history.add(version, 200 * DAY_MS)
        assert len(history.packed()) < many / 50

    def test_versions_that_follow_one_another_fast(self) -> None:
        """Not all are kept: what was said is told by the newest of those that are, never by one of later."""
        history = ScoreHistory()
        versions = [self.version(at) for at in range(8)]
        for at, version in enumerate(versions):
            history.add(version, at * HOUR_MS)
        inputs = score_inputs({"views_30d": 3, "orders_total": 1})
        asked = [Example(at * HOUR_MS, "c", BUYS, True, vectors.packed(inputs), None) for at in range(8)]
        for at, told in enumerate(history.recalled(asked)):
            score = versions[at // 3 * 3].scores[BUYS]
            assert score is not None
            assert told.said == score.probability(vectors.unpacked(told.inputs))
