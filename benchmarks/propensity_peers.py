"""What the scores are held against: the base rate, cells of recency and frequency, a batch model fitted each week.

All of them are told the outcomes at the same moments as the scores, and speak of the same snapshots.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from river import linear_model, optim, tree

from state.population.reliability import logistic
from state.population.score_inputs import INPUTS

Floats = NDArray[np.float64]
RECENCY, SEEN = INPUTS.index("recency_ms"), INPUTS.index("since_last_seen_ms")
ORDERS, VIEWS = INPUTS.index("orders_90d"), INPUTS.index("views_30d")


class Peer(Protocol):
    """Something that says probabilities."""

    def say(self, inputs: Floats) -> Floats:
        """Probabilities for the rows of `inputs`."""

    def hear(self, inputs: Floats, came: Floats) -> None:
        """Outcomes of a day."""


class BaseRate:
    """The same for everybody: the share so far."""

    def __init__(self) -> None:
        self.came = self.told = 1.0

    def say(self, inputs: Floats) -> Floats:
        return np.full(len(inputs), self.came / (self.told + 1.0))

    def hear(self, inputs: Floats, came: Floats) -> None:
        self.came += came.sum()
        self.told += len(came)


class Cells:
    """The share so far among those alike in recency of order and of visit, orders and views: logarithmic steps."""

    def __init__(self) -> None:
        self.base = BaseRate()
        self.cells: defaultdict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def _keys(self, inputs: Floats) -> list[tuple[int, ...]]:
        steps = np.stack([inputs[:, place] * 3 // 0.7 for place in (RECENCY, SEEN, ORDERS, VIEWS)], 1).astype(int)
        return [tuple(row) for row in steps.tolist()]

    def say(self, inputs: Floats) -> Floats:
        base = float(self.base.say(inputs[:1])[0])
        told = [self.cells.get(key, (0.0, 0.0)) for key in self._keys(inputs)]
        return np.array([(came + 5 * base) / (count + 5) for came, count in told])

    def hear(self, inputs: Floats, came: Floats) -> None:
        self.base.hear(inputs, came)
        for key, positive in zip(self._keys(inputs), came.tolist(), strict=True):
            self.cells[key][0] += positive
            self.cells[key][1] += 1


class Recency:
    """A rank, no probability: the newer the last order, the better (the older the last visit, for lapses)."""

    def __init__(self, place: int, sign: float) -> None:
        self.place, self.sign = place, sign

    def say(self, inputs: Floats) -> Floats:
        never = inputs[:, INPUTS.index("no_order")] * 10
        return np.array([logistic(x) for x in self.sign * (inputs[:, self.place] + never)])

    def hear(self, inputs: Floats, came: Floats) -> None:
        pass


class Batch:
    """Logistic regression on everything known, by Newton's method (IRLS) with a ridge of 1, every `days`."""

    def __init__(self, days: int = 7) -> None:
        self.days, self.day = days, 0
        self.rows: list[Floats] = []
        self.came: list[Floats] = []
        self.weights = np.zeros(len(INPUTS))

    def say(self, inputs: Floats) -> Floats:
        return 1 / (1 + np.exp(-np.clip(inputs @ self.weights, -30, 30)))

    def hear(self, inputs: Floats, came: Floats) -> None:
        self.rows.append(inputs)
        self.came.append(came)
        if self.day % self.days == 0:
            self.weights = irls(np.concatenate(self.rows), np.concatenate(self.came), self.weights)
        self.day += 1


def irls(rows: Floats, came: Floats, start: Floats, ridge: float = 1.0) -> Floats:
    """Weights of a logistic regression on all rows at once."""
    weights = start.copy()
    for _ in range(30):
        said = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (said - came) + ridge * weights
        curvature = (rows.T * (said * (1 - said))) @ rows + ridge * np.eye(rows.shape[1])
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


class OfRiver:
    """One of River's other models, on the same inputs, without calibration."""

    def __init__(self, name: str) -> None:
        self.model = {
            "SGD": lambda: linear_model.LogisticRegression(optim.SGD(0.02), intercept_lr=0.0),
            "Adam": lambda: linear_model.LogisticRegression(optim.Adam(0.003), intercept_lr=0.0),
            "FTRL": lambda: linear_model.LogisticRegression(optim.FTRLProximal(0.1, l1=0.0, l2=0.0), intercept_lr=0.0),
            "RMSProp": lambda: linear_model.LogisticRegression(optim.RMSProp(0.003), intercept_lr=0.0),
            "ALMA": linear_model.ALMAClassifier,
            "Hoeffding tree": tree.HoeffdingTreeClassifier,
        }[name]()

    def say(self, inputs: Floats) -> Floats:
        predict = self.model.predict_proba_one
        return np.array([predict(dict(enumerate(row))).get(True, 0.5) for row in inputs.tolist()])

    def hear(self, inputs: Floats, came: Floats) -> None:
        for row, positive in zip(inputs.tolist(), came.tolist(), strict=True):
            self.model.learn_one(dict(enumerate(row)), bool(positive))


RIVER = ("SGD", "Adam", "FTRL", "RMSProp", "ALMA", "Hoeffding tree")


def auc(said: Sequence[float] | Floats, came: Sequence[float] | Floats) -> float:
    """Exact, from ranks; a draw counts half."""
    said, came = np.asarray(said), np.asarray(came, dtype=bool)
    _, inverse, counts = np.unique(said, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    up = int(came.sum())
    down = len(came) - up
    return float((ranks[came].sum() - up * (up + 1) / 2) / (up * down)) if up and down else 0.5
