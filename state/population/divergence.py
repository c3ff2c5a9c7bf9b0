"""How far a feature's distribution has moved between two moments: counts over fixed bins, and two measures of them."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from statistics import NormalDist
from typing import Final

import msgspec

from state.packing import pack
from state.population.percentiles import percentiles_of
from state.population.refusal import PopulationError, ascending, unpack_versioned
from state.population.scales import Number
from state.population.sketch import QuantileSketch

VERSION: Final = 1
DECILES: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90)
SMOOTHING: Final = 0.5
"""What each bin counts more than it holds, so that an empty one is rare and not impossible (Krichevsky and Trofimov,
"The Performance of Universal Encoding", IEEE Transactions on Information Theory 27, 1981)."""


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index of counts over the same bins: sum of (a - e) ln(a / e) over the bins' shares e and a.

    Shares are (count + 1/2) / (total + bins / 2). 0: the same shares; it is the sum of both Kullback-Leibler
    divergences, and does not depend on which side is which. By custom below 0.1 is no change, and above 0.25 a great
    one (Siddiqi, "Credit Risk Scorecards", 2006).

    Raises:
        PopulationError: different numbers of bins, no bin, a negative count, or a side without any.
    """
    return sum((a - e) * log(a / e) for e, a in _shares(expected, actual))


def kl(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Kullback-Leibler divergence of the actual from the expected shares, in nats: sum of a ln(a / e) (see `psi`).

    (Kullback and Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics 22, 1951.)

    Raises:
        PopulationError: as `psi`.
    """
    return max(0.0, sum(a * log(a / e) for e, a in _shares(expected, actual)))


def psi_by_chance(bins: int, expected: int, actual: int, false_alarms: float) -> float:
    """The index that two samples of one distribution exceed with a probability of `false_alarms`.

    Without a change the index divided by (1/n + 1/m) has nearly a chi-squared distribution with `bins` - 1 degrees of
    freedom (Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14, 2020); its quantile is that of Wilson and Hilferty ("The distribution of chi-square", PNAS 17,
    1931), off by -2.5 to 7.2 % down to one in 10,000. Two snapshots of mostly the same customers are nearer to each
    other than samples are.

    Args:
        bins: how many.
        expected: customers counted on the one side (n).
        actual: and on the other (m).
        false_alarms: between 0 and 1.

    Raises:
        PopulationError: an argument is out of its range.
    """
    if bins < 1 or expected < 1 or actual < 1 or not 0 < false_alarms < 1:
        raise PopulationError("psi_by_chance takes positive numbers, and a share of false alarms between 0 and 1")
    if bins == 1:
        return 0.0
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    root = 1 - spread + NormalDist().inv_cdf(1 - false_alarms) * sqrt(spread)
    return freedom * max(0.0, root) ** 3 * (1 / expected + 1 / actual)


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """A feature's distribution when a model was made: edges at its deciles, and how many customers lay between them.

    Bin i holds the values above edge i - 1 and up to edge i; the last one, what lies above all edges. Where many have
    the same value deciles coincide, and there are fewer bins. Edges are values, not buckets: an engagement of 3 is the
    same engagement a week later.

    Bound: 9 edges, 11 counts.
    """

    feature: str
    edges: tuple[Number, ...]
    counts: tuple[int, ...]
    positive: bool = False
    """Only those above 0 are counted one by one. With one count more, the first is of those who have none, though they
    were there: of a window's features, who has visits in it and no order, say."""

    @classmethod
    def of(
        cls,
        feature: str,
        sketch: QuantileSketch,
        at_ms: int,
        *,
        positive: bool = False,
        visits: QuantileSketch | None = None,
    ) -> "Bins | None":
        """As the customers are now; None without any.

        Args:
            feature: what is counted.
            sketch: of that, of all customers.
            at_ms: now.
            positive: of those above 0 only ...
            visits: ... and of those who have none of it, but of this.

        Raises:
            PopulationError: the sketch is not on the feature's scale.
        """
        deciles = percentiles_of(feature, sketch, DECILES, positive=positive)
        if deciles is None:
            return None
        edges = tuple(sketch.scale.value(bucket, at_ms) for bucket in sorted(set(deciles.buckets)))
        found = cls(feature=feature, edges=edges, counts=(), positive=positive)
        return msgspec.structs.replace(found, counts=found._counts(sketch, at_ms, visits))

    @property
    def with_none(self) -> bool:
        """Whether those are counted, too, who were there and have none."""
        return len(self.counts) == len(self.edges) + 2

    def count(self, sketch: QuantileSketch, at_ms: int, visits: QuantileSketch | None = None) -> tuple[int, ...]:
        """How many customers lie between the same edges now; `visits`: as in `of`, if it was told then."""
        return self._counts(sketch, at_ms, (visits or QuantileSketch(sketch.scale)) if self.with_none else None)

    def _counts(self, sketch: QuantileSketch, at_ms: int, visits: QuantileSketch | None) -> tuple[int, ...]:
        least = sketch.up_to(sketch.scale.bucket(0, at_ms)) if self.positive else 0
        sums = [sketch.up_to(sketch.scale.bucket(edge, at_ms)) for edge in self.edges]
        counts = _between(least, sums, len(sketch))
        if visits is None:
            return counts
        there = len(visits) - visits.up_to(visits.scale.bucket(0, at_ms))
        return (max(0, there - (len(sketch) - least)), *counts)

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, self.feature, self.edges, self.counts, self.positive])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Bins":
        """The bins again.

        Raises:
            PopulationError: the bytes are none of bins, or of a newer program's.
        """
        fields = unpack_versioned(packed, VERSION, "the bins of a feature")
        try:
            feature, edges, counts, *rest = fields  # the first ones had nothing behind the counts
            bins = cls(feature=feature, edges=tuple(edges), counts=tuple(counts), positive=bool(rest and rest[0]))
        except (TypeError, ValueError) as error:
            raise PopulationError(f"the bins of a feature cannot be read: {error}") from error
        if not ascending(bins.edges) or not 1 <= len(bins.counts) - len(bins.edges) <= 2:
            raise PopulationError("the bins of a feature cannot be read: edges and counts do not go together")
        return bins


def _between(least: int, sums: Sequence[int], total: int) -> tuple[int, ...]:
    return tuple(upper - lower for lower, upper in pairwise((least, *sums, total)))


def _shares(expected: Sequence[int], actual: Sequence[int]) -> list[tuple[float, float]]:
    for counts in (expected, actual):
        if not counts or len(counts) != len(expected) or min(counts) < 0 or not any(counts):
            raise PopulationError(f"counts {list(expected)} and {list(actual)} cannot be compared bin by bin")
    more = SMOOTHING * len(expected)
    whole_e, whole_a = sum(expected) + more, sum(actual) + more
    return [((e + SMOOTHING) / whole_e, (a + SMOOTHING) / whole_a) for e, a in zip(expected, actual, strict=True)]
