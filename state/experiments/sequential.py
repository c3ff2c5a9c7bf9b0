"""Two variants compared on one metric, so that one may look at any time, as often as one likes, and stop at will.

**Intervals and p-values** are those of `mixture`: with a probability of 1 - alpha no interval, at no look, misses
what it is of. One look at a time that was fixed beforehand would need about half as many customers (`planning`); but
a t-test that is looked at again and again finds a difference where there is none far more often than it says.

**Strata**, times with different shares of traffic, are averaged as in `weighting`, the **relative lift** is that of
`lift`.

**Several variants** are each compared with the control, at alpha divided by their number (Bonferroni): the chance
that any of them is ever wrongly said to differ is at most alpha, however their estimates depend on each other (they
share the control), whenever each is looked at, and whether or not some end early; sharper corrections (Dunnett, Holm)
need one or all of these to be known. Metrics and segments are not corrected for: who looks at twenty of them will
find something at 5 % in one. Choose the one that decides beforehand.

**Before there are enough** nothing is said: the variance is an estimate, and sums are not normal yet. A stratum with
few customers of either variant is left out, and both variants need a `support` (see `estimates`), so that a few large
orders alone never decide. To say nothing raises no false alarm.

**Outcomes may still grow** after a customer is counted, by clicks and orders to come. The bound's clock is the number
of customers, and stands still while outcomes grow; the hard case, all customers at the first look and independent
orders from then on, is measured in benchmarks/experiment_statistics.py, too.

Whether a customer is counted must not depend on her variant: see `sample_ratio`, without which none of this holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Literal, NamedTuple

import msgspec

from state.experiments.checks import above_0, between_0_and_1
from state.experiments.estimates import Estimate, Metric
from state.experiments.lift import lift, lift_bounds
from state.experiments.mixture import factor, p_value, tightest
from state.experiments.sums import Sums
from state.experiments.weighting import Averages, Stratum

Verdict = Literal["better", "worse", "no difference seen yet", "too few"]


class SequentialSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How differences are judged.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    alpha: float = 0.05
    """The greatest chance that any variant is ever wrongly said to differ, in one metric."""
    tightest_at_customers: int = 10_000
    """Customers of control and variant together, evenly split, at which intervals are tightest for what one may ask of
    them. At a tenth of that they are 26 % wider than if they were made for it, at ten times it 7 %."""
    least_customers: int = 100
    """Of either variant in a stratum; with fewer in one of them the stratum is left out."""
    least_support: int = 30
    """Of either variant, over all strata; with less nothing is said."""

    def __post_init__(self) -> None:
        between_0_and_1("alpha", self.alpha)
        above_0("tightest_at_customers", self.tightest_at_customers)
        for name, value in (("least_customers", self.least_customers), ("least_support", self.least_support)):
            if value < 2:
                raise ValueError(f"{name} = {value}: must be at least 2")


class Interval(NamedTuple):
    """What it is of lies within, at this look and at all others, with a probability of 1 - alpha."""

    low: float
    high: float


class Comparison(NamedTuple):
    """A variant beside the control, in one metric."""

    verdict: Verdict
    reason: str
    """Why, in words."""
    control: float | None
    """The metric, averaged over strata; None if no stratum has enough customers, as the next ones."""
    variant: float | None
    difference: float | None
    """Variant less control."""
    lift: float | None
    """Difference over control: 0.1 is 10 % more. None also where the control has nothing."""
    interval: Interval | None
    """Of the difference; None where there are too few, as the next ones."""
    lift_interval: Interval | None
    """None also where the control's own value is not told apart from 0."""
    p_value: float | None
    """At most alpha exactly where the interval leaves out 0; corrected for the number of comparisons."""
    customers: int
    """Of both variants, in the strata that count."""
    customers_left_out: int
    strata: int
    strata_left_out: int


