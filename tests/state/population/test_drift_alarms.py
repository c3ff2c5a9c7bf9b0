"""Alarms: when there is one, when there is none, and never two in a row."""

from collections.abc import Sequence
from math import inf, nan
from random import Random

import pytest

from schemas.settings import DAY_MS, HOUR_MS
from state.packing import pack, unpack
from state.population.divergence import Bins, kl
from state.population.drift import Alarm, DistanceDrift, DriftAlarm, DriftSettings, drawn, squashed
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch

T0_MS = 1_740_787_200_000
SETTINGS = DriftSettings(batch_max=200)


def batch(rng: Random, typical: float = 1.0, size: int = 200) -> dict[str, float]:
    return {f"c{number}": typical * rng.lognormvariate(0, 0.5) for number in range(size)}


def sketch_of(feature: str, values: Sequence[int]) -> QuantileSketch:
    sketch = QuantileSketch(scale_of(feature))
    for value in values:
        sketch.add(value, at_ms=T0_MS)
    return sketch


def bins_of(feature: str, values: Sequence[int]) -> Bins:
    found = Bins.of(feature, sketch_of(feature, values), T0_MS)
    assert found is not None
    return found


class TestDistances:
    @pytest.mark.parametrize("detector", ["adwin", "page-hinkley"])
    def test_farther_and_nearer_are_both_a_change(self, detector) -> None:
        for factor in (0.5, 2.0):
            rng = Random(4)
            watched = DistanceDrift(DriftSettings(detector=detector, batch_max=200, threshold=30.0))
            assert not any(watched.on_batch(batch(rng), T0_MS + n) for n in range(10))
            assert any(watched.on_batch(batch(rng, factor), T0_MS + n) for n in range(10, 15))

    def test_the_order_of_a_batch_does_not_matter(self) -> None:
        rng = Random(7)
        one, other = DistanceDrift(SETTINGS), DistanceDrift(SETTINGS)
        for number in range(5):
            made = batch(rng, size=300)
            shuffled = list(made.items())
            rng.shuffle(shuffled)
            one.on_batch(made, T0_MS + number)
            other.on_batch(dict(shuffled), T0_MS + number)
        assert one.packed() == other.packed()

    def test_ids_that_rise_with_the_distance_are_no_drift(self) -> None:
        """Old accounts near, new ones far, in each batch: the draw mixes them. In the order of ids it is an alarm."""
        by_id = {f"{number:05}": number / 500 for number in range(1_000)}
        watched = DistanceDrift(DriftSettings(batch_max=1_000))
        assert not any(watched.on_batch(by_id, T0_MS + n) for n in range(10))
        detector = DistanceDrift(SETTINGS)._detector
        assert any(detector.update(squashed(distance, 1.0)) for distance in by_id.values())

    def test_no_more_than_so_many_of_a_batch(self) -> None:
        """Another part each time, the same part for whoever draws at the same time."""
        customers = [f"c{number}" for number in range(1_000)]
        first, second = drawn(customers, T0_MS, 100), drawn(customers, T0_MS + 1, 100)
        assert len(set(first)) == len(first) == 100
        assert first == drawn(reversed(customers), T0_MS, 100)
        assert set(first) != set(second)
        assert sorted(drawn(customers, T0_MS, 5_000)) == sorted(customers)

    def test_every_customer_is_drawn_as_often(self) -> None:
        """A tenth of 100 customers, 2,000 times: 200 each, standard deviation 13.4; 120 and 280 are six of them."""
        customers = [f"c{number}" for number in range(100)]
        times = dict.fromkeys(customers, 0)
        for at_ms in range(2_000):
            for customer in drawn(customers, at_ms, 10):
                times[customer] += 1
        assert 120 <= min(times.values()) <= max(times.values()) <= 280

    def test_distances_are_brought_between_0_and_1(self) -> None:
        assert [squashed(distance, 2.0) for distance in (0.0, 2.0, 6.0, inf)] == [0.0, 0.5, 0.75, 1.0]

    def test_an_outlier_is_no_drift(self) -> None:
        rng = Random(5)
        watched = DistanceDrift(SETTINGS)
        for number in range(20):
            assert not watched.on_batch(batch(rng) | {"far": 1e300, "lost": inf}, T0_MS + number)

    @pytest.mark.parametrize("distance", [nan, -1.0])
    def test_what_is_no_distance_is_refused(self, distance: float) -> None:
        watched = DistanceDrift(SETTINGS)
        before = watched.packed()
        with pytest.raises(PopulationError, match="the distance of customer 'c7'"):
            watched.on_batch(batch(Random(1)) | {"c7": distance}, T0_MS)
        assert watched.packed() == before

    def test_a_state_of_the_other_detector_is_left(self) -> None:
        """Whoever changes the setting starts anew."""
        watched = DistanceDrift(SETTINGS)
        watched.on_batch(batch(Random(1)), T0_MS)
        other = DriftSettings(detector="page-hinkley")
        assert DistanceDrift(other, watched.packed()).packed() == DistanceDrift(other).packed()


