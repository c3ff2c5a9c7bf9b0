"""The sketch against a sorted list, whatever the order of what is added, removed and merged."""

from fractions import Fraction
from math import ceil, inf, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import DAY_MS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.packing import pack, unpack
from state.population.refusal import PopulationError
from state.population.scales import AGE, DECAY, HOUR_MS, LARGEST, MAGNITUDE, MOMENT, SCALES, ZERO, scale_of
from state.population.sketch import QuantileSketch
from state.rules.features import FEATURES

T0_MS = 1_740_787_200_000
QS = (0.01, 0.05, 0.2, 0.25, 0.5, 0.75, 0.8, 0.9, 0.99, 0.999, 1)
values = st.one_of(st.integers(-600, 600), st.integers(-(10**13), 10**13), st.just(0), st.integers(0, 40_000))


def naive_quantile(known: list[int], q: float) -> int:
    """Of the sorted values that of rank ceil(q * n), counted from 1."""
    return sorted(known)[ceil(Fraction(str(q)) * len(known)) - 1]


def sketch_of(known: list[int]) -> QuantileSketch:
    sketch = QuantileSketch()
    for value in known:
        sketch.add(value)
    return sketch


def assert_quantiles(sketch: QuantileSketch, known: list[int]) -> None:
    """Exact up to 511 either way, beyond less than 1/256 above."""
    assert len(sketch) == len(known)
    for q in QS if known else ():
        true, found = naive_quantile(known, q), sketch.quantile(q)
        assert found == true if abs(true) < 512 else true <= found < true + abs(true) / 256


class TestMagnitudes:
    @given(st.integers(-LARGEST, LARGEST))
    def test_a_value_lies_in_its_bucket(self, value: int) -> None:
        """Up to the greatest of its bucket, less than a width below; that one lies there, the next does not."""
        bucket = MAGNITUDE.bucket(value, 0)
        greatest = MAGNITUDE.value(bucket, 0)
        assert value <= greatest
        assert greatest - value < max(1, MAGNITUDE.width(bucket, 0))
        assert MAGNITUDE.bucket(greatest, 0) == bucket
        assert greatest == LARGEST or MAGNITUDE.bucket(greatest + 1, 0) == bucket + 1

    @given(st.integers(-LARGEST, LARGEST))
    def test_the_error_is_below_one_in_256(self, value: int) -> None:
        greatest = MAGNITUDE.value(MAGNITUDE.bucket(value, 0), 0)
        assert (greatest - value) * 256 < abs(value) or greatest == value

    def test_small_values_are_exact(self) -> None:
        assert [MAGNITUDE.bucket(value, 0) for value in range(-511, 512)] == list(range(-511, 512))

    def test_the_stated_bounds(self) -> None:
        assert MAGNITUDE.bucket(LARGEST, 0) == 14_335
        assert MAGNITUDE.bucket(10**13, 0) == 9_251

    def test_what_is_too_large_counts_as_the_largest(self) -> None:
        assert MAGNITUDE.bucket(10**30, 0) == MAGNITUDE.bucket(LARGEST, 0) == -MAGNITUDE.bucket(-(10**30), 0)

    @pytest.mark.parametrize("value", [1.0, nan, inf, None, True, "5"])
    def test_what_is_no_integer_is_refused(self, value: object) -> None:
        for scale in (MAGNITUDE, AGE, MOMENT):
            with pytest.raises(PopulationError, match="no integer"):
                scale.bucket(value, 0)  # type: ignore[arg-type]


