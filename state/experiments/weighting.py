"""One metric of two variants, averaged over strata: times with different shares of traffic.

If a variant first had 1 % of the customers and later half, its customers are later ones than the control's, and
whatever changed in between (a sale) looks like its effect: Simpson's paradox (Crook, Frasca, Kohavi and Longbotham,
"Seven pitfalls to avoid when running controlled experiments on the web", KDD 2009). So differences are taken within
strata, and then averaged.

The weight of a stratum is the number of its customers that can be set against each other, m = n1 n0 / (n1 + n0), that
of Mantel and Haenszel ("Statistical aspects of the analysis of data from retrospective studies of disease", JNCI 22,
1959; for differences: Greenland and Robins, "Estimation of a common effect parameter from sparse follow-up data",
Biometrics 41, 1985). It is a quarter of all customers where shares are even, and about as many as the variant has
where these are few. To weigh by all customers instead would let 10,000 customers of whom 100 saw the variant count as
much as 10,000 evenly split ones, with the noise of 100: the interval would be two and a half times as wide as without
them. With m nothing widens it. And m is the clock of the sequential bound: the variance of sum m D grows by the
outcome's variance for each unit of m, whatever the shares, so that a change of shares is none of the pace of time. If
the effect itself changes, what is estimated is its average over strata with these weights.

Few large orders make few large variances: among the 1,000 customers of a small variant there is often none of the
handful who spend a fortune, and then its mean and its variance are both too low, and the small mean looks certain. So
no variant's variance (of one customer) is taken to be below that of both together. Where both spend alike that is the
better estimate, and where they do not it errs on the safe side. benchmarks/experiment_statistics.py measures both.
"""

from typing import NamedTuple

from state.experiments.estimates import Estimate, Metric
from state.experiments.sums import Sums


class Stratum(NamedTuple):
    """The customers of one time."""

    control: Sums
    variant: Sums


class Side:
    """Weighted sums of one variant's estimates."""

    __slots__ = ("_carried", "_value", "_variance", "_weight")

    def __init__(self) -> None:
        self._value = self._variance = self._weight = self._carried = 0.0

    def take(self, estimate: Estimate, spread: float, weight: float) -> None:
        """That of one more stratum, the variance of one customer not below `spread`."""
        part = weight * estimate.value
        self._weight += weight
        self._value += part
        self._variance += weight * weight * max(estimate.variance, spread / estimate.customers)
        if estimate.support > 0:
            self._carried += part * part / estimate.support

    @property
    def value(self) -> float:
        """The average; there is a stratum."""
        return self._value / self._weight

    @property
    def variance(self) -> float:
        """Of the average."""
        return self._variance / (self._weight * self._weight)

    @property
    def support(self) -> float:
        """Of the average, as that of an estimate."""
        return self._value * self._value / self._carried if self._carried else 0.0


class Averages:
    """Both variants over all strata that have enough customers of both; the others are left out, and counted."""

    __slots__ = ("control", "customers", "customers_left_out", "strata", "strata_left_out", "variant", "weight")

    def __init__(self) -> None:
        self.control, self.variant = Side(), Side()
        self.weight = 0.0
        """Sum of m."""
        self.customers = self.customers_left_out = self.strata = self.strata_left_out = 0

    def take(self, metric: Metric, stratum: Stratum, least_customers: int) -> None:
        """One stratum more; left out with fewer customers of either variant, or where the metric is not defined."""
        of_control, of_variant = stratum.control.customers, stratum.variant.customers
        customers = of_control + of_variant
        control = metric(stratum.control) if min(of_control, of_variant) >= least_customers else None
        variant = None if control is None else metric(stratum.variant)
        if control is None or variant is None:
            self.strata_left_out += 1
            self.customers_left_out += customers
            return
        weight = of_control * of_variant / customers
        together = _spread_together(control, variant)
        self.control.take(control, together, weight)
        self.variant.take(variant, together, weight)
        self.weight += weight
        self.strata += 1
        self.customers += customers


def _spread_together(one: Estimate, other: Estimate) -> float:
    """The variance of one customer of either, around the value of her variant."""
    spread = one.customers**2 * one.variance + other.customers**2 * other.variance
    return spread / (one.customers + other.customers)