class TestDistributions:
    OLD = tuple(Random(1).choices(range(500), k=1_000))

    def said(self, now: list[int], **settings) -> Alarm | None:
        alarm = DriftAlarm(DriftSettings(**settings))
        return alarm.on_distributions(
            [bins_of("orders_total", self.OLD)], {"orders_total": sketch_of("orders_total", now)}, T0_MS
        )

    def test_another_sample_of_the_same_is_no_drift(self) -> None:
        rng = Random(2)
        assert self.said([rng.randrange(500) for _ in range(1_000)]) is None

    def test_a_shift_is_one_and_says_how_far(self) -> None:
        alarm = self.said([value + 150 for value in self.OLD])
        assert alarm is not None
        assert (alarm.kind, list(alarm.features)) == ("features", ["orders_total"])
        assert alarm.features["orders_total"] > 0.2

    def test_it_says_both_measures(self) -> None:
        """The index, and the divergence of now from before, which is one half of it: they differ by direction."""
        now = [value + 150 for value in self.OLD]
        alarm = self.said(now)
        assert alarm is not None
        before = bins_of("orders_total", self.OLD)
        counts = before.count(sketch_of("orders_total", now), T0_MS)
        assert alarm.kl == {"orders_total": kl(before.counts, counts)}
        assert alarm.features["orders_total"] - alarm.kl["orders_total"] == pytest.approx(kl(counts, before.counts))
        assert alarm.kl["orders_total"] != pytest.approx(kl(counts, before.counts), rel=0.01)

    def test_few_customers_have_to_move_farther(self) -> None:
        """An index that is chance in a sample of 25 is none in one of 1,000."""
        rng = Random(3)
        few = [rng.randrange(500) for _ in range(25)]
        assert self.said(few, psi_threshold=0.01) is None
        assert self.said(few * 40, psi_threshold=0.01) is not None

    def test_a_feature_that_nobody_has_any_more(self) -> None:
        alarm = DriftAlarm(DriftSettings()).on_distributions([bins_of("orders_total", self.OLD)], {}, T0_MS)
        assert alarm == Alarm(T0_MS, "features", {"orders_total": inf}, kl={"orders_total": inf})

    def test_only_those_that_moved_are_named(self) -> None:
        names = ("orders_total", "views_30d")
        now = {"orders_total": sketch_of("orders_total", self.OLD), "views_30d": sketch_of("views_30d", [900] * 500)}
        alarm = DriftAlarm(DriftSettings()).on_distributions([bins_of(name, self.OLD) for name in names], now, T0_MS)
        assert alarm is not None
        assert list(alarm.features) == ["views_30d"]

    def test_fewer_of_those_who_come_buy(self) -> None:
        """Those who do, buy as they did; and as many as before stay away, who do not matter."""
        visits = sketch_of("sessions_7d", [0] * 5_000 + [2] * 1_000)
        then = sketch_of("orders_7d", [0] * 5_400 + [1] * 400 + [2] * 200)
        now = sketch_of("orders_7d", [0] * 5_850 + [1] * 100 + [2] * 50)
        bins = Bins.of("orders_7d", then, T0_MS, positive=True, visits=visits)
        assert bins is not None
        for there, expected in ((now, ["orders_7d"]), (then, None)):
            told = {"orders_7d": there, "sessions_7d": visits}
            alarm = DriftAlarm(DriftSettings()).on_distributions([bins], told, T0_MS)
            assert (alarm and list(alarm.features)) == expected

    def test_visits_are_watched_too(self) -> None:
        """Of the windows that are looked at, each once."""
        settings = DriftSettings(features=("orders_7d", "views_7d", "sessions_30d", "revenue_30d_cents"))
        assert settings.watched == (*settings.features, "sessions_7d")

    def test_no_features_no_alarm(self) -> None:
        assert DriftAlarm(DriftSettings()).on_distributions([], {}, T0_MS) is None