class TestPassingTime:
    @given(st.floats(1e-30, 1e9), st.integers(0, 4_000 * DAY_MS))
    def test_an_engagement_stays_in_its_bucket(self, value: float, later_ms: int) -> None:
        """What halves in each half-life is counted once: rounding aside, which may move it at an edge, by one."""
        before = DECAY.bucket(value, T0_MS)
        decayed = value * 2 ** (-later_ms / ENGAGEMENT_HALF_LIFE_MS)
        after = DECAY.bucket(decayed, T0_MS + later_ms)
        edge = DECAY.value(min(before, after), T0_MS)
        assert after == before or (abs(after - before) == 1 and abs(value / edge - 1) < 1e-8)

    @given(st.floats(1e-12, 1e12), st.integers(0, 4_000 * DAY_MS))
    def test_the_error_of_an_engagement(self, value: float, at_ms: int) -> None:
        """Its bucket's greatest value is less than 0.55 % above it (2^(1/128) = 1.0054), and in the same bucket."""
        bucket = DECAY.bucket(value, at_ms)
        greatest = DECAY.value(bucket, at_ms)
        assert value * (1 - 1e-8) <= greatest <= value * 1.0055
        assert greatest - value <= DECAY.width(bucket, at_ms) * (1 + 1e-6)
        assert DECAY.bucket(greatest, at_ms) == bucket

    def test_zero_does_not_decay_and_is_below_all(self) -> None:
        assert DECAY.bucket(0, T0_MS) == DECAY.bucket(0.0, 0) == ZERO < DECAY.bucket(5e-324, 0)
        assert DECAY.value(ZERO, T0_MS) == 0.0

    def test_an_engagement_of_long_ago_is_zero_but_keeps_its_place(self) -> None:
        """21 years later no float can tell it from nothing."""
        bucket = DECAY.bucket(1.0, T0_MS)
        assert DECAY.value(bucket, T0_MS + 1_100 * ENGAGEMENT_HALF_LIFE_MS) == 0.0
        assert DECAY.value(bucket, 0) == pytest.approx(2.0**1023)
        assert DECAY.value(bucket, T0_MS + 2 * ENGAGEMENT_HALF_LIFE_MS) == pytest.approx(0.25, rel=0.006)

    @pytest.mark.parametrize("value", [-1e-300, nan, inf, -inf, None, True, "5"])
    def test_what_is_no_score_is_refused(self, value: object) -> None:
        with pytest.raises(PopulationError, match="no finite number"):
            DECAY.bucket(value, T0_MS)  # type: ignore[arg-type]

    @given(st.integers(0, 10_000 * DAY_MS), st.integers(0, 10_000 * DAY_MS))
    def test_an_age_stays_in_its_bucket(self, age_ms: int, later_ms: int) -> None:
        bucket = AGE.bucket(age_ms, T0_MS)
        assert AGE.bucket(age_ms + later_ms, T0_MS + later_ms) == bucket
        assert 0 <= AGE.value(bucket, T0_MS + later_ms) - (age_ms + later_ms) < HOUR_MS
        assert AGE.bucket(AGE.value(bucket, T0_MS), T0_MS) == bucket

    @given(st.integers(0, 2 * T0_MS))
    def test_a_moment_is_rounded_up_to_the_hour(self, moment_ms: int) -> None:
        bucket = MOMENT.bucket(moment_ms, T0_MS)
        assert 0 <= MOMENT.value(bucket, 0) - moment_ms < HOUR_MS
        assert MOMENT.value(bucket, 0) % HOUR_MS == 0

    @pytest.mark.parametrize("scale", SCALES.values())
    def test_buckets_rise_with_values(self, scale) -> None:
        rng = Random(3)
        ascending = sorted(rng.randrange(10 ** rng.randrange(1, 13)) for _ in range(2_000))
        buckets = [scale.bucket(value, T0_MS) for value in ascending]
        assert buckets == sorted(buckets)
        assert len(set(buckets)) > 100

    def test_every_numeric_feature_has_a_scale(self) -> None:
        """By what passing time does to it."""
        assert scale_of("engagement") is DECAY
        assert {name for name in FEATURES if FEATURES[name].numeric and scale_of(name) is AGE} == {
            "recency_ms",
            "since_last_seen_ms",
            "since_first_seen_ms",
        }
        assert scale_of("last_seen_ms") is MOMENT
        assert (
            scale_of("revenue_total_cents") is scale_of("orders_30d") is scale_of("purchase_interval_ms") is MAGNITUDE
        )
        for name in ("device", "cart_open", "top_categories", "no_such_feature"):
            with pytest.raises(PopulationError, match="no feature that is a number"):
                scale_of(name)


def heavy(rng: Random) -> int:
    return int(rng.paretovariate(0.7) * 100)


SHAPES = {
    "constant": lambda rng: 4_711,
    "bimodal": lambda rng: rng.choice((rng.randrange(100), 10**6 + rng.randrange(1_000))),
    "heavy tails": heavy,
    "many zeros": lambda rng: 0 if rng.random() < 0.9 else heavy(rng),
    "refunds": lambda rng: heavy(rng) - heavy(rng),
    "uniform": lambda rng: rng.randrange(10**13),
}
ORDERS = {
    "as it comes": lambda known, rng: known,
    "sorted": lambda known, rng: sorted(known),
    "reversed": lambda known, rng: sorted(known, reverse=True),
    "from both ends": lambda known, rng: [
        x for pair in zip(sorted(known), sorted(known)[::-1], strict=True) for x in pair
    ],
}


