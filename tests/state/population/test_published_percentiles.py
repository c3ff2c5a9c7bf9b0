"""Hysteresis of thresholds: what is published, how often, and who comes and goes because of it."""

from math import nan
from random import Random

import pytest

from schemas.settings import DAY_MS
from state.packing import pack, unpack
from state.population.percentiles import QUARTERS, Percentiles, percentiles_of
from state.population.publishing import Published, PublishSettings
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch

T0_MS = 1_740_787_200_000
NAME = "revenue_total_cents"
SETTINGS = PublishSettings(tolerance=0.02, rank_tolerance=0.01, interval_ms=30 * DAY_MS, least_count=1)
STRICT = PublishSettings(tolerance=0, rank_tolerance=0, least_count=1)


def sketch_of(values: list[int], feature: str = NAME) -> QuantileSketch:
    sketch = QuantileSketch(scale_of(feature))
    for value in values:
        sketch.add(value, at_ms=T0_MS)
    return sketch


def consider(published: Published, values: list[int], at_ms: int, points=(80,), positive=False) -> Percentiles | None:
    sketch = sketch_of(values)
    return published.consider(percentiles_of(NAME, sketch, points, positive=positive), sketch, at_ms)


class TestTolerance:
    def test_the_first_one_is_published(self) -> None:
        published = Published(SETTINGS)
        assert published.in_force(NAME) is None
        first = consider(published, [1, 2, 3, 4, 5], T0_MS)
        assert first is not None
        assert first.percentile(80) == 4
        assert published.in_force(NAME) == first

    def test_a_small_step_of_value_is_not_published(self) -> None:
        """Everybody has 2 % more: it stays; 1 cent more than that: it moves."""
        published = Published(SETTINGS)
        consider(published, [500] * 10, T0_MS)
        assert consider(published, [510] * 10, T0_MS + 1) is None
        assert consider(published, [511] * 10, T0_MS + 2).percentile(80) == 511

    def test_a_step_is_measured_from_what_was_published(self) -> None:
        """Not from what was computed last: a slow rise is seen."""
        published = Published(SETTINGS)
        said = [consider(published, [value] * 10, T0_MS) for value in range(400, 440)]
        assert [one.percentile(80) for one in said if one] == [400, 409, 418, 427, 436]

    def test_never_less_than_the_width_of_a_bucket(self) -> None:
        """Without any tolerance a step into the next bucket may still be none."""
        published = Published(STRICT)
        consider(published, [100_000] * 10, T0_MS)
        assert consider(published, [100_300] * 10, T0_MS) is None

    def test_a_leap_over_a_gap_in_which_nobody_is(self) -> None:
        """The median falls on either side of a gap: as long as half of the customers are below it, it is a median."""
        published = Published(SETTINGS)
        assert consider(published, [0] * 500 + [5_000] * 499, T0_MS, (50,)).percentile(50) == 0
        assert consider(published, [0] * 499 + [5_000] * 500, T0_MS + 1, (50,)) is None
        assert consider(published, [0] * 491 + [5_000] * 509, T0_MS + 2, (50,)) is None  # 49.1 % are below
        assert consider(published, [0] * 489 + [5_000] * 511, T0_MS + 3, (50,)).percentile(50) >= 5_000

    def test_each_threshold_is_judged_by_itself(self) -> None:
        published = Published(SETTINGS)
        consider(published, [*range(1, 76), *range(300, 325)], T0_MS, QUARTERS)
        moved = consider(published, [*range(1, 51), *range(151, 176), *range(300, 325)], T0_MS + 1, QUARTERS)
        assert [moved.percentile(point) for point in QUARTERS] == [25, 50, 175]

    def test_thresholds_keep_their_order(self) -> None:
        """Where an old one would stand above a new one, all are taken anew."""
        published = Published(PublishSettings(tolerance=0.5, rank_tolerance=0, least_count=1))
        consider(published, [100] * 30 + [101] * 30 + [400] * 40, T0_MS, (50, 80))
        moved = consider(published, [90] * 30 + [100] * 30 + [95] * 40, T0_MS + 1, (50, 80))
        assert moved.buckets == tuple(sorted(moved.buckets))
        assert [moved.percentile(point) for point in (50, 80)] == [95, 100]

    def test_of_few_customers_nothing_is_published(self) -> None:
        published = Published(PublishSettings(least_count=20))
        assert consider(published, [5] * 19, T0_MS) is None
        assert consider(published, [0] * 30 + [5] * 19, T0_MS, positive=True) is None
        assert consider(published, [0] * 30 + [5] * 20, T0_MS, positive=True) is not None
        assert published.in_force(NAME) is None
        assert published.in_force(NAME, positive=True) is not None

    def test_nobody(self) -> None:
        assert Published(SETTINGS).consider(None, QuantileSketch(), T0_MS) is None

    def test_other_points_are_published_at_once(self) -> None:
        published = Published(SETTINGS)
        consider(published, [1, 2, 3, 4, 5], T0_MS, (80,))
        assert consider(published, [1, 2, 3, 4, 5], T0_MS, (40, 80)).points == (40, 80)

    def test_the_passing_of_time_is_no_movement(self) -> None:
        """Engagement halves for all; nothing has to be said for months."""
        published = Published(PublishSettings(tolerance=0, rank_tolerance=0, least_count=1))
        sketch = sketch_of([1, 5, 9, 30], "engagement")
        assert published.consider(percentiles_of("engagement", sketch), sketch, T0_MS) is not None
        for day in range(1, 200):
            assert published.consider(percentiles_of("engagement", sketch), sketch, T0_MS + day * DAY_MS) is None

    def test_percentiles_of_another_sketch(self) -> None:
        published = Published(SETTINGS)
        consider(published, [5] * 10, T0_MS, positive=True)
        with pytest.raises(PopulationError, match="not of this sketch"):
            published.consider(
                percentiles_of(NAME, sketch_of([9] * 10), (80,), positive=True), sketch_of([9] * 5), T0_MS
            )