class TestHoldOff:
    """A feature that has gone is an alarm at every look."""

    BINS = (bins_of("orders_total", [1, 2, 3]),)
    THERE = {"orders_total": sketch_of("orders_total", [1, 2, 3])}  # noqa: RUF012

    def look(self, alarm: DriftAlarm, at_ms: int, gone: bool = True) -> int | None:
        said = alarm.on_distributions(self.BINS, {} if gone else self.THERE, at_ms)
        return said.at_ms - T0_MS if said else None

    def test_one_in_each_interval(self) -> None:
        alarm = DriftAlarm(DriftSettings(hold_off_ms=DAY_MS))
        said = [self.look(alarm, T0_MS + hour * HOUR_MS) for hour in range(60)]
        assert [one for one in said if one is not None] == [0, DAY_MS, 2 * DAY_MS]
        assert alarm.held_off == 57

    def test_what_is_held_off_is_raised_at_the_end(self) -> None:
        """As it was when it was seen."""
        alarm = DriftAlarm(DriftSettings(hold_off_ms=DAY_MS))
        assert self.look(alarm, T0_MS) == 0
        assert self.look(alarm, T0_MS + HOUR_MS) is None
        assert self.look(alarm, T0_MS + DAY_MS - 1, gone=False) is None
        assert self.look(alarm, T0_MS + DAY_MS, gone=False) == HOUR_MS
        assert self.look(alarm, T0_MS + 3 * DAY_MS, gone=False) is None

    def test_a_new_model_settles_it(self) -> None:
        alarm = DriftAlarm(DriftSettings(hold_off_ms=DAY_MS))
        self.look(alarm, T0_MS)
        self.look(alarm, T0_MS + HOUR_MS)
        alarm.on_model()
        assert self.look(alarm, T0_MS + DAY_MS, gone=False) is None

    def test_both_kinds_are_held_off(self) -> None:
        rng = Random(4)
        alarm = DriftAlarm(DriftSettings(batch_max=200, hold_off_ms=DAY_MS))
        for number in range(10):
            assert alarm.on_distances(batch(rng), T0_MS + number) is None
        assert self.look(alarm, T0_MS + 10) is not None
        assert [alarm.on_distances(batch(rng, 3.0), T0_MS + number) for number in range(11, 20)] == [None] * 9
        held = alarm.on_distances({}, T0_MS + 10 + DAY_MS)
        assert held is not None
        assert held.kind == "distances"
        assert T0_MS + 11 <= held.at_ms < T0_MS + 20

    def test_a_new_model_has_distances_of_its_own(self) -> None:
        """A step that comes with the model is none."""
        for told, alarms in ((False, 1), (True, 0)):
            rng = Random(4)
            alarm = DriftAlarm(DriftSettings(batch_max=200))
            for number in range(10):
                alarm.on_distances(batch(rng), T0_MS + number)
            if told:
                alarm.on_model()
            said = [alarm.on_distances(batch(rng, 3.0), T0_MS + number) for number in range(10, 20)]
            assert sum(one is not None for one in said) == alarms

    def test_a_restored_one_goes_on(self) -> None:
        rng = Random(6)
        kept = DriftAlarm(DriftSettings(batch_max=50, hold_off_ms=15, delta=0.05))
        for number in range(60):
            restored = DriftAlarm(DriftSettings(batch_max=50, hold_off_ms=15, delta=0.05), kept.packed())
            made = batch(rng, 1.0 + number // 10 % 2 * 2, size=60)
            assert restored.on_distances(made, T0_MS + number) == kept.on_distances(made, T0_MS + number)
            assert restored.packed() == kept.packed()
        assert kept.held_off > 0

    def test_a_newer_state_is_refused(self) -> None:
        version, *fields = unpack(DriftAlarm(SETTINGS).packed())
        with pytest.raises(PopulationError, match="version 3 found"):
            DriftAlarm(SETTINGS, pack([version + 1, *fields]))


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("delta", 0),
            ("delta", 1),
            ("false_alarms", 0),
            ("threshold", 0),
            ("typical_distance", -1),
            ("typical_distance", nan),
            ("batch_max", 0),
            ("psi_threshold", 0),
            ("hold_off_ms", -1),
        ],
    )
    def test_out_of_range(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=name):
            DriftSettings(**{name: value})
