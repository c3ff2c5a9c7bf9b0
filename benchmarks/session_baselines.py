"""Published neighbourhood methods for the next item of a session, written from their papers, to compare with.

* `ItemKnn`: cosine of items over the sessions they occur in, damped for rare items; the baseline of Hidasi,
  Karatzoglou, Baltrunas, Tikk: "Session-based Recommendations with Recurrent Neural Networks" (ICLR 2016).
* `SequentialRules` (SR), `SessionKnn` (S-KNN) and `VectorSessionKnn` (V-SKNN): Ludewig, Jannach: "Evaluation of
  Session-based Recommendation Algorithms" (User Modeling and User-Adapted Interaction 28, 2018).

Each learns from sessions (items in order, oldest session first) and maps a session so far to scores of items.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nlargest
from math import sqrt
from typing import Protocol

Session = Sequence[str]
Scores = dict[str, float]


class Recommender(Protocol):
    """What scores the next items of a session."""

    def scores(self, so_far: Session) -> Scores:
        """Items that may come next; higher is likelier; those not named score nothing."""
        ...


class ItemKnn:
    """Items that share sessions with the last item: n_ab / sqrt((n_a + damping) * (n_b + damping))."""

    def __init__(self, sessions: Sequence[Session], damping: int = 20, neighbours: int = 100) -> None:
        count: Counter[str] = Counter()
        pairs: dict[str, Counter[str]] = defaultdict(Counter)
        for session in sessions:
            items = set(session)
            count.update(items)
            for a in items:
                pairs[a].update(items - {a})
        self._neighbours = {
            a: dict(
                nlargest(
                    neighbours,
                    ((b, n / sqrt((count[a] + damping) * (count[b] + damping))) for b, n in sorted(partners.items())),
                    key=lambda entry: entry[1],
                )
            )
            for a, partners in pairs.items()
        }

    def scores(self, so_far: Session) -> Scores:
        return self._neighbours.get(so_far[-1], {})


class SequentialRules:
    """What followed the last item, within `steps`, counted 1 / distance."""

    def __init__(self, sessions: Sequence[Session], steps: int = 10) -> None:
        self._rules: dict[str, Scores] = defaultdict(dict)
        for session in sessions:
            for at, b in enumerate(session):
                for distance in range(1, min(steps, at) + 1):
                    a = session[at - distance]
                    if a != b:
                        self._rules[a][b] = self._rules[a].get(b, 0.0) + 1 / distance

    def scores(self, so_far: Session) -> Scores:
        return self._rules.get(so_far[-1], {})


class SessionKnn:
    """Items of the `k` most similar (cosine of sets) of the `sample` most recent sessions that share an item."""

    def __init__(self, sessions: Sequence[Session], k: int = 100, sample: int = 500) -> None:
        self._k, self._sample = k, sample
        self._items = [frozenset(session) for session in sessions]
        self._of_item: dict[str, list[int]] = defaultdict(list)
        for place, items in enumerate(self._items):
            for item in items:
                self._of_item[item].append(place)

    def scores(self, so_far: Session) -> Scores:
        weights = self._weights(so_far)
        sharing = {place for item in weights for place in self._of_item.get(item, ())}
        recent = nlargest(self._sample, sharing)
        similar = nlargest(self._k, ((self._similarity(weights, self._items[place]), place) for place in recent))
        scores: Scores = defaultdict(float)
        for similarity, place in similar:
            gain = similarity * self._gain(so_far, self._items[place])
            for item in self._items[place]:
                scores[item] += gain
        return scores

    def _weights(self, so_far: Session) -> Scores:
        return dict.fromkeys(so_far, 1.0)

    def _similarity(self, weights: Scores, other: frozenset[str]) -> float:
        return sum(weights[item] for item in weights if item in other) / sqrt(len(weights) * len(other))

    def _gain(self, so_far: Session, other: frozenset[str]) -> float:
        return 1.0


class VectorSessionKnn(SessionKnn):
    """S-KNN in which later items of the session so far weigh more, and so do sessions that share a late one."""

    def _weights(self, so_far: Session) -> Scores:
        return {item: (place + 1) / len(so_far) for place, item in enumerate(so_far)}

    def _similarity(self, weights: Scores, other: frozenset[str]) -> float:
        return sum(weights[item] for item in weights if item in other) / len(weights)

    def _gain(self, so_far: Session, other: frozenset[str]) -> float:
        steps_back = next(back for back, item in enumerate(reversed(so_far)) if item in other)
        return max(0.1, 1 - 0.1 * steps_back)
