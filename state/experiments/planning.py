"""How many customers an experiment needs to see an effect, if there is one.

One look, at a time fixed beforehand, needs n customers of each of two evenly split variants for an effect d, where
one customer's outcome has the variance s^2 (a for the control, b for the variant):

    n = (z(1 - alpha / 2) + z(power))^2 (s_a^2 + s_b^2) / d^2.

Looking at any time costs more: where the interval is tightest its half width is sqrt(u) standard errors instead of
z(1 - alpha / 2), u as in `mixture`. A look at that time alone needs (sqrt(u) + z(power))^2 / (z(1 - alpha / 2) +
z(power))^2 times as many customers, 1.91 for 5 % and a power of 80 %. All earlier looks only add to the power, so
that is the most it takes, and most experiments with such an effect stop long before: how long is measured in
benchmarks/experiment_statistics.py. Intervals are to be made tightest at that number: `tightest_at_customers` = twice
`any_look`.

Several variants: each with as many customers, at alpha divided by their number.
"""

from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

from state.experiments.checks import above_0, between_0_and_1
from state.experiments.estimates import Estimate
from state.experiments.mixture import tightest

_z = NormalDist().inv_cdf


class Needed(NamedTuple):
    """Customers of each variant, the control among them."""

    one_look: int
    """Of a test that is looked at once, when they are all there."""
    any_look: int
    """Of a comparison that may be looked at at any time: at most so many."""


def spread_of_share(share: float) -> float:
    """The variance of one customer's outcome where a share of them have it: a conversion.

    Raises:
        ValueError: the share is not above 0 and below 1.
    """
    between_0_and_1("share", share)
    return share * (1 - share)


def spread_of(estimate: Estimate) -> float:
    """The same of what was measured: of the metric before the experiment, say."""
    return estimate.variance * estimate.customers


def factor_of_any_look(alpha: float, power: float, comparisons: int = 1) -> float:
    """How many times as many customers any look needs, at most, as one look does.

    Args:
        alpha: as in `SequentialSettings`.
        power: chance of seeing the effect.
        comparisons: variants beside the control.

    Raises:
        ValueError: alpha or power is not above 0 and below 1, or there is no comparison.
    """
    level = _level(alpha, power, comparisons)
    return ((sqrt(tightest(level)) + _z(power)) / (_z(1 - level / 2) + _z(power))) ** 2


def customers_needed(
    effect: float,
    control_spread: float,
    variant_spread: float | None = None,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    comparisons: int = 1,
) -> Needed:
    """Customers of each variant to see an effect with a chance of `power`.

    Args:
        effect: the least difference that matters, in the unit of the metric, either way.
        control_spread: variance of one customer's outcome.
        variant_spread: that of the variant; without it the same.
        alpha: as in `SequentialSettings`.
        power: at least a half.
        comparisons: variants beside the control.

    Raises:
        ValueError: an argument is out of its range.
    """
    if power < 0.5:
        raise ValueError(f"power = {power}: must be at least 0.5")
    above_0("effect", abs(effect))
    both = control_spread + (control_spread if variant_spread is None else variant_spread)
    above_0("spread", both)
    level = _level(alpha, power, comparisons)
    one_look = (_z(1 - level / 2) + _z(power)) ** 2 * both / effect**2
    return Needed(ceil(one_look), ceil(factor_of_any_look(alpha, power, comparisons) * one_look))


def least_effect(
    customers: int,
    control_spread: float,
    variant_spread: float | None = None,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    comparisons: int = 1,
) -> float:
    """The difference that is seen with a chance of `power`, or more, by any look at `customers` of each variant.

    Arguments and errors are those of `customers_needed`, with intervals tightest at twice that number.
    """
    above_0("customers", customers)
    both = control_spread + (control_spread if variant_spread is None else variant_spread)
    above_0("spread", both)
    level = _level(alpha, power, comparisons)
    return (sqrt(tightest(level)) + _z(power)) * sqrt(both / customers)


def _level(alpha: float, power: float, comparisons: int) -> float:
    between_0_and_1("alpha", alpha)
    between_0_and_1("power", power)
    if comparisons < 1:
        raise ValueError(f"comparisons = {comparisons}: must be at least 1")
    return alpha / comparisons
