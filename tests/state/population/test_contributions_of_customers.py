"""What customers add to the counts, against counts of everybody from scratch."""

from collections.abc import Sequence
from math import nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.shop_days import Snapshots, daily
from jobs.simulation import SimulationSettings
from schemas.settings import DAY_MS
from state.packing import pack, unpack
from state.population.contributions import Deltas, FeatureSketches, contribute
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch

T0_MS = 1_740_787_200_000
NAMES = ("recency_ms", "orders_total", "revenue_total_cents", "engagement", "last_seen_ms")
snapshot = st.fixed_dictionaries(
    {},
    optional={
        "orders_total": st.integers(0, 9),
        "revenue_total_cents": st.integers(-500, 10**7),
        "engagement": st.floats(0, 100),
        "recency_ms": st.one_of(st.none(), st.integers(0, 100 * DAY_MS)),
        "device": st.just("mobile"),
    },
)
steps = st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), snapshot)), max_size=30)


def from_scratch(customers: Snapshots, at_ms: int, names: Sequence[str] = NAMES) -> FeatureSketches:
    """The counts of some snapshots, each customer once."""
    counts = FeatureSketches()
    for values in customers.values():
        counts.apply(contribute(None, values, at_ms, names)[0])
    return counts


class Shop:
    """All customers' contributions, and the merger."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes | None] = {}
        self.counts = FeatureSketches()

    def step(self, customer: str, values: dict | None, at_ms: int, names: Sequence[str] = NAMES) -> Deltas:
        deltas, self.kept[customer] = contribute(self.kept.get(customer), values, at_ms, names)
        self.counts.apply(Deltas.unpacked(deltas.packed()))
        return deltas


class TestContribute:
    @given(steps)
    def test_the_counts_are_those_of_the_last_snapshots(self, made) -> None:
        """Byte for byte, whatever went before: updates, erasures, customers who come back."""
        shop, last = Shop(), {}
        for customer, values in made:
            shop.step(customer, values, T0_MS)
            last[customer] = values or {}
        assert shop.counts.packed() == from_scratch(last, T0_MS).packed()

    def test_a_sketch_holds_each_customer_once(self) -> None:
        shop = Shop()
        for customer, cents in (("a", 100), ("b", 300), ("a", 200)):
            shop.step(customer, {"revenue_total_cents": cents, "orders_total": 1}, T0_MS)
        sketch = shop.counts.sketch("revenue_total_cents")
        assert [sketch.quantile(q) for q in (0.5, 1)] == [200, 300]
        assert len(shop.counts.sketch("orders_total")) == 2
        assert len(shop.counts.sketch("engagement")) == 0

    def test_erasing_everybody_leaves_nothing(self) -> None:
        shop = Shop()
        for customer in "abc":
            shop.step(customer, {"engagement": 3.0, "orders_total": 2}, T0_MS)
        for customer in "abc":
            shop.step(customer, None, T0_MS + DAY_MS)
        assert shop.counts.packed() == FeatureSketches().packed()
        assert set(shop.kept.values()) == {None}

    def test_who_has_nothing_contributes_nothing(self) -> None:
        assert contribute(None, {"recency_ms": None}, T0_MS, NAMES)[1] is None
        assert not contribute(None, None, T0_MS, NAMES)[0]

    @given(snapshot)
    def test_nothing_new_is_nothing_to_say(self, values) -> None:
        _, kept = contribute(None, values, T0_MS, NAMES)
        deltas, again = contribute(kept, values, T0_MS, NAMES)
        assert not deltas
        assert again == kept

    def test_the_passing_of_time_says_nothing(self) -> None:
        """A customer of whom nothing is heard: recency grows, engagement falls, and both count as before."""
        values = {"recency_ms": 5 * DAY_MS, "engagement": 8.3, "orders_total": 2, "last_seen_ms": T0_MS}
        _, kept = contribute(None, values, T0_MS, NAMES)
        for days in (1, 7, 30, 400):
            later = dict(values, recency_ms=(5 + days) * DAY_MS, engagement=8.3 * 2 ** (-days / 7))
            deltas, again = contribute(kept, later, T0_MS + days * DAY_MS, NAMES)
            assert not deltas
            assert again == kept

    def test_a_feature_that_is_no_longer_asked_for_is_taken_out(self) -> None:
        shop = Shop()
        shop.step("a", {"orders_total": 2, "engagement": 1.0}, T0_MS)
        shop.step("a", {"orders_total": 2, "engagement": 1.0}, T0_MS, ("engagement", "views_30d"))
        assert len(shop.counts.sketch("orders_total")) == 0
        assert len(shop.counts.sketch("engagement")) == 1

    def test_the_order_of_names_does_not_matter(self) -> None:
        values = {"orders_total": 2, "engagement": 1.0}
        one = contribute(None, values, T0_MS, NAMES)
        other = contribute(None, dict(reversed(values.items())), T0_MS, NAMES[::-1])
        assert one[1] == other[1]
        assert one[0].packed() == other[0].packed()

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ({"engagement": nan}, NAMES),
            ({"orders_total": 1.5}, NAMES),
            ({"device": "mobile"}, ("device",)),
            ({"no_such": 1}, ("no_such",)),
        ],
    )
    def test_what_cannot_be_counted_is_refused(self, values, names) -> None:
        with pytest.raises(PopulationError):
            contribute(None, values, T0_MS, names)

    @pytest.mark.parametrize("old", [b"", pack([1]), pack([1, 5]), pack([2, {}])])
    def test_what_is_no_contribution_is_refused(self, old: bytes) -> None:
        with pytest.raises(PopulationError):
            contribute(old, {}, T0_MS, NAMES)


class TestDeltas:
    @given(steps, st.integers(1, 4), st.randoms(use_true_random=False))
    def test_they_merge_in_any_grouping_and_order(self, made, groups: int, rng: Random) -> None:
        """Each customer's own stay in order in one group; what the groups come to is added in any order."""
        shop, parts = Shop(), [Deltas() for _ in range(groups)]
        for customer, values in made:
            parts[ord(customer) % groups].merge(shop.step(customer, values, T0_MS))
        rng.shuffle(parts)
        merged, whole = FeatureSketches(), Deltas()
        for part in parts:
            merged.apply(part)
            whole.merge(part)
        at_once = FeatureSketches()
        at_once.apply(whole)
        assert merged.packed() == at_once.packed() == shop.counts.packed()

    def test_opposites_are_nothing(self) -> None:
        deltas = Deltas()
        deltas.note("orders_total", 5, 2)
        deltas.note("orders_total", 5, -2)
        assert not deltas
        assert deltas.packed() == Deltas().packed()

    def test_what_is_not_there_cannot_be_taken_out(self) -> None:
        """And of such differences nothing is applied."""
        counts = FeatureSketches()
        counts.apply(contribute(None, {"orders_total": 1, "engagement": 1.0}, T0_MS, NAMES)[0])
        before = counts.packed()
        wrong = Deltas()
        wrong.note("engagement", 0, 5)
        wrong.note("orders_total", 7, -1)
        with pytest.raises(PopulationError, match="orders_total: 1 to be taken out of 0 in bucket 7"):
            counts.apply(wrong)
        assert counts.packed() == before

    @pytest.mark.parametrize("seed", range(20))
    def test_what_comes_too_soon_is_owed(self, seed: int) -> None:
        """In any order, with what cannot be added up yet added up later, the counts end the same."""
        random = Random(seed)
        parts: list[Deltas] = []
        for _ in range(12):
            old = None
            for values in ({"orders_total": random.randint(0, 3)} for _ in range(random.randint(1, 5))):
                deltas, old = contribute(old, values, T0_MS, NAMES)
                parts.append(deltas)
        in_order, shuffled, owed = FeatureSketches(), FeatureSketches(), Deltas()
        for part in parts:
            in_order.apply(part)
        random.shuffle(parts)
        for part in parts:
            whole = Deltas.unpacked(part.packed())
            whole.merge(owed)
            now, owed = shuffled.payable(whole)
            shuffled.apply(now)
        assert not owed
        assert shuffled.packed() == in_order.packed()

    @pytest.mark.parametrize("packed", [b"\xc1", pack([2, []]), pack([1]), pack([1, [["orders_total", [1], [1, 2]]]])])
    def test_what_are_no_differences_is_refused(self, packed: bytes) -> None:
        with pytest.raises(PopulationError):
            Deltas.unpacked(packed)


