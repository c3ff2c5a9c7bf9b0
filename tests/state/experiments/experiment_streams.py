"""Simulated customers of two variants, and their sums after so many of them."""

from collections.abc import Iterator

import numpy as np

from state.experiments.sums import Outcome, Sums
from state.experiments.weighting import Stratum


def summed(outcomes: list[Outcome]) -> Sums:
    """Of a list of customers."""
    sums = Sums()
    for outcome in outcomes:
        sums.add(outcome)
    return sums


class Stream:
    """Customers in the order in which they come, each with a variant and an outcome."""

    def __init__(
        self, rng: np.random.Generator, customers: int, *, share: float = 0.5, effect: float = 0.0, base: float = 1.0
    ) -> None:
        """
        Args:
            rng: draws everything.
            customers: how many come.
            share: of them that the variant gets.
            effect: its relative effect on clicks and orders.
            base: on what both do: clicks and orders times so much.
        """
        self.variant = rng.random(customers) < share
        factor = base * np.where(self.variant, 1 + effect, 1.0)
        shown = rng.geometric(0.2, customers)
        clicked = rng.binomial(shown, np.clip(factor * rng.beta(1.0, 9.0, customers), 0, 1))
        orders = rng.binomial(1, np.clip(0.2 * factor, 0, 1)) * rng.geometric(0.7, customers)
        cents = np.where(orders > 0, orders * np.exp(rng.normal(8, 1, customers)), 0).astype(np.int64)
        self.columns = {
            "customers": np.ones(customers, dtype=np.int64),
            "shown": shown,
            "shown2": shown * shown,
            "clicked": clicked,
            "clicked2": clicked * clicked,
            "shown_clicked": shown * clicked,
            "converted": (orders > 0).astype(np.int64),
            "orders": orders,
            "orders2": orders * orders,
            "cents": cents,
            "cents2": cents * cents,
            "orders_cents": orders * cents,
        }

    def looks(self, every: int) -> Iterator[Stratum]:
        """The sums of both variants after every so many customers."""
        running = [
            {name: np.cumsum(values * side)[every - 1 :: every].tolist() for name, values in self.columns.items()}
            for side in (~self.variant, self.variant)
        ]
        for at in range(len(self.variant) // every):
            yield Stratum(*(Sums(**{name: values[at] for name, values in side.items()}) for side in running))

    def all(self) -> Stratum:
        """The sums of both variants at the end."""
        return next(self.looks(len(self.variant)))