class TestInterval:
    def test_whatever_differs_is_published_in_the_end(self) -> None:
        published = Published(SETTINGS)
        consider(published, [500] * 10, T0_MS)
        assert consider(published, [501] * 10, T0_MS + 30 * DAY_MS - 1) is None
        assert consider(published, [501] * 10, T0_MS + 30 * DAY_MS).percentile(80) == 501
        assert consider(published, [502] * 10, T0_MS + 60 * DAY_MS - 1) is None

    def test_a_threshold_that_moves_does_not_put_off_the_others(self) -> None:
        """The median moves each day; the 80th percentile is a little off, and renewed after the interval even so."""
        published = Published(SETTINGS)
        for day in range(30):
            known = [10 * (day % 2) + 100] * 60 + [500 + (day > 0)] * 40
            assert consider(published, known, T0_MS + day * DAY_MS, (50, 80)) is not None
            assert published.in_force(NAME).percentile(80) == 500
        consider(published, [100] * 60 + [501] * 40, T0_MS + 30 * DAY_MS, (50, 80))
        assert published.in_force(NAME).percentile(80) == 501


class TestStability:
    """1,000 customers; each day five of those near the threshold have other values: 0.5 % of the ranks."""

    DAYS = 120

    def days(self) -> list[list[int]]:
        rng = Random(2)
        base = [1_000 + 10 * number for number in range(1_000)]
        made = []
        for _ in range(self.DAYS):
            known = list(base)
            for number in range(797, 802):
                known[number] = rng.choice((7_000, 11_000))
            made.append(known)
        return made

    def run(self, settings: PublishSettings) -> tuple[int, int]:
        """How often was published, and how many times a customer whose value is what it was came or went."""
        published = Published(settings)
        publications = flips = 0
        before: list[bool] = []
        previous: list[int] = []
        for day, known in enumerate(self.days()):
            publications += consider(published, known, T0_MS + day * DAY_MS) is not None
            threshold = published.in_force(NAME).percentile(80)
            above = [value > threshold for value in known]
            still = [one == other for one, other in zip(known, previous, strict=False)]
            flips += sum(a != b for a, b, same in zip(above, before, still, strict=False) if same)
            before, previous = above, known
        return publications, flips

    def test_stable_data_is_published_once_in_an_interval(self) -> None:
        """A threshold is off by five ranks at most (0.5 % < 1 %), so only the interval asks for more."""
        publications, flips = self.run(SETTINGS)
        assert 1 <= publications <= 1 + self.DAYS // 30
        assert flips <= 5 * (publications - 1)

    def test_without_hysteresis_it_would_not_be(self) -> None:
        """Buckets of this size hold three customers, so the threshold moves on most days; each time somebody flips."""
        publications, flips = self.run(PublishSettings(tolerance=0, rank_tolerance=0, interval_ms=1, least_count=1))
        calm_publications, calm_flips = self.run(SETTINGS)
        assert publications > self.DAYS // 3
        assert flips > 10 * max(1, calm_flips)
        assert publications > 5 * calm_publications


class TestPacking:
    def test_a_restored_one_goes_on(self) -> None:
        rng = Random(9)
        kept = Published(SETTINGS)
        for day in range(90):
            known = [rng.randrange(1_000) for _ in range(300)]
            restored = Published(SETTINGS, kept.packed())
            for positive in (False, True):
                said = [consider(one, known, T0_MS + day * DAY_MS, QUARTERS, positive) for one in (kept, restored)]
                assert said[0] == said[1]
            assert restored.packed() == kept.packed()

    def test_a_newer_one_is_refused(self) -> None:
        version, *fields = unpack(Published(SETTINGS).packed())
        with pytest.raises(PopulationError, match="version 2 found"):
            Published(SETTINGS, pack([version + 1, *fields]))


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tolerance", -0.1),
            ("tolerance", 1),
            ("rank_tolerance", nan),
            ("interval_ms", 0),
            ("least_count", 0),
        ],
    )
    def test_out_of_range(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=name):
            PublishSettings(**{name: value})
