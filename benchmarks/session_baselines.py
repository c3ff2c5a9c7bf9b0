"""Published neighbourhood methods for the next item of a session, written from their papers, to compare with.

* `ItemKnn`: cosine of items over the sessions they occur in, damped for rare items; the baseline of Hidasi,
  Karatzoglou, Baltrunas, Tikk: "Session-based Recommendations with Recurrent Neural Networks" (ICLR 2016).
* `SequentialRules` (SR) and `SessionKnn` (S-KNN and, with other options, VS-KNN): Ludewig, Jannach: "Evaluation of
  Session-based Recommendation Algorithms" (User Modeling and User-Adapted Interaction 28, 2018).

Each learns from sessions (items in order, oldest session first) and maps a session so far to scores of items.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nlargest
from math import sqrt
from typing import Protocol

from serving.evaluation.baselines import SessionKnn as ClickByClick
from serving.evaluation.session_options import KnnOptions

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
    """S-KNN and VS-KNN as `segmill evaluate` has them, all sessions learned beforehand."""

    def __init__(self, sessions: Sequence[Session], options: KnnOptions) -> None:
        self._method = ClickByClick(options)
        for number, session in enumerate(sessions):
            for at, item in enumerate(session):
                self._method.learn(number, item, session[:at])

    def scores(self, so_far: Session) -> Scores:
        return self._method.scores(-1, so_far)
