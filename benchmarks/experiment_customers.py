"""Customers of two variants for `experiment_statistics`: many experiments at once, as running sums after every so many.

Each kind of outcome is about one metric, and knows what is true of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.experiments.sums import Sums
from state.experiments.weighting import Stratum

Column = NDArray[np.int64]
Rng = np.random.Generator
Draw = Callable[[Rng, NDArray[np.float64]], dict[str, Column]]
"""By names of `Sums`: what came of customers, given what multiplies each one's rate of clicks or orders."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One metric of simulated customers."""

    name: str
    metric: str
    mean: float
    """Of the metric, if the rate is multiplied by 1; it is in proportion to that."""
    draw: Draw


def clicks(name: str) -> Kind:
    """Ten impressions on average, from one to a hundred; a click rate of each customer's own, 10 % on average."""

    def draw(rng: Rng, factor: NDArray[np.float64]) -> dict[str, Column]:
        shown = rng.geometric(0.1, factor.shape)
        clicked = rng.binomial(shown, np.minimum(1, factor * rng.beta(1.0, 9.0, factor.shape)))
        return {
            "shown": shown, "shown2": shown * shown, "clicked": clicked, "clicked2": clicked * clicked,
            "shown_clicked": shown * clicked,
        }  # fmt: skip

    return Kind(name, "ctr", 0.1, draw)


def orders(name: str, rate: float) -> Kind:
    """So many of all customers order."""
    return Kind(name, "conversion", rate, lambda rng, factor: {"converted": _ordered(rng, rate * factor)})


def revenue(
    name: str, rate: float, amounts: Callable[[Rng, tuple[int, ...]], NDArray[np.float64]], mean: float
) -> Kind:
    """So many order, each once, for an amount in cents whose mean is told."""

    def draw(rng: Rng, factor: NDArray[np.float64]) -> dict[str, Column]:
        cents = np.rint(amounts(rng, factor.shape)).astype(np.int64) * _ordered(rng, rate * factor)
        return {"cents": cents, "cents2": cents * cents}

    return Kind(name, "revenue_per_customer_cents", rate * mean, draw)


def lognormal(name: str, rate: float, sigma: float) -> Kind:
    """A median of 20.00; sigma is that of the logarithm."""
    mean = float(2_000 * np.exp(sigma * sigma / 2))
    return revenue(name, rate, lambda rng, size: 2_000 * np.exp(rng.normal(0, sigma, size)), mean)


def pareto(name: str, rate: float, power: float) -> Kind:
    """From 10.00 on; the chance of more than x falls by this power of x. There is a variance above 2."""
    mean = 1_000 * power / (power - 1)
    return revenue(name, rate, lambda rng, size: 1_000 * (1 + rng.pareto(power, size)), mean)


def _ordered(rng: Rng, rate: NDArray[np.float64]) -> Column:
    return (rng.random(rate.shape) < rate).astype(np.int64)


@dataclass(slots=True)
class Running:
    """Sums of one experiment after each look, control and variant."""

    sides: tuple[dict[str, list[int]], dict[str, list[int]]]
    looks: int

    def stratum(self, look: int) -> Stratum:
        """Both variants at a look, counted from 0."""
        return Stratum(*(Sums(**{name: values[look] for name, values in side.items()}) for side in self.sides))


def experiments(
    rng: Rng, kind: Kind, customers: int, every: int, *, share: float = 0.5, effect: float = 0.0, base: float = 1.0
) -> Iterator[Running]:
    """Experiments without end.

    Args:
        rng: draws everything.
        kind: what comes of customers.
        customers: of each experiment, both variants together; a multiple of ...
        every: a look after so many.
        share: of the variant.
        effect: the variant's relative effect.
        base: multiplies the rates of both.
    """
    while True:
        variant = rng.random(customers) < share
        columns = kind.draw(rng, base * np.where(variant, 1 + effect, 1.0))
        columns["customers"] = np.ones(customers, dtype=np.int64)
        if "converted" in columns:
            columns |= {"orders": columns["converted"], "orders2": columns["converted"]}
        sides = tuple(
            {name: (values * side).reshape(-1, every).sum(axis=1).cumsum().tolist() for name, values in columns.items()}
            for side in (~variant, variant)
        )
        yield Running((sides[0], sides[1]), customers // every)


def trickling(rng: Rng, customers: int, looks: int, rate: float) -> Iterator[Running]:
    """Experiments whose customers are all there at the first look, and order now and then, `rate` times each in all."""
    while True:
        variant = rng.random(customers) < 0.5
        so_far = np.zeros(customers, dtype=np.int64)
        sides: tuple[dict[str, list[int]], ...] = ({}, {})
        for _ in range(looks):
            so_far += rng.poisson(rate / looks, customers)
            for side, who in zip(sides, (~variant, variant), strict=True):
                mine = so_far[who]
                values = {"customers": len(mine), "orders": int(mine.sum()), "orders2": int((mine * mine).sum())}
                for name, value in values.items():
                    side.setdefault(name, []).append(value)
        yield Running((sides[0], sides[1]), looks)
