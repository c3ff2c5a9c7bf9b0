"""What is measured of the answers, with confidence intervals.

Of each question the rank of the item that came (0: it is not among the first k):

* HR@k, hit rate: the share of questions with a rank.
* MRR@k: the mean of 1 / rank, 0 without one.
* NDCG@k: the mean of 1 / log2(1 + rank), 0 without one (with one right item the ideal is 1).

Of all answers together:

* coverage: items shown at least once, of all that were known.
* popularity: the mean place of the shown items among all known ones by popularity, 0 the most and 1 the least popular.
* gini: how unequally the showings are spread over the known items: 0 evenly, 1 all on one.

Questions of one visitor are not independent: intervals come from drawing visitors, not questions (cluster bootstrap).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1_000
LEVEL = 0.95


@dataclass(slots=True)
class Tally:
    """The answers of one method. Bound: one rank a question, one count an item."""

    visitors: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    shown: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Spent on answering."""

    def add(self, visitor: int, items: Sequence[str], came: str) -> None:
        """One answer, and the item that came."""
        self.visitors.append(visitor)
        self.ranks.append(items.index(came) + 1 if came in items else 0)
        self.shown.update(items)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a method reached."""

    questions: int
    hit_rate: Interval
    reciprocal_rank: Interval
    ndcg: Interval
    coverage: float
    popularity: float
    gini: float
    microseconds: float
    """For one answer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a method has more than another."""

    hit_rate: Interval
    reciprocal_rank: Interval
    ndcg: Interval


def report(tally: Tally, popularity: Mapping[str, float], seed: int = 1) -> Report:
    """Measure; `popularity`: of all known items, as of the end."""
    hit_rate, reciprocal, ndcg = _intervals(_values(tally), np.asarray(tally.visitors, dtype=np.int64), seed)
    coverage, place, gini = _spread(tally.shown, popularity)
    questions = len(tally.ranks)
    return Report(questions, hit_rate, reciprocal, ndcg, coverage, place, gini, 1e6 * tally.seconds / max(1, questions))


def difference(tally: Tally, other: Tally, seed: int = 1) -> Difference | None:
    """What a method has more than another, question by question; None if they were not asked the same."""
    if tally.visitors != other.visitors or not tally.visitors:
        return None
    visitors = np.asarray(tally.visitors, dtype=np.int64)
    return Difference(*_intervals(_values(tally) - _values(other), visitors, seed))


def _values(tally: Tally) -> NDArray[np.float64]:
    """Of each question: hit, 1 / rank, 1 / log2(1 + rank)."""
    ranks = np.asarray(tally.ranks, dtype=np.int64)
    values = np.zeros((len(ranks), 3))
    hit = ranks > 0
    values[hit, 0] = 1.0
    values[hit, 1] = 1.0 / ranks[hit]
    values[hit, 2] = [1.0 / log2(1 + int(rank)) for rank in ranks[hit]]
    return values


def _intervals(values: NDArray[np.float64], visitors: NDArray[np.int64], seed: int) -> list[Interval]:
    """Of each column: visitors are drawn with replacement, `SAMPLES` times."""
    if not len(values):
        return [Interval(0.0, 0.0, 0.0)] * values.shape[1]
    _, of = np.unique(visitors, return_inverse=True)
    count = int(of.max()) + 1
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, of, values)
    asked = np.bincount(of, minlength=count).astype(float)
    random = np.random.default_rng(seed)
    means = np.empty((SAMPLES, values.shape[1]))
    for sample in range(SAMPLES):
        drawn = np.bincount(random.integers(0, count, count), minlength=count)
        means[sample] = drawn @ sums / (drawn @ asked)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    mean = values.mean(axis=0)
    return [Interval(float(mean[i]), float(low[i]), float(high[i])) for i in range(values.shape[1])]


def _spread(shown: Mapping[str, int], popularity: Mapping[str, float]) -> tuple[float, float, float]:
    """(coverage, mean place by popularity, Gini coefficient) over the known items."""
    ranked = sorted(popularity, key=lambda item_id: (-popularity[item_id], item_id))
    total = sum(shown.get(item_id, 0) for item_id in ranked)
    if not ranked or not total:
        return 0.0, 0.0, 0.0
    last = max(1, len(ranked) - 1)
    place = sum(shown.get(item_id, 0) * at / last for at, item_id in enumerate(ranked)) / total
    counts = np.sort(np.asarray([shown.get(item_id, 0) for item_id in ranked], dtype=float))
    n = len(counts)
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ counts / (n * total))
    return sum(1 for item_id in ranked if shown.get(item_id)) / n, place, gini