def compare_variants(
    metric: Metric,
    strata: Iterable[Mapping[str, Sums]],
    control: str,
    variants: Sequence[str],
    settings: SequentialSettings,
) -> dict[str, Comparison]:
    """Each variant beside the control, at alpha divided by the number of variants.

    Args:
        metric: one of `METRICS`.
        strata: of each, sums by variant; who has no customers there may be missing.
        control: what the others are compared with.
        variants: the others, all of them, also those that nobody asks about now.
        settings: how differences are judged.
    """
    known = list(strata)
    nobody = Sums()
    controls = [one.get(control, nobody) for one in known]
    once = _Once(metric, controls)
    return {
        name: compare(
            once,
            [Stratum(beside, one.get(name, nobody)) for beside, one in zip(controls, known, strict=True)],
            settings,
            len(variants),
        )
        for name in variants
    }


class _Once:
    """A metric that estimates each stratum's control once, though every variant is compared with it."""

    def __init__(self, metric: Metric, controls: Sequence[Sums]) -> None:
        self._metric = metric
        self._known = {id(sums): metric(sums) for sums in controls}  # as long as the caller holds them

    def __call__(self, sums: Sums) -> Estimate | None:
        place = id(sums)
        return self._known[place] if place in self._known else self._metric(sums)


def compare(
    metric: Metric, strata: Iterable[Stratum], settings: SequentialSettings, comparisons: int = 1
) -> Comparison:
    """The variant beside the control.

    Args:
        metric: one of `METRICS`.
        strata: the customers of both, by times of constant shares.
        settings: how the difference is judged.
        comparisons: how many variants are compared with the same control.

    Raises:
        ValueError: `comparisons` is below 1.
    """
    if comparisons < 1:
        raise ValueError(f"comparisons = {comparisons}: must be at least 1")
    averages = Averages()
    for stratum in strata:
        averages.take(metric, stratum, settings.least_customers)
    return _judged(averages, settings, comparisons) if averages.strata else _nothing(averages, settings)


def _judged(averages: Averages, settings: SequentialSettings, comparisons: int) -> Comparison:
    control, variant = averages.control, averages.variant
    support = min(control.support, variant.support)
    if support < settings.least_support:
        few = f"of one variant, outcomes of about {support:.0f} customers, which should be {settings.least_support}"
        return _unjudged(averages, few)
    variance = control.variance + variant.variance
    if variance <= 0:
        return _unjudged(averages, "all customers have the same outcome")
    alpha = settings.alpha / comparisons
    # evenly split customers weigh a quarter of their number
    t = (tightest(alpha) - 1) * averages.weight / (settings.tightest_at_customers / 4)
    squared = factor(t, alpha)
    difference = variant.value - control.value
    half = sqrt(squared * variance)
    interval = Interval(difference - half, difference + half)
    verdict, reason = _verdict(interval)
    bounds = lift_bounds((control.value, control.variance), (variant.value, variant.variance), squared)
    return _unjudged(averages, reason)._replace(
        verdict=verdict,
        interval=interval,
        lift_interval=Interval(*bounds) if bounds else None,
        p_value=min(1.0, comparisons * p_value(difference**2 / variance, t)),
    )


def _verdict(interval: Interval) -> tuple[Verdict, str]:
    if interval.low > 0:
        return "better", "the interval of the difference is above 0"
    if interval.high < 0:
        return "worse", "the interval of the difference is below 0"
    return "no difference seen yet", "the interval of the difference holds 0"


def _unjudged(averages: Averages, reason: str) -> Comparison:
    control, variant = averages.control.value, averages.variant.value
    return Comparison(
        verdict="too few",
        reason=reason,
        control=control,
        variant=variant,
        difference=variant - control,
        lift=lift(control, variant),
        interval=None,
        lift_interval=None,
        p_value=None,
        customers=averages.customers,
        customers_left_out=averages.customers_left_out,
        strata=averages.strata,
        strata_left_out=averages.strata_left_out,
    )


def _nothing(averages: Averages, settings: SequentialSettings) -> Comparison:
    return Comparison(
        verdict="too few",
        reason=f"at no time {settings.least_customers} customers of each variant with something to compare",
        control=None,
        variant=None,
        difference=None,
        lift=None,
        interval=None,
        lift_interval=None,
        p_value=None,
        customers=0,
        customers_left_out=averages.customers_left_out,
        strata=0,
        strata_left_out=averages.strata_left_out,
    )
