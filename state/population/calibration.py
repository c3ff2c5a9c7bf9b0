"""Calibration: from what a model says to what comes true, so that of those with a score of 0.3 some 30 % buy.

All three ways are fitted to one histogram of what the model said and what came true (`Reliability`), so they cost
nothing per example and are as deterministic as it is:

* Platt (1999): log odds times a slope, plus an offset.
* Beta (Kull, Silva Filho, Flach, AISTATS 2017): other slopes for small and for large probabilities.
* Isotonic (Zadrozny, Elkan, KDD 2002): any ascending curve, by pool adjacent violators; needs the most examples.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import exp, log1p
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.population.reliability import Reliability, log_odds, logistic

PRIOR: Final = 5.0
"""Holds slopes at 1 and offsets at 0 as long as there are few examples: the precision of a normal prior."""
_STEPS: Final = 50
_ENOUGH: Final = 1e-10

Floats = NDArray[np.float64]


class Line(NamedTuple):
    """Platt's: log odds × slope + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def calibrated(self, odds: float) -> float:
        """The probability for a model's log odds."""
        return logistic(self.slope * odds + self.offset)


class Beta(NamedTuple):
    """Kull's: low × log p − high × log(1 − p) + offset."""

    low: float = 1.0
    high: float = 1.0
    offset: float = 0.0

    def calibrated(self, odds: float) -> float:
        """The probability for a model's log odds."""
        return logistic(-self.low * _softplus(-odds) + self.high * _softplus(odds) + self.offset)


class Curve(NamedTuple):
    """Isotonic: straight between its points, level beyond them."""

    odds: tuple[float, ...]
    probabilities: tuple[float, ...]

    def calibrated(self, odds: float) -> float:
        """The probability for a model's log odds."""
        at = bisect_right(self.odds, odds)
        if at == 0 or at == len(self.odds):
            return self.probabilities[max(at - 1, 0)]
        x0, x1 = self.odds[at - 1 : at + 1]
        y0, y1 = self.probabilities[at - 1 : at + 1]
        return y0 + (y1 - y0) * (odds - x0) / (x1 - x0)


def fit_line(seen: Reliability) -> Line:
    """Platt's two numbers; the slope is never negative: calibration does not turn an order round."""
    odds, positives, negatives = _points(seen)
    slope, offset = _fit(np.stack([odds, np.ones_like(odds)], 1), positives, negatives, np.array([1.0, 0.0]))
    return Line(max(slope, 0.0), offset)


def fit_beta(seen: Reliability) -> Beta:
    """Kull's three numbers, the slopes never negative."""
    odds, positives, negatives = _points(seen)
    columns = np.stack([-np.logaddexp(0, -odds), np.logaddexp(0, odds), np.ones_like(odds)], 1)
    low, high, offset = _fit(columns, positives, negatives, np.array([1.0, 1.0, 0.0]))
    return Beta(max(low, 0.0), max(high, 0.0), offset)


def fit_curve(seen: Reliability) -> Curve:
    """The ascending curve nearest to what came true; 0.5 everywhere if nothing was seen."""
    odds, positives, negatives = _points(seen)
    blocks: list[list[float]] = []  # [sum of odds × weight, positives, weight]
    for x, up, down in zip(odds.tolist(), positives.tolist(), negatives.tolist(), strict=True):
        blocks.append([x * (up + down), up, up + down])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            merged = [a + b for a, b in zip(*blocks[-2:], strict=True)]
            blocks[-2:] = [merged]
    if not blocks:
        return Curve((0.0,), (0.5,))
    return Curve(tuple(x / weight for x, _, weight in blocks), tuple(up / weight for _, up, weight in blocks))


def _softplus(x: float) -> float:
    return x + log1p(exp(-x)) if x > 0.0 else log1p(exp(x))


def _points(seen: Reliability) -> tuple[Floats, Floats, Floats]:
    """Log odds of the mean probability, positives and negatives of every bin that holds anything."""
    rows = [
        (log_odds(said / (up + down)), up, down)
        for said, up, down in zip(seen.said, seen.positives, seen.negatives, strict=True)
        if up + down > 0.0
    ]
    table = np.array(sorted(rows), dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _fit(columns: Floats, positives: Floats, negatives: Floats, start: Floats) -> Sequence[float]:
    """Logistic regression of weighted points by Newton's method, held near `start` by PRIOR."""
    weights = positives + negatives

    def loss(at: Floats) -> float:
        odds = columns @ at
        told = positives @ np.logaddexp(0, -odds) + negatives @ np.logaddexp(0, odds)
        return float(told + PRIOR / 2 * np.sum((at - start) ** 2))

    found = start
    for _ in range(_STEPS):
        said = 1.0 / (1.0 + np.exp(-np.clip(columns @ found, -40.0, 40.0)))
        slope = columns.T @ (weights * said - positives) + PRIOR * (found - start)
        curvature = (columns.T * (weights * said * (1.0 - said))) @ columns + PRIOR * np.eye(len(start))
        step = np.linalg.solve(curvature, slope)
        while np.max(np.abs(step)) > _ENOUGH and loss(found - step) > loss(found):
            step = step / 2  # far from the minimum a whole step may lead astray
        found = found - step
        if np.max(np.abs(step)) <= _ENOUGH:
            break
    return [float(number) for number in found]


Calibration = Line | Beta | Curve
FITS: Final[dict[str, Callable[[Reliability], Calibration]]] = {
    "platt": fit_line,
    "beta": fit_beta,
    "isotonic": fit_curve,
}
"""The ways to calibrate, by name."""
_KINDS: Final = (Line, Beta, Curve)  # their places are stored


def packed(calibration: Calibration) -> list[Any]:
    """For a part of something larger."""
    return [_KINDS.index(type(calibration)), *calibration]


def unpacked(parts: Sequence[Any]) -> Calibration:
    """The calibration again."""
    kind, *numbers = parts
    if _KINDS[kind] is Curve:
        return Curve(tuple(numbers[0]), tuple(numbers[1]))
    return Line(*numbers) if _KINDS[kind] is Line else Beta(*numbers)