class TestQuantiles:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("order", ORDERS)
    def test_adversarial_streams(self, shape: str, order: str) -> None:
        """At every size, and in any order, the error is what is stated."""
        rng = Random(11)
        known = ORDERS[order]([SHAPES[shape](rng) for _ in range(1_500)], rng)
        sketch = QuantileSketch()
        for number, value in enumerate(known, 1):
            sketch.add(value)
            if number in (1, 2, 3, 10, 99, 100, 101, 1_000):
                assert_quantiles(sketch, known[:number])
        assert_quantiles(sketch, known)

    @given(st.lists(values, max_size=60), st.lists(values, min_size=1, max_size=10))
    def test_ranks(self, known: list[int], asked: list[int]) -> None:
        """The share up to a value: exact at a bucket's greatest value, else with what its bucket holds above it."""
        sketch = sketch_of(known)
        for value in asked:
            found, greatest = sketch.rank(value), MAGNITUDE.value(MAGNITUDE.bucket(value, 0), 0)
            assert found == (sum(other <= greatest for other in known) / len(known) if known else None)

    def test_nobody_is_known(self) -> None:
        sketch = QuantileSketch()
        assert sketch.quantile(0.5) is None
        assert sketch.rank(5) is None
        assert len(sketch) == 0

    def test_a_rank_is_read_as_it_is_written(self) -> None:
        """0.07 * 100 is 7.000000000000001 in floats: rank 7 is meant."""
        assert sketch_of(list(range(1, 101))).quantile(0.07) == 7

    @pytest.mark.parametrize("q", [0, -0.1, 1.01, 80])
    def test_ranks_out_of_range(self, q: float) -> None:
        with pytest.raises(PopulationError, match="must be above 0 and at most 1"):
            sketch_of([1, 2, 3]).quantile(q)

    @given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=50), st.integers(0, 900 * DAY_MS))
    def test_engagement_needs_no_update_as_time_passes(self, scores: list[float], later_ms: int) -> None:
        """The quantiles as of later are those of the decayed scores."""
        sketch = QuantileSketch(DECAY)
        for score in scores:
            sketch.add(score, at_ms=T0_MS)
        decayed = sorted(score * 2 ** (-later_ms / ENGAGEMENT_HALF_LIFE_MS) for score in scores)
        for q in QS:
            true = decayed[ceil(Fraction(str(q)) * len(scores)) - 1]
            assert true * (1 - 1e-8) <= sketch.quantile(q, at_ms=T0_MS + later_ms) <= true * 1.0055

    def test_who_was_never_engaged_stays_below(self) -> None:
        sketch = QuantileSketch(DECAY)
        for score in (0.0, 0.0, 3.0, 8.0):
            sketch.add(score, at_ms=T0_MS)
        assert [sketch.quantile(q, at_ms=T0_MS + 10**12) for q in (0.25, 0.5)] == [0.0, 0.0]
        assert sketch.rank(0, at_ms=T0_MS + 10**12) == 0.5
        assert sketch.quantile(0.75, at_ms=T0_MS + ENGAGEMENT_HALF_LIFE_MS) == pytest.approx(1.5, rel=0.0055)

    @given(st.lists(st.integers(0, 500 * DAY_MS), min_size=1, max_size=50), st.integers(0, 900 * DAY_MS))
    def test_ages_need_no_update_as_time_passes(self, ages: list[int], later_ms: int) -> None:
        sketch = QuantileSketch(AGE)
        for age_ms in ages:
            sketch.add(age_ms, at_ms=T0_MS)
        for q in QS:
            assert 0 <= sketch.quantile(q, at_ms=T0_MS + later_ms) - (naive_quantile(ages, q) + later_ms) < HOUR_MS


