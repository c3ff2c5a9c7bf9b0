"""What is said of a variant beside the control: by the definition, by laws, and held to its promise by simulation."""

from math import exp, log, sqrt
from random import Random

import numpy as np
import pytest
from experiment_streams import Stream, summed
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

from state.experiments.estimates import METRICS
from state.experiments.sequential import Interval, SequentialSettings, compare, compare_variants
from state.experiments.sums import Outcome, Sums, merged
from state.experiments.weighting import Stratum

SETTINGS = SequentialSettings()
FEW = SequentialSettings(least_customers=2, least_support=2)
CTR, CONVERSION, REVENUE = (METRICS[name] for name in ("ctr", "conversion", "revenue_per_customer_cents"))

outcomes = st.builds(
    lambda shown, clicks, orders, cents: Outcome(shown, min(clicks, shown), orders, cents if orders else 0),
    st.integers(1, 9), st.integers(0, 4), st.integers(0, 2), st.integers(1, 10**5),
)  # fmt: skip
strata = st.lists(st.tuples(*[st.lists(outcomes, min_size=2, max_size=30)] * 2), min_size=1, max_size=4)


def sums_of(known: list[tuple[list[Outcome], list[Outcome]]]) -> list[Stratum]:
    return [Stratum(summed(control), summed(variant)) for control, variant in known]


def stream(seed: int, customers: int = 6_000, **how: float) -> Stratum:
    return Stream(np.random.default_rng(seed), customers, **how).all()


class TestDefinition:
    @settings(max_examples=150, deadline=None)
    @given(strata, st.sampled_from([0.01, 0.05, 0.2]), st.integers(1, 5), st.sampled_from([50, 10_000]))
    def test_from_each_customer(self, known, alpha: float, comparisons: int, tightest_at: int) -> None:
        """Differences of mean revenue by stratum, averaged with n1 n0 / (n1 + n0), and the bound of a normal mixture.

        The variance of one customer of a variant, or of both around their means, whichever is more.
        """
        given_settings = SequentialSettings(
            alpha=alpha, tightest_at_customers=tightest_at, least_customers=2, least_support=2
        )
        found = compare(REVENUE, sums_of(known), given_settings, comparisons)
        whole, difference, variance = 0.0, 0.0, 0.0
        for control, variant in known:
            a, b = (np.array([one.cents for one in side], dtype=float) for side in (control, variant))
            weight = 1 / (1 / len(a) + 1 / len(b))
            whole += weight
            difference += weight * (b.mean() - a.mean())
            pooled = (len(a) * a.var(ddof=1) + len(b) * b.var(ddof=1)) / (len(a) + len(b))
            variance += weight**2 * sum(max(side.var(ddof=1), pooled) / len(side) for side in (a, b))
        difference, variance = difference / whole, variance / whole**2
        assert found.difference == pytest.approx(difference, rel=1e-9, abs=1e-6)
        assert (found.strata, found.customers) == (len(known), sum(len(a) + len(b) for a, b in known))
        if found.interval is None:
            assert (found.verdict, found.p_value) == ("too few", None)
            return
        level = alpha / comparisons
        rho2 = (-lambertw(-(level**2) / exp(1), k=-1).real - 1) / (tightest_at / 4)
        half = sqrt(variance * (1 + 1 / (whole * rho2)) * log((whole * rho2 + 1) / level**2))
        assert found.interval == pytest.approx((difference - half, difference + half), rel=1e-9, abs=1e-6)
        mixed = exp(difference**2 / (2 * variance) * whole * rho2 / (1 + whole * rho2)) / sqrt(1 + whole * rho2)
        assert found.p_value == pytest.approx(min(1.0, comparisons * min(1.0, 1 / mixed)), rel=1e-9)
        assert (found.p_value <= alpha) == (abs(difference) >= half)

    def test_where_it_is_tightest(self) -> None:
        """At 10,000 customers, evenly split: the root of 9.2119 standard errors on either side, to one look's 1.96."""
        both = Sums(5_000, converted=500, orders=500, orders2=500)
        found = compare(CONVERSION, [Stratum(both, both)], SETTINGS)
        assert found.interval is not None
        error = sqrt(2 * 0.1 * 0.9 / 4_999)
        assert found.interval.high == pytest.approx(sqrt(9.2119) * error, rel=1e-4)


