"""Published methods for the next item of a session, learning click by click, to compare with.

* `Popular`: the items viewed most, ever.
* `ItemKnn`: cosine of items over the sessions they occur in, damped for rare items: the baseline of Hidasi,
  Karatzoglou, Baltrunas, Tikk, "Session-based Recommendations with Recurrent Neural Networks" (ICLR 2016), asked for
  the last item.
* `SessionKnn` (S-KNN) and `VectorSessionKnn` (VS-KNN, V-SKNN): Ludewig, Jannach, "Evaluation of Session-based
  Recommendation Algorithms" (User Modeling and User-Adapted Interaction 28, 2018), with their usual sizes: the 100 most
  similar of the 500 most recent sessions that share an item.

They learn every click at once, and keep whole sessions: more than the lists that the pipeline publishes. A session is
never a neighbour of its own.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from heapq import nlargest
from math import sqrt
from typing import Protocol

Scores = dict[str, float]


class Baseline(Protocol):
    """What scores the next items of a session, and learns."""

    def scores(self, session: int, so_far: Sequence[str]) -> Scores:
        """Items that may come next, higher is likelier; `so_far`: oldest first, with repetitions."""
        ...

    def learn(self, session: int, item_id: str, so_far: Sequence[str]) -> None:
        """The next item came; `so_far`: those before it."""
        ...


class Popular:
    """See above."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._top: Scores = {}
        self._learned = 0

    def scores(self, session: int, so_far: Sequence[str]) -> Scores:
        if self._learned % 100 == 0 or not self._top:
            ranked = nlargest(100, self.counts.items(), key=lambda entry: (entry[1], entry[0]))
            self._top = {item_id: float(count) for item_id, count in ranked}
        return self._top

    def learn(self, session: int, item_id: str, so_far: Sequence[str]) -> None:
        self._learned += 1
        self.counts[item_id] += 1


class ItemKnn:
    """n_ab / sqrt((n_a + damping) * (n_b + damping)) for the last item a."""

    def __init__(self, damping: int = 20) -> None:
        self._damping = damping
        self._count: Counter[str] = Counter()
        self._pairs: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def scores(self, session: int, so_far: Sequence[str]) -> Scores:
        last, damping = so_far[-1], self._damping
        own = self._count[last] + damping
        partners = self._pairs.get(last, Counter())
        return {item: n / sqrt(own * (self._count[item] + damping)) for item, n in partners.items()}

    def learn(self, session: int, item_id: str, so_far: Sequence[str]) -> None:
        before = set(so_far)
        if item_id in before:
            return
        self._count[item_id] += 1
        for other in before:
            self._pairs[item_id][other] += 1
            self._pairs[other][item_id] += 1


class SessionKnn:
    """Items of similar sessions (cosine of sets), each with the similarity of its sessions."""

    def __init__(self, k: int = 100, sample: int = 500) -> None:
        self._k, self._sample = k, sample
        self._items: defaultdict[int, set[str]] = defaultdict(set)
        self._touched: dict[int, int] = {}
        self._clicks = 0
        # of each item, twice as many sessions as are ever looked at
        self._of_item: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=2 * sample))

    def scores(self, session: int, so_far: Sequence[str]) -> Scores:
        weights = self._weights(so_far)
        sharing = {place for item in weights for place in self._of_item.get(item, ()) if place != session}
        recent = nlargest(self._sample, sharing, key=self._touched.__getitem__)
        similar = nlargest(self._k, ((self._similarity(weights, self._items[place]), place) for place in recent))
        scores: defaultdict[str, float] = defaultdict(float)
        for similarity, place in similar:
            gain = similarity * self._gain(so_far, self._items[place])
            for item in self._items[place]:
                scores[item] += gain
        return scores

    def learn(self, session: int, item_id: str, so_far: Sequence[str]) -> None:
        self._clicks += 1
        self._touched[session] = self._clicks
        if item_id not in self._items[session]:
            self._items[session].add(item_id)
            self._of_item[item_id].append(session)

    def _weights(self, so_far: Sequence[str]) -> Scores:
        return dict.fromkeys(so_far, 1.0)

    def _similarity(self, weights: Scores, other: set[str]) -> float:
        return sum(weights[item] for item in weights if item in other) / sqrt(len(weights) * len(other))

    def _gain(self, so_far: Sequence[str], other: set[str]) -> float:
        return 1.0


class VectorSessionKnn(SessionKnn):
    """S-KNN in which later items of the session weigh more, and so do sessions that share a late one."""

    def _weights(self, so_far: Sequence[str]) -> Scores:
        return {item: (place + 1) / len(so_far) for place, item in enumerate(so_far)}

    def _similarity(self, weights: Scores, other: set[str]) -> float:
        return sum(weights[item] for item in weights if item in other) / len(weights)

    def _gain(self, so_far: Sequence[str], other: set[str]) -> float:
        steps_back = next(back for back, item in enumerate(reversed(so_far)) if item in other)
        return max(0.1, 1 - 0.1 * steps_back)


def baselines() -> dict[str, Baseline]:
    """A fresh one of each, by the name it has in tables."""
    return {
        "VS-KNN (2018)": VectorSessionKnn(),
        "S-KNN (2018)": SessionKnn(),
        "item-KNN (2016)": ItemKnn(),
        "most popular": Popular(),
    }
