"""Whether the variants have the customers that their shares of traffic promise; to be looked at at any time.

A sample-ratio mismatch is a fault of the experiment, not an effect: customers of a variant whose page crashes, or who
are counted in another way, are not there to be counted, and those who are cannot be compared. Nothing that is said of
an experiment with a mismatch holds (Fabijan, Gupchup, Gupta, Omhover, Qin, Vermeer and Dmitriev, "Diagnosing sample
ratio mismatch in online controlled experiments", KDD 2019).

The test is that of Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: the promised
shares s against shares drawn from a Dirichlet distribution with mean s. The Bayes factor of counts n is

    B(c s + n) / B(c s) / prod s^n,  B the multivariate beta function,

a martingale where the shares are kept, so that it exceeds 1 / p at any time with a probability of at most p. It is
exact for every number of customers. c says how far off the shares are thought to be, about sqrt(s (1 - s) / c): with
a large c small mismatches of many customers are found sooner, with a small one large mismatches of few.

Of several times with different shares (strata) the product is taken, each time being a fresh draw. Where a share is 0
nobody may be counted at all: one customer is a mismatch.
"""

from collections.abc import Iterable, Mapping
from math import exp, inf, lgamma, log, sqrt
from typing import Literal, NamedTuple

import msgspec

from state.experiments.checks import above_0, between_0_and_1

RatioVerdict = Literal["mismatch", "as expected", "nobody yet"]


class SampleRatioSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How shares are judged.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    threshold: float = 0.001
    """Of the p-value: the greatest chance of ever calling a sound experiment mismatched. Lower than for metrics, as
    everything else is thrown away with it: 0.0005 is used by Fabijan et al., 0.001 advised by Kohavi, Tang and Xu
    ("Trustworthy online controlled experiments", 2020, chapter 21)."""
    concentration: float = 1_000.0
    """c: shares are thought to be off by about 1.6 points of 50, or 0.9 of 10."""

    def __post_init__(self) -> None:
        between_0_and_1("threshold", self.threshold)
        above_0("concentration", self.concentration)


class Shared(NamedTuple):
    """One time of constant shares."""

    shares: Mapping[str, float]
    """By variant, at least 0; of their sum, so that they need not add up to 1."""
    customers: Mapping[str, int]
    """Counted, by variant; none of one that is missing."""


class SampleRatio(NamedTuple):
    """What was found, over all times."""

    verdict: RatioVerdict
    p_value: float
    log_bayes_factor: float
    """Natural; infinite if somebody was counted where the share is 0."""
    variant: str | None
    """The one that is farthest from its share, by standard errors; the first by name of those that are equally far.
    None if none is off at all."""
    observed: int
    """Customers of that variant."""
    expected: float
    """How many there should be."""
    customers: int
    """Of all variants."""


def sample_ratio(strata: Iterable[Shared], settings: SampleRatioSettings) -> SampleRatio:
    """The test over all times.

    Raises:
        ValueError: a share or count is below 0 or not finite, or all shares of a time are 0.
    """
    log_factor = 0.0
    offs: dict[str, _Off] = {}
    for stratum in strata:
        shares, counts = _shares(stratum), stratum.customers
        log_factor += _log_bayes_factor(shares, counts, settings.concentration)
        customers = sum(counts.values())
        for name, share in shares.items():
            offs.setdefault(name, _Off()).take(counts.get(name, 0), customers, share)
    customers = sum(off.observed for off in offs.values())
    p_value = exp(-log_factor) if log_factor > 0 else 1.0
    verdict: RatioVerdict = "mismatch" if p_value <= settings.threshold else "as expected"
    if not customers:
        verdict = "nobody yet"
    worst = min(offs, key=lambda name: (-offs[name].errors, name), default=None)
    if worst is None or not offs[worst].errors:
        return SampleRatio(verdict, p_value, log_factor, None, 0, 0.0, customers)
    off = offs[worst]
    return SampleRatio(verdict, p_value, log_factor, worst, off.observed, off.expected, customers)


class _Off:
    """How far one variant is from its share."""

    __slots__ = ("expected", "impossible", "observed", "variance")

    def __init__(self) -> None:
        self.impossible = False
        self.observed = 0
        self.expected = self.variance = 0.0

    def take(self, observed: int, customers: int, share: float) -> None:
        self.impossible |= observed > 0 and not share
        self.observed += observed
        self.expected += customers * share
        self.variance += customers * share * (1 - share)

    @property
    def errors(self) -> float:
        """In standard errors, either way; infinite where nobody should be."""
        if self.impossible:
            return inf
        return abs(self.observed - self.expected) / sqrt(self.variance) if self.variance else 0.0


def _shares(stratum: Shared) -> dict[str, float]:
    """Of 1, of every variant that has a share or customers."""
    whole = sum(stratum.shares.values())
    if not 0 < whole < inf or min(stratum.shares.values()) < 0:
        raise ValueError(f"shares {dict(stratum.shares)}: must be at least 0, and one of them more")
    if any(count < 0 for count in stratum.customers.values()):
        raise ValueError(f"customers {dict(stratum.customers)}: must be at least 0")
    names = {**stratum.shares, **stratum.customers}
    return {name: stratum.shares.get(name, 0.0) / whole for name in names}


def _log_bayes_factor(shares: Mapping[str, float], counts: Mapping[str, int], concentration: float) -> float:
    found = lgamma(concentration) - lgamma(concentration + sum(counts.values()))
    for name, share in shares.items():
        count = counts.get(name, 0)
        if not count:
            continue
        if not share:
            return inf
        prior = concentration * share
        found += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return found