class TestLaws:
    @settings(max_examples=100, deadline=None)
    @given(strata, st.sampled_from(sorted(METRICS)))
    def test_changing_names_changes_signs(self, known, name: str) -> None:
        there = compare(METRICS[name], sums_of(known), FEW)
        back = compare(METRICS[name], sums_of([(variant, control) for control, variant in known]), FEW)
        turned = {"better": "worse", "worse": "better"}
        assert back.verdict == turned.get(there.verdict, there.verdict)
        assert (back.control, back.variant) == (there.variant, there.control)
        if there.difference is not None:
            assert back.difference == -there.difference
        if there.interval is not None:
            assert back.interval == pytest.approx((-there.interval.high, -there.interval.low), rel=1e-9)
            assert back.p_value == pytest.approx(there.p_value, rel=1e-9)

    @settings(max_examples=50, deadline=None)
    @given(strata, st.randoms(use_true_random=False))
    def test_the_order_of_times_does_not_matter(self, known, order: Random) -> None:
        shuffled = list(known)
        order.shuffle(shuffled)
        one, other = (compare(CTR, sums_of(which), FEW) for which in (known, shuffled))
        assert other.verdict == one.verdict
        assert other.difference == pytest.approx(one.difference, rel=1e-9, abs=1e-12)
        if one.interval is not None:
            assert other.interval == pytest.approx(one.interval, rel=1e-9, abs=1e-12)

    def test_the_unit_of_money_does_not_matter(self) -> None:
        found = stream(5, effect=0.1)
        dear = Stratum(*(Sums(sums.customers, cents=100 * sums.cents, cents2=10**4 * sums.cents2) for sums in found))
        one, other = compare(REVENUE, [found], SETTINGS), compare(REVENUE, [dear], SETTINGS)
        assert one.interval is not None
        assert other.interval == pytest.approx([100 * bound for bound in one.interval])
        assert (other.p_value, other.lift_interval) == (pytest.approx(one.p_value), pytest.approx(one.lift_interval))

    def test_a_time_with_few_of_the_variant_does_not_widen_it(self) -> None:
        """10,000 customers of whom 1 % saw it, then 10,000 evenly split."""
        few, even = stream(1, 20_000, share=0.01), stream(2, 10_000)
        alone, both = compare(CONVERSION, [even], SETTINGS), compare(CONVERSION, [few, even], SETTINGS)
        assert alone.interval is not None
        assert both.interval is not None
        assert both.strata == 2
        assert both.interval.high - both.interval.low < 1.001 * (alone.interval.high - alone.interval.low)

    def test_more_variants_need_more(self) -> None:
        """Each at alpha over their number: as one alone at that alpha, and p times their number."""
        a, b = stream(8, effect=0.4)
        by_variant = [{"control": a, "x": b, "y": a, "z": a}]
        three = compare_variants(CONVERSION, by_variant, "control", ("x", "y", "z"), SETTINGS)
        strict = compare(CONVERSION, [Stratum(a, b)], SequentialSettings(alpha=0.05 / 3))
        assert list(three) == ["x", "y", "z"]
        assert three["x"].interval == pytest.approx(strict.interval)
        assert strict.p_value is not None
        assert strict.p_value < 0.1
        assert three["x"].p_value == pytest.approx(3 * strict.p_value)
        assert three["y"].p_value == 1.0

    def test_a_variant_that_came_later(self) -> None:
        """At the first time it has nobody; the other one has."""
        a, b = stream(8)
        both = compare_variants(
            CONVERSION, iter([{"control": a, "x": b}, {"control": a, "x": b, "y": b}]), "control", ("x", "y"), SETTINGS
        )
        assert [(one.strata, one.strata_left_out) for one in both.values()] == [(2, 0), (1, 1)]
        assert both["y"].customers_left_out == a.customers


