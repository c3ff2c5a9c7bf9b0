"""Customers who fill carts, and customers who only look, as they stand on the default axes from day to day."""

from random import Random

from state.population.axes import RawPoint, slog
from state.population.habits import Move

COMERS = 120


class Shop:
    """Some come again each day, and some for the first time."""

    def __init__(self, seed: int, keen_share: float = 0.5) -> None:
        self.random, self.keen_share = Random(seed), keen_share
        self.counts: dict[int, list[int]] = {}
        self.keen: dict[int, bool] = {}

    def day(self, newcomers: int = 10) -> list[Move]:
        """Of those who come."""
        return list(self.numbered_day(newcomers).values())

    def numbered_day(self, newcomers: int = 10) -> dict[int, Move]:
        """The same, by customer."""
        random, first = self.random, len(self.counts)
        for number in range(first, first + newcomers):
            self.counts[number], self.keen[number] = [0, 0], random.random() < self.keen_share
        moves = {}
        for number in sorted(random.sample(sorted(self.counts), min(COMERS, len(self.counts)))):
            before = place(self.counts[number])
            views = random.randrange(3, 12)
            self.counts[number][0] += views
            self.counts[number][1] += sum(random.random() < (0.3 if self.keen[number] else 0.05) for _ in range(views))
            moves[number] = Move(before, place(self.counts[number]))
        return moves

    def turn_round(self) -> None:
        """Every second customer becomes one of the other kind; about as many are keen as before."""
        for number in self.keen:
            if self.random.random() < 0.5:
                self.keen[number] = not self.keen[number]


def place(counts: list[int]) -> RawPoint:
    """Of views and cart adds; nobody orders."""
    views, carts = (slog(count) for count in counts)
    return (views, carts - views, slog(0) - carts, slog(0), slog(1.0))
