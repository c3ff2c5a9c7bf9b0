"""Published methods for the next item of a session, learning click by click, to compare with.

* `Popular`: the items viewed most, ever.
* `ItemKnn`: cosine of items over the sessions they occur in, damped for rare items: the baseline of Hidasi,
  Karatzoglou, Baltrunas, Tikk, "Session-based Recommendations with Recurrent Neural Networks" (ICLR 2016), asked for
  the last item.
* `SessionKnn`: S-KNN and VS-KNN (V-SKNN) of Ludewig, Jannach, "Evaluation of Session-based Recommendation Algorithms"
  (User Modeling and User-Adapted Interaction 28, 2018), with the options that `session_options.py` tells of.

They learn every click at once, and keep whole sessions: more than the lists that the pipeline publishes. A session is
never a neighbour of its own.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from heapq import nlargest
from math import log, sqrt
from typing import Protocol

from serving.evaluation.session_options import S_KNN, VS_KNN, KnnOptions

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
    """Items of similar sessions, each with the similarity of its sessions."""

    def __init__(self, options: KnnOptions) -> None:
        self._options = options
        self._items: defaultdict[int, set[str]] = defaultdict(set)
        self._touched: dict[int, int] = {}
        self._clicks = 0
        self._sessions_with: Counter[str] = Counter()
        # of each item, twice as many sessions as are ever looked at
        self._of_item: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=2 * options.sample))

    def scores(self, session: int, so_far: Sequence[str]) -> Scores:
        options = self._options
        weights = options.weights(so_far)
        sharing = {place for item in weights for place in self._of_item.get(item, ()) if place != session}
        recent = nlargest(options.sample, sharing, key=self._touched.__getitem__)
        similarity = options.similarity_to(weights)
        similar = nlargest(options.k, ((similarity(self._items[place]), place) for place in recent))
        decays = options.decays(so_far)
        scores: defaultdict[str, float] = defaultdict(float)
        for likeness, place in similar:
            if not likeness:  # it shares nothing that weighs
                break
            items = self._items[place]
            gain = likeness * next(decay for item, decay in decays if item in items)
            for item in items:
                scores[item] += gain
        return {item: score * self._rarity(item) for item, score in scores.items()} if options.idf else scores

    def learn(self, session: int, item_id: str, so_far: Sequence[str]) -> None:
        self._clicks += 1
        self._touched[session] = self._clicks
        if item_id not in self._items[session]:
            self._items[session].add(item_id)
            self._sessions_with[item_id] += 1
            self._of_item[item_id].append(session)

    def _rarity(self, item_id: str) -> float:
        return 1 + self._options.idf * log(len(self._items) / self._sessions_with[item_id])


def baselines() -> dict[str, Baseline]:
    """A fresh one of each, by the name it has in tables."""
    return {
        "VS-KNN (2018)": SessionKnn(VS_KNN),
        "S-KNN (2018)": SessionKnn(S_KNN),
        "item-KNN (2016)": ItemKnn(),
        "most popular": Popular(),
    }
