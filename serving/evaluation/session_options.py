"""Options of the neighbourhood methods that look for similar sessions.

Named as in the session-rec framework of the authors (rn5l/session-rec on GitHub, algorithms/knn/vsknn.py). The grid
that it searches for the RecSys Challenge 2015 data is searched by `python -m benchmarks.next_item_options`, too.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import log10, sqrt
from typing import Final, Literal

Decay = Literal["same", "div", "linear", "log", "quadratic"]
Similarity = Literal["vec", "cosine"]


@dataclass(frozen=True, slots=True)
class KnnOptions:
    """The items of the `k` most similar of the `sample` most recent sessions that share an item count."""

    k: int
    sample: int
    similarity: Similarity = "vec"
    """What a neighbour shares of the weights: divided by the number of items, or as a cosine of the two."""
    weighting: Decay = "div"
    """What the items of the session so far weigh, later ones more."""
    weighting_score: Decay = "linear"
    """What a neighbour's items count less by, the earlier the last item is that it shares."""
    idf: float = 0.0
    """Times the inverse document frequency of an item, its score counts more; 0: not at all."""

    def weights(self, so_far: Sequence[str]) -> dict[str, float]:
        """Of each item of the session by its last place there."""
        weigh = _WEIGHTS[self.weighting]
        return {item: weigh(place, len(so_far)) for place, item in enumerate(so_far, 1)}

    def similarity_to(self, weights: dict[str, float]) -> Callable[[AbstractSet[str]], float]:
        """How similar a session of these items is."""
        if self.similarity == "vec":
            return lambda items: sum(weights[item] for item in weights if item in items) / len(weights)
        length = sqrt(sum(weight * weight for weight in weights.values()))
        return lambda items: sum(weights[item] for item in weights if item in items) / (length * sqrt(len(items)))

    def decays(self, so_far: Sequence[str]) -> list[tuple[str, float]]:
        """(item, what a neighbour counts whose last shared item it is), the last item first."""
        decay = _DECAYS[self.weighting_score]
        return [(item, decay(step)) for step, item in enumerate(reversed(so_far), 1)]


_WEIGHTS: Final[dict[Decay, Callable[[int, int], float]]] = {
    "same": lambda place, length: 1.0,
    "div": lambda place, length: place / length,
    "linear": lambda place, length: max(0.0, 1 - 0.1 * (length - place)),
    "log": lambda place, length: 1 / log10(length - place + 1.7),
    "quadratic": lambda place, length: (place / length) ** 2,
}
"""By the place (from 1) in a session of a length. (In the framework `linear` becomes negative beyond ten items.)"""
_DECAYS: Final[dict[Decay, Callable[[int], float]]] = {
    "same": lambda step: 1.0,
    "div": lambda step: 1 / step,
    "linear": lambda step: max(0.1, 1 - 0.1 * (step - 1)),
    "log": lambda step: 1 / log10(step + 1.7),
    "quadratic": lambda step: 1 / (step * step),
}
"""By steps back, 1 for the last item. (In the framework `linear` is less by 0.1, and becomes negative.)"""

VS_KNN: Final = KnnOptions(
    k=500, sample=2_500, similarity="cosine", weighting="log", weighting_score="quadratic", idf=10.0
)
"""Chosen of that grid on a validation day of the RecSys Challenge 2015 data (docs/recommendations.md)."""
VS_KNN_USUAL: Final = KnnOptions(k=100, sample=500)
"""The usual sizes of the two, and the linear weights of the paper."""
S_KNN: Final = KnnOptions(k=100, sample=500, similarity="cosine", weighting="same", weighting_score="same")
