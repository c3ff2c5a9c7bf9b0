"""The bound that an estimate may be held to at every look: that of a normal mixture.

An estimate off by d, with variance v, becomes the score z = d / sqrt(v). A fixed bound on |z| holds for one look;
looked at again and again, |z| exceeds every fixed bound some day. Robbins' mixture weighs all effects by a normal
density and gives the likelihood ratio

    E = (1 + t)^(-1/2) exp(z^2 / 2 * t / (1 + t)),  t = time * rho^2,

a martingale where there is no effect, so that it exceeds 1 / alpha at any time at all with a probability of at most
alpha (Ville). Hence at every look at once: p = min(1, 1 / E), and intervals d +- sqrt(v k(t)) with

    k(t) = (1 + 1 / t) log((1 + t) / alpha^2).

For sums of independent outcomes with an estimated variance this holds asymptotically (Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52,
2024; in use: Maharaj and others, "Anytime-valid confidence sequences in an enterprise A/B testing platform", WWW
Companion 2023). It is the mixture sequential probability ratio test of Johari, Koomen, Pekelis and Walsh ("Always
valid inference: continuous monitoring of A/B tests", Operations Research 70, 2022), with a prior in units of the
outcome's standard deviation.

`rho^2` says at which time the intervals are tightest, compared with those of a single look. k is least where u = 1 +
t solves u - log u = 1 - 2 log alpha (so u = -W(-alpha^2 / e), with the lower branch of Lambert's function), and then
k = u: 9.2 for alpha = 0.05, where a single look has 1.96^2 = 3.8.
"""

from functools import lru_cache
from math import exp, log, log1p

from state.experiments.checks import between_0_and_1

_ROUNDS = 60
"""The step below shrinks errors by 1 / u, that is by at least half."""


@lru_cache(maxsize=64)
def tightest(alpha: float) -> float:
    """The least factor k on the variance, over all times; at t = k - 1.

    Worked out once: a report asks for that of one level again and again.

    Raises:
        ValueError: `alpha` is not above 0 and below 1.
    """
    between_0_and_1("alpha", alpha)
    u = 2 - 2 * log(alpha)
    for _ in range(_ROUNDS):
        u = 1 - 2 * log(alpha) + log(u)
    return u


def factor(t: float, alpha: float) -> float:
    """k(t), by which the variance is multiplied for the squared half width; t > 0."""
    return (1 + 1 / t) * (log1p(t) - 2 * log(alpha))


def p_value(squared_score: float, t: float) -> float:
    """min(1, 1 / E) of z^2; at most alpha exactly where z^2 is at least k(t)."""
    log_e = squared_score / 2 * t / (1 + t) - log1p(t) / 2
    return exp(-log_e) if log_e > 0 else 1.0