class TestVerdicts:
    @pytest.mark.parametrize(("effect", "verdict"), [(0.4, "better"), (-0.4, "worse"), (0.0, "no difference seen yet")])
    def test_they_follow_the_interval(self, effect: float, verdict: str) -> None:
        found = compare(CONVERSION, [stream(4, effect=effect)], SETTINGS)
        assert found.verdict == verdict
        assert found.interval is not None
        assert found.p_value is not None
        assert (found.p_value <= 0.05) == (effect != 0)
        assert found.interval.low < 0.2 * effect < found.interval.high
        assert found.lift_interval is not None
        assert found.lift_interval.low < effect < found.lift_interval.high

    def test_a_paradox(self) -> None:
        """A variant that is better at both times, and worse when these are thrown together.

        First nine of ten customers see the control, and 30 % order; then nine of ten see the variant, and 10 % do.
        """
        first = Stratum(_ordered(9_000, 0.30), _ordered(1_000, 0.36))
        then = Stratum(_ordered(1_000, 0.10), _ordered(9_000, 0.14))
        together = Stratum(merged([first.control, then.control]), merged([first.variant, then.variant]))
        assert compare(CONVERSION, [together], SETTINGS).verdict == "worse"
        found = compare(CONVERSION, [first, then], SETTINGS)
        assert found.verdict == "better"
        assert found.difference == pytest.approx(0.05)

    def test_a_variant_alone_at_a_time_is_not_compared(self) -> None:
        even, alone = stream(3), stream(6, 2_000, share=0.0)
        found = compare(CONVERSION, [even, alone], SETTINGS)
        assert (found.strata, found.strata_left_out) == (1, 1)
        assert (found.customers, found.customers_left_out) == (6_000, 2_000)
        assert found.interval == compare(CONVERSION, [even], SETTINGS).interval


class TestTooFew:
    def reason(self, metric: str, *known: Stratum) -> str:
        found = compare(METRICS[metric], known, SETTINGS)
        assert found.verdict == "too few"
        assert (found.interval, found.lift_interval, found.p_value) == (None, None, None)
        return found.reason

    @pytest.mark.parametrize("metric", METRICS)
    def test_nobody(self, metric: str) -> None:
        assert self.reason(metric).startswith("at no time 100 customers")
        assert self.reason(metric, Stratum(Sums(), Sums())).startswith("at no time 100 customers")

    def test_customers(self) -> None:
        assert self.reason("conversion", Stratum(_ordered(99, 0.9), _ordered(5_000, 0.5))).startswith("at no time 100")
        assert compare(CONVERSION, [Stratum(_ordered(100, 0.5), _ordered(5_000, 0.5))], SETTINGS).interval

    def test_orders(self) -> None:
        """29 of one variant, which has all its other customers in vain."""
        reason = self.reason("conversion", Stratum(_ordered(2_900, 0.01), _ordered(2_900, 0.5)))
        assert "about 29 customers" in reason
        assert compare(CONVERSION, [Stratum(_ordered(3_000, 0.01), _ordered(3_000, 0.5))], SETTINGS).interval

    def test_one_fortune(self) -> None:
        """A thousand orders, one of them for as much as all the others a hundred times over."""
        many = summed([Outcome(1, 0, 1, 1_000)] * 1_000)
        rich = summed([Outcome(1, 0, 1, 1_000)] * 999 + [Outcome(1, 0, 1, 10**8)])
        assert "about 1 customers" in self.reason("revenue_per_customer_cents", Stratum(many, rich))

    def test_all_alike(self) -> None:
        both = summed([Outcome(1, 0, 1, 1_000)] * 1_000)
        assert "same outcome" in self.reason("revenue_per_customer_cents", Stratum(both, both))

    def test_a_metric_that_is_not_defined(self) -> None:
        nothing = summed([Outcome(1)] * 200)
        found = compare(METRICS["average_order_value_cents"], [Stratum(nothing, nothing)], SETTINGS)
        assert (found.verdict, found.customers_left_out, found.difference) == ("too few", 400, None)


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [("alpha", 0.0), ("alpha", 1.0), ("tightest_at_customers", 0), ("least_customers", 1), ("least_support", 1)],
    )
    def test_what_means_nothing_is_refused(self, setting: str, value: float) -> None:
        with pytest.raises(ValueError, match=setting):
            SequentialSettings(**{setting: value})

    def test_comparisons(self) -> None:
        with pytest.raises(ValueError, match="comparisons"):
            compare(CTR, [], SETTINGS, 0)


class TestSpread:
    def test_a_small_variant_without_large_orders_is_not_certain(self) -> None:
        """10,000 customers of the control, ten of whom spend 1,000 times as much; among 300 of the variant none does.

        By its own variance the variant would be worse by far; it only had no luck.
        """
        control = summed([Outcome(1, 0, 1, 1_000)] * 9_990 + [Outcome(1, 0, 1, 1_000_000)] * 10)
        variant = summed([Outcome(1, 0, 1, 999), Outcome(1, 0, 1, 1_001)] * 150)
        own = METRICS["revenue_per_customer_cents"](variant)
        assert own is not None
        settings_of_few = SequentialSettings(least_support=5)
        found = compare(REVENUE, [Stratum(control, variant)], settings_of_few)
        assert found.verdict == "no difference seen yet"
        assert found.interval is not None
        assert found.interval.low < -999 + own.value
        assert found.interval.high - found.interval.low > 100 * sqrt(own.variance)


