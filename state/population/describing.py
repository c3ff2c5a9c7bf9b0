"""Words and numbers for what sets each cluster apart from everybody."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from state.population.axes import Axis
from state.population.cluster_names import NAME_MAX
from state.population.model import Trait
from state.population.scaling import Matrix
from state.population.seeding import Labels, means

TRAITS_MAX: Final = 6
WORDS_MAX: Final = 3
NOTABLE: Final = 0.5
"""Standard deviations from which a difference is worth a word."""
ORDINARY: Final = "like most"


def traits(axes: Sequence[Axis], raws: Matrix, labels: Labels, k: int) -> list[tuple[Trait, ...]]:
    """For each cluster, how it differs from the population: strongest first, one axis of a topic, at most TRAITS_MAX.

    The standardised difference of an axis is (mean of the cluster - mean of all) / standard deviation of all; 0 on an
    axis on which all are equal. A cluster without members has no traits.

    Args:
        raws: (n, axes) places of a sample.
        labels: (n,) clusters, 0 to k - 1.
    """
    averages, sizes = means(raws, labels, k)
    deviations = raws.std(axis=0)
    spans = np.where(deviations > 1e-9, deviations, np.inf)
    differences = (averages - raws.mean(axis=0)) / spans
    return [_strongest(axes, row) if size else () for row, size in zip(differences.tolist(), sizes, strict=True)]


def _strongest(axes: Sequence[Axis], differences: Sequence[float]) -> tuple[Trait, ...]:
    found: dict[str, Trait] = {}
    # among equals the first axis: the sort keeps the order
    for axis, difference in sorted(zip(axes, differences, strict=True), key=lambda pair: -abs(pair[1])):
        words = axis.high if difference > 0 else axis.low
        found.setdefault(axis.topic, Trait(axis.name, round(difference, 4), words))
    return tuple(found.values())[:TRAITS_MAX]


def labels_of(clusters: Sequence[Sequence[Trait]]) -> list[str]:
    """A short label for each cluster, such as "many orders, high spend, seen lately"; no two are alike.

    The strongest notable traits, WORDS_MAX of them; where two labels would be alike, the later one says a trait more,
    and at last it is numbered.
    """
    taken: list[str] = []
    for found in clusters:
        words = [trait.words for trait in found if abs(trait.difference) >= NOTABLE] or [ORDINARY]
        options = [", ".join(words[:count]) for count in range(min(WORDS_MAX, len(words)), len(words) + 1)]
        options += [f"{options[0][: NAME_MAX - 5]} ({number})" for number in range(2, len(clusters) + 2)]
        taken.append(next(label for label in options if label not in taken and len(label) <= NAME_MAX))
    return taken
