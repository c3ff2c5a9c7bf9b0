"""What is measured of the answers, with confidence intervals.

Of each question the rank of the item that came (0: it is not among the first k):

* HR@k, hit rate: the share of questions with a rank.
* MRR@k: the mean of 1 / rank, 0 without one.
* NDCG@k: the mean of 1 / log2(1 + rank), 0 without one (with one right item the ideal is 1).

Of all answers together:

* coverage: items shown at least once, of all that were known.
* popularity: the mean place of the shown items among all known ones by popularity, 0 the most and 1 the least popular.
* gini: how unequally the showings are spread over the known items: 0 evenly, 1 all on one.

Questions of one visitor are not independent: intervals come from drawing visitors, not questions (cluster bootstrap:
Field, Welsh, "Bootstrapping clustered data", JRSS B 69, 2007). For the measures of all answers together they are drawn
in at most `showings.GROUPS` groups, and the interval is what was measured plus how far a draw is from the mean of the
draws, but never beside what was measured: a draw holds 63 % of the visitors, some of them several times, so that it
covers fewer items than as many other visitors would, by an amount that says nothing of chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

import numpy as np
from numpy.typing import NDArray

from serving.evaluation.showings import Showings

SAMPLES = 1_000
LEVEL = 0.95
_AT_ONCE = 2_000_000
"""So many counts of items are held at a time, of several draws."""


@dataclass(slots=True)
class Tally:
    """The answers of one method. Bound: one rank a question, and that of `Showings`."""

    visitors: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    shown: Showings = field(default_factory=Showings)
    seconds: float = 0.0
    """Spent on answering."""

    def add(self, visitor: int, items: Sequence[str], came: str) -> None:
        """One answer, and the item that came."""
        self.visitors.append(visitor)
        self.ranks.append(items.index(came) + 1 if came in items else 0)
        self.shown.add(visitor, items)


@dataclass(frozen=True, slots=True)
class Interval:
    """What was measured, of most measures a mean, with its bootstrap interval."""

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
    coverage: Interval
    popularity: Interval
    gini: Interval
    microseconds: float
    """For one answer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a method has more than another."""

    hit_rate: Interval
    reciprocal_rank: Interval
    ndcg: Interval


def report(tally: Tally, popularity: Mapping[str, float], seed: int = 1) -> Report:
    """Measure; `popularity`: how popular each known item is, as of the end."""
    hit_rate, reciprocal, ndcg = _intervals(_values(tally), np.asarray(tally.visitors, dtype=np.int64), seed)
    coverage, place, gini = _spread(tally.shown, popularity, seed)
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


def _spread(showings: Showings, popularity: Mapping[str, float], seed: int) -> list[Interval]:
    """Coverage, mean place by popularity and Gini coefficient over the known items."""
    ranked = sorted(popularity, key=lambda item_id: (-popularity[item_id], item_id))
    places, matrix = showings.matrix({item_id: place for place, item_id in enumerate(ranked)})
    known, groups = len(ranked), matrix.shape[1]
    if not len(places):
        return [Interval(0.0, 0.0, 0.0)] * 3
    found = _spread_of(matrix @ np.ones((groups, 1)), places, known)[0]
    random = np.random.default_rng(seed)
    at_once = max(1, min(SAMPLES, _AT_ONCE // len(places)))
    draws = np.empty((SAMPLES, 3))
    for start in range(0, SAMPLES, at_once):
        samples = min(at_once, SAMPLES - start)
        drawn = [np.bincount(random.integers(0, groups, groups), minlength=groups) for _ in range(samples)]
        draws[start : start + samples] = _spread_of(matrix @ np.transpose(drawn).astype(float), places, known)
    tail = (1 - LEVEL) / 2
    low, high = found + np.quantile(draws, [tail, 1 - tail], axis=0) - draws.mean(axis=0)
    low, high = np.clip(low, 0, found), np.clip(high, found, 1)
    return [Interval(float(found[i]), float(low[i]), float(high[i])) for i in range(3)]


def _spread_of(counts: NDArray[np.float64], places: NDArray[np.int64], known: int) -> NDArray[np.float64]:
    """Of several draws the three measures.

    Args:
        counts: shown items x draws, how often an item was shown.
        places: of the shown items by popularity, from 0.
        known: how many items there are; those that were not shown are not among the counts.

    Returns:
        Draws x (coverage, mean place, Gini coefficient); zeros of a draw in which nothing was shown.
    """
    totals = counts.sum(axis=0)
    shown = np.maximum(totals, 1)
    coverage = (counts > 0).sum(axis=0) / known
    place = places @ counts / max(1, known - 1) / shown
    order = 2 * np.arange(known - len(places) + 1, known + 1) - known - 1  # those that were not shown come before them
    gini = order @ np.sort(counts, axis=0) / (known * shown)
    return np.stack([coverage, place, gini * (totals > 0)], axis=1)