class TestPromise:
    """300 experiments, looked at after every 40 customers.

    If the chance of a false alarm were 5 %, 300 experiments would have 15, with a standard deviation of 3.8; more than
    30 would come up once in 10,000. An ordinary test, looked at as often, must be wrong far more often.
    """

    EXPERIMENTS, MOST = 300, 30
    SETTINGS = SequentialSettings(tightest_at_customers=1_000)

    def test_false_alarms(self) -> None:
        """Without an effect, 2,000 customers each."""
        rng = np.random.default_rng(20)
        ours, ordinary = dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0)
        for _ in range(self.EXPERIMENTS):
            looks = list(Stream(rng, 2_000).looks(40))
            for name, metric in METRICS.items():
                found = [compare(metric, [look], self.SETTINGS) for look in looks]
                ours[name] += any(one.verdict in ("better", "worse") for one in found)
                ordinary[name] += any(_ordinary(name, look) for look in looks)
        assert max(ours.values()) <= self.MOST
        assert sum(ours.values()) > 0
        assert min(ordinary.values()) > 1.5 * self.MOST

    def test_for_whatever_number_was_planned(self) -> None:
        """Much less and much more than there are: a fixed number only says when intervals are tightest."""
        rng = np.random.default_rng(22)
        widths: dict[int, list[float]] = {200: [], 4_000: [], 80_000: []}
        wrong = dict.fromkeys(widths, 0)
        for _ in range(self.EXPERIMENTS):
            looks = list(Stream(rng, 2_000).looks(40))
            for planned in wrong:
                chosen = SequentialSettings(tightest_at_customers=planned)
                found = [compare(CONVERSION, [look], chosen) for look in looks]
                wrong[planned] += any(one.verdict in ("better", "worse") for one in found)
                interval = found[-1].interval
                assert interval is not None
                widths[planned].append(interval.high - interval.low)
        assert max(wrong.values()) <= self.MOST
        narrow, *wide = widths[4_000], widths[200], widths[80_000]
        assert all(least < one for others in wide for least, one in zip(narrow, others, strict=True))

    def test_intervals_hold_the_truth_at_every_look(self) -> None:
        """10 % more orders; a tenth of the customers at first, seven tenths later, when all order half as often."""
        rng = np.random.default_rng(21)
        missed = missed_lift = confused = 0
        for _ in range(self.EXPERIMENTS):
            first = Stream(rng, 2_000, share=0.1, effect=0.1).all()
            looks = [[first, look] for look in Stream(rng, 2_000, share=0.7, effect=0.1, base=0.5).looks(40)]
            found = [compare(CONVERSION, look, self.SETTINGS) for look in looks]
            assert found[-1].strata == 2
            missed += not all(
                _holds(one.interval, _difference(look[: one.strata])) for one, look in zip(found, looks, strict=True)
            )
            missed_lift += not all(_holds(one.lift_interval, 0.1) for one in found)
            thrown_together = [Stratum(*(merged(side) for side in zip(*look, strict=True))) for look in looks]
            confused += any(compare(CONVERSION, [one], self.SETTINGS).verdict == "worse" for one in thrown_together)
        assert missed <= self.MOST
        assert missed_lift <= self.MOST
        assert confused > 200


def _holds(interval: Interval | None, truth: float) -> bool:
    return interval is None or interval.low <= truth <= interval.high


def _difference(look: list[Stratum]) -> float:
    """What 10 % more of 20 % at first, and of 10 % later, come to with the weights of this look."""
    weights = [1 / (1 / control.customers + 1 / variant.customers) for control, variant in look]
    return sum(weight * effect for weight, effect in zip(weights, (0.02, 0.01), strict=False)) / sum(weights)


def _ordinary(name: str, look: Stratum) -> bool:
    """Whether a two-sided test at 5 % that knows of no other looks sees a difference; with 100 customers each."""
    control, variant = METRICS[name](look.control), METRICS[name](look.variant)
    if control is None or variant is None or min(control.customers, variant.customers) < 100:
        return False
    return abs(variant.value - control.value) > 1.96 * sqrt(control.variance + variant.variance)


def _ordered(customers: int, rate: float) -> Sums:
    orders = round(customers * rate)
    return Sums(customers, converted=orders, orders=orders, orders2=orders)