class TestUndo:
    @given(st.lists(values, max_size=40), values, st.integers(1, 5))
    def test_what_is_added_and_removed_leaves_no_trace(self, known: list[int], value: int, count: int) -> None:
        sketch = sketch_of(known)
        before = sketch.packed()
        sketch.add(value, count)
        assert sketch.packed() != before
        sketch.remove(value, count)
        assert sketch.packed() == before

    @given(st.lists(values, max_size=80), st.data())
    def test_after_removals(self, known: list[int], data: st.DataObject) -> None:
        """Refunds and erasures: the sketch is that of who is left, byte for byte."""
        sketch = sketch_of(known)
        shuffled = data.draw(st.permutations(known))
        gone, left = shuffled[: len(known) // 2], shuffled[len(known) // 2 :]
        for value in gone:
            sketch.remove(value)
        assert sketch.packed() == sketch_of(left).packed()
        assert_quantiles(sketch, left)

    @given(st.lists(values, max_size=20), values)
    def test_what_was_not_added_cannot_be_removed(self, known: list[int], value: int) -> None:
        """Nothing is changed by the attempt."""
        sketch = sketch_of(known)
        before = sketch.packed()
        count = sketch.count(MAGNITUDE.bucket(value, 0)) + 1
        with pytest.raises(PopulationError, match="to be taken out"):
            sketch.remove(value, count)
        assert sketch.packed() == before

    @pytest.mark.parametrize("count", [0, -1])
    def test_counts_are_positive(self, count: int) -> None:
        for step in (QuantileSketch().add, QuantileSketch().remove):
            with pytest.raises(PopulationError, match="at least 1"):
                step(5, count)

    @given(st.lists(st.lists(values, max_size=30), min_size=1, max_size=5), st.randoms(use_true_random=False))
    def test_merges_are_one_sketch_of_all(self, parts: list[list[int]], rng: Random) -> None:
        """In any order and grouping, byte for byte."""
        sketches = [sketch_of(part) for part in parts]
        while len(sketches) > 1:
            rng.shuffle(sketches)
            sketches[0].merge(sketches.pop())
        assert sketches[0].packed() == sketch_of([value for part in parts for value in part]).packed()

    def test_a_sketch_merged_with_itself_counts_twice(self) -> None:
        sketch = sketch_of([1, 2, 2])
        sketch.merge(sketch)
        assert sketch.packed() == sketch_of([1, 1, 2, 2, 2, 2]).packed()

    def test_scales_do_not_mix(self) -> None:
        with pytest.raises(PopulationError, match="different scales"):
            QuantileSketch(DECAY).merge(QuantileSketch())


class TestPacking:
    @pytest.mark.parametrize("scale", SCALES.values())
    def test_a_restored_sketch_goes_on(self, scale) -> None:
        rng = Random(5)
        one = QuantileSketch(scale)
        for _ in range(500):
            one.add(rng.randrange(10**9), at_ms=T0_MS)
        one.add(0, 7, at_ms=T0_MS)
        two = QuantileSketch.unpacked(one.packed())
        for sketch in (one, two):
            sketch.add(123_456, at_ms=T0_MS)
            sketch.remove(0, at_ms=T0_MS)
        assert two.packed() == one.packed()
        assert (len(two), two.quantile(0.9, at_ms=T0_MS)) == (len(one), one.quantile(0.9, at_ms=T0_MS))

    def test_the_size(self) -> None:
        """At most 4 bytes a bucket where no bucket holds more than 127 values, and 8 for the frame."""
        rng = Random(8)
        sketch = sketch_of([heavy(rng) for _ in range(2_000)])
        assert len(sketch.packed()) <= 8 + 4 * sum(sketch.count(bucket) > 0 for bucket in range(14_336))

    @pytest.mark.parametrize(
        "packed",
        [
            b"",
            b"\xc1",
            pack(5),
            pack([]),
            pack(["1", 0, [], []]),
            pack([1, 0, [1]]),
            pack([1, 99, [1], [1]]),
            pack([1, 0, [1, 2], [1]]),
            pack([1, 0, [1], [0]]),
            pack([1, 0, [1, 0], [1, 1]]),
            pack([1, 0, ["a"], ["b"]]),
        ],
    )
    def test_what_is_no_sketch_is_refused(self, packed: bytes) -> None:
        with pytest.raises(PopulationError, match="cannot be read"):
            QuantileSketch.unpacked(packed)

    def test_a_newer_one_is_refused(self) -> None:
        version, *fields = unpack(sketch_of([1]).packed())
        with pytest.raises(PopulationError, match="version 2 found, this program reads versions 1 to 1"):
            QuantileSketch.unpacked(pack([version + 1, *fields]))