class TestFeatureSketches:
    @given(steps)
    def test_restored_and_merged(self, made) -> None:
        """Two halves of the customers, one of them restored, are all customers."""
        whole, halves = Shop(), (Shop(), Shop())
        for customer, values in made:
            whole.step(customer, values, T0_MS)
            halves[customer in "ab"].step(customer, values, T0_MS)
        one = FeatureSketches.unpacked(halves[0].counts.packed())
        one.merge(halves[1].counts)
        assert one.packed() == whole.counts.packed()

    def test_a_sketch_asked_for_is_not_made(self) -> None:
        counts = FeatureSketches()
        counts.sketch("engagement").add(1.0)
        assert counts.packed() == FeatureSketches().packed()

    @pytest.mark.parametrize("packed", [pack([1]), pack([1, 5]), pack([2, {}]), pack([1, {"orders_total": b""}])])
    def test_what_are_no_sketches_is_refused(self, packed: bytes) -> None:
        with pytest.raises(PopulationError):
            FeatureSketches.unpacked(packed)


class TestSimulatedShop:
    def test_counts_by_differences_are_counts_of_everybody(self) -> None:
        """A month of a shop, day by day: after each day the sketches hold exactly the customers as they are."""
        shop, quiet = Shop(), 0
        for at_ms, customers in daily(SimulationSettings(events=3_000, customers=200, products=50, days=30, seed=4)):
            for customer, values in customers.items():
                quiet += not shop.step(customer, values, at_ms)
            for name in ("orders_total", "revenue_total_cents", "recency_ms", "last_seen_ms"):
                expected = QuantileSketch(scale_of(name))
                for values in customers.values():
                    if values[name] is not None:
                        expected.add(values[name], at_ms=at_ms)
                assert shop.counts.sketch(name).packed() == expected.packed()
            scores = sorted(values["engagement"] for values in customers.values())
            found = shop.counts.sketch("engagement").quantile(0.75, at_ms=at_ms)
            true = scores[-(-3 * len(scores) // 4) - 1]
            assert true * (1 - 1e-8) <= found <= true * 1.0055
        assert quiet > 1_000

    def test_the_contribution_is_small(self) -> None:
        """Names, and at most 9 bytes a feature."""
        _, kept = contribute(None, dict.fromkeys(NAMES, 1), T0_MS, NAMES)
        assert kept is not None
        assert len(kept) <= 3 + sum(10 + len(name) for name in NAMES)
        assert unpack(kept)[0] == 1
